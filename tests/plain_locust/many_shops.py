"""A server that answers as the shops of the files in `published` do: their forms, tokens and carts.

Everything is counted from 1, so that two runs with the same requests get the same answers.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

STAMP = re.compile(r"_=\d{13}")
BOOK = b"chapter one. " * 400
TOKENS = (
    '<input type="hidden" name="csrf_token" value="c-1"><input type="hidden" name="_wpnonce" value="n-1">'
)
PAGE = f'<html>{TOKENS}<a href="/index.php?product_id=40">a</a><a href="?product_id=43">b</a></html>'
LANDING = '<img src="/assets/a.png"><link href="/assets/b.css"><script src="/assets/app.js"></script>'
GRAPH: dict[str, dict[str, Any]] = {
    "Products": {"data": {"products": {"edges": [{"node": {"id": "P1"}}, {"node": {"id": "P2"}}]}}},
    "Product": {"data": {"product": {"name": "Lamp", "pricing": {"amount": 9}}}},
    "CheckoutCreate": {"data": {"checkoutCreate": {"checkout": {"token": "ck"}, "errors": []}}},
    "Broken": {"errors": [{"message": "no field nothing"}], "data": None},
}


class Asked(NamedTuple):
    """A request, its query, its body as form or JSON, and the server."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Any
    body: bytes
    shops: ManyShops

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode("utf-8", "replace"))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Answered(NamedTuple):
    """An answer; a text body is HTML, anything but text and bytes is JSON."""

    status: int = 200
    body: Any = "ok"
    headers: tuple[tuple[str, str], ...] = ()


def moved(to: str, status: int = 302) -> Answered:
    return Answered(status, "", (("Location", to),))


def basic(login: str) -> str:
    return "Basic " + b64encode(login.encode()).decode()


def sign_in(asked: Asked) -> Answered:
    if asked.method == "GET":
        return Answered(200, PAGE, (("Set-Cookie", "csrftoken=tok; Path=/"), ("Set-Cookie", "sid=7; Path=/")))
    return moved("/my", 303) if asked.form.get("csrf_token") == ["c-1"] else Answered(400)


def cart(asked: Asked) -> Answered:
    if asked.method == "POST" and "json" not in (asked.headers.get("Content-Type") or ""):
        return moved("/cart")
    return Answered({"DELETE": 202, "POST": 201}.get(asked.method, 200))


def parcel(asked: Asked) -> Answered:
    if asked.method == "POST":
        return Answered(201, {"number": asked.shops.next_number("parcel")})
    polls = asked.shops.next_number(asked.path)
    return Answered(200, {"state": "sent" if polls >= 3 else "packing"})


def order_token(asked: Asked) -> Answered:
    if asked.path.endswith("/cart"):
        number = asked.shops.next_number("token")
        return Answered(201, {"data": {"attributes": {"token": f"T{number}"}}})
    known = (asked.headers.get("X-Spree-Order-Token") or "").startswith("T")
    return Answered(200 if known else 404, {"data": {}})


def book(asked: Asked) -> Answered:
    if asked.headers.get("Range"):
        return Answered(206, BOOK[:100])
    return Answered(200, BOOK)


def review(asked: Asked) -> Answered:
    whole = b'name="stars"\r\n' in asked.body and b'filename="me.png"' in asked.body and b"fine" in asked.body
    return Answered(201 if whole else 400)


def php(asked: Asked) -> Answered:
    if asked.query.get("route") == ["checkout/cart/add"]:
        both = asked.form.get("option[]") == ["a", "b"]
        return Answered(200, {"success": "added"} if both else {"error": "options"})
    return Answered(200, PAGE)


def order_of_press(asked: Asked) -> Answered:
    return moved("/checkout/order-received/91/") if asked.form.get("_wpnonce") == ["n-1"] else Answered(403)


def is_json_rpc(asked: Asked) -> Answered:
    if "autocomplete" in asked.path:
        return Answered(200, {"jsonrpc": "2.0", "id": asked.json["id"], "error": {"message": "no index"}})
    return Answered(200, {"jsonrpc": "2.0", "id": asked.json["id"], "result": {"quantity": 2}})


def when(
    allowed: Callable[[Asked], bool], status: int = 401, body: Any = "ok"
) -> Callable[[Asked], Answered]:
    return lambda asked: Answered(200, body) if allowed(asked) else Answered(status, "no")


def signed(credentials: str) -> Callable[[Asked], bool]:
    return lambda asked: asked.headers.get("Authorization") == credentials


def guest_cart(asked: Asked) -> Answered:
    return Answered(200, f"m{asked.shops.next_number('cart')}", JSON_TEXT)


def slot(asked: Asked) -> Answered:
    return Answered(200) if asked.json["try"] == 2 else Answered(429, "", (("Retry-After", "0"),))


JSON_TEXT = (("X-Json", "1"),)
RULES: tuple[tuple[str, Callable[[Asked], Answered]], ...] = (
    (r"\w+ .*/(404|500|503|204)", lambda asked: Answered(int(asked.path[-3:]), "")),
    (r"GET /landing", lambda _: Answered(200, LANDING)),
    (r"GET /catalogue", lambda _: Answered(200, [{"id": "03fef6ac"}, {"id": "3395a43e"}])),
    (r"\w+ /(web/)?login", sign_in),
    (r"POST /login_ajax", when(lambda asked: asked.headers.get("X-CSRFToken") == "tok", 403)),
    (r"POST /graphql/", lambda asked: Answered(200, GRAPH[asked.json["operationName"]])),
    (r"\w+ /shop/cart/update", lambda _: moved("/shop/cart", 303)),
    (r"POST /(shop/cart/update_json|website/.*)", is_json_rpc),
    (r"POST /checkout/", order_of_press),
    (r"GET /checkout", lambda _: moved("/checkouts/cn/abc")),
    (r"\w+ /cart", cart),
    (r"POST /(setCurrency|loginAction|cartAction)|GET /logout", lambda _: moved("/")),
    (r"\w+ /api/stock.*", lambda _: Answered(200, {"left": 3})),
    (r"\w+ /api/not-json", lambda _: Answered(200, "<html>")),
    (r"GET /api/orders.*", when(signed(basic("ann:one")))),
    (r"GET /api/price", lambda _: Answered(200, {"amount": 3})),
    (r"POST /rest/V1/guest-carts", guest_cart),
    (r"POST /rest/V1/.*/payment-information", lambda _: Answered(200, 1007)),
    (r"POST /cart/add.js", lambda _: Answered(200, {"id": 41})),
    (r"\w+ /index.php", php),
    (r"\w+ /api/v2/storefront/.*", order_token),
    (r"\w+ /files/book.epub", book),
    (r"POST /reviews", review),
    (r"\w+ /api/parcels.*", parcel),
    (r"POST /api/slots", slot),
    (r"POST /oauth/token", when(signed(basic("client:secret")), 401, {"access_token": "fresh"})),
    (r"GET /api/members/me", when(signed("Bearer fresh"))),
    (r"\w+ /api/.*", lambda _: Answered(200, {"id": 1})),
    (r".*", lambda _: Answered(200, PAGE)),
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        shops: ManyShops = self.server  # type: ignore[assignment]
        asked = Asked(self.command, parts.path, parse_qs(parts.query), self.headers, body, shops)
        line = f"{self.command} {parts.path}"
        answered = next(answer for pattern, answer in RULES if re.fullmatch(pattern, line))(asked)
        shops.saw(f"{self.command} {STAMP.sub('_=[ms]', self.path)} {answered.status}")
        kind, data = self._encoded(answered)
        self.send_response(answered.status)
        for name, value in (*answered.headers, ("Content-Type", kind)):
            self.send_header(name, value)
        if answered.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and answered.status != 204:
            self.wfile.write(data)

    def _encoded(self, answered: Answered) -> tuple[str, bytes]:
        if isinstance(answered.body, bytes):
            return "application/octet-stream", answered.body
        if isinstance(answered.body, str) and answered.headers is not JSON_TEXT:
            return "text/html; charset=utf-8", answered.body.encode()
        return "application/json", json.dumps(answered.body).encode()

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


class ManyShops(ThreadingHTTPServer):
    """`seen`: how often each "METHOD path status" was served."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Users that are stopped close their connections."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_number(self, what: str) -> int:
        with self._lock:
            self._numbers[what] += 1
            return self._numbers[what]

    def saw(self, line: str) -> None:
        with self._lock:
            self.seen[line] += 1
