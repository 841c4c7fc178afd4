"""A small shop as single-page shops are built: pages on one origin, GraphQL on another, tokens everywhere.

Every session has its own token (given in an answer's header), every basket its own id, every page its own
CSRF token, and products have a number besides the slug of their address. A request with a value of another
session is refused, so a driver that replays a recording without taking values from answers fails.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LAMPS = {f"lamp-{n}": {"slug": f"lamp-{n}", "variantId": f"70{n}", "price": 1000 + n} for n in range(1, 9)}
GROUPS = ("storm", "desk")


class TokenShop:
    """What the shop knows. carts: session token by basket id. orders: the keys they were placed with."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.csrf: set[str] = set()
        self.carts: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {}
        self.orders: list[str] = []

    def answer(self, operation: str, variables: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """The data of an operation. Raises: LookupError with what is wrong."""
        if operation == "Menu":
            return {"groups": [{"path": group} for group in GROUPS]}
        if operation in ("ProductsOfGroup", "SearchProducts"):
            if operation == "ProductsOfGroup" and variables["group"] not in GROUPS:
                raise LookupError("no such group")
            return {"products": {"items": [{"slug": slug} for slug in LAMPS]}}
        if operation == "ProductDetail":
            lamp = LAMPS[variables["slug"]]
            return {"product": {**lamp, "priceWithTax": lamp["price"], "inStock": True}}
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self.sessions:
            raise LookupError("no such session")
        if operation == "CreateCart":
            cart = secrets.token_hex(9)
            self.carts[cart], self.lines[cart] = token, []
            return {"createCart": {"cartId": cart}}
        cart = variables["cart"]
        if self.carts.get(cart) != token:
            raise LookupError("not your basket")
        if operation == "AddLine":
            if variables["variant"] not in {lamp["variantId"] for lamp in LAMPS.values()}:
                raise LookupError("no such variant")
            self.lines[cart].append(variables["variant"])
            return {"addLine": {"units": len(self.lines[cart])}}
        if operation == "SetAddress":
            return {"setAddress": {"ok": True}}
        if operation == "PlaceOrder":
            if headers.get("x-csrf-token") not in self.csrf or not self.lines[cart]:
                raise LookupError("not from a page of ours")
            self.orders.append(headers.get("idempotency-key", ""))
            total = sum(lamp["price"] for lamp in LAMPS.values() if lamp["variantId"] in self.lines[cart])
            return {"placeOrder": {"orderNumber": f"TS-{len(self.orders):04}", "totalWithTax": total}}
        raise LookupError("no such operation")

    def page(self) -> str:
        token = secrets.token_urlsafe(18)
        self.csrf.add(token)
        return f'<html><head><meta name="csrf-token" content="{token}"></head><div id="app"></div></html>'


@contextmanager
def token_shop() -> Iterator[tuple[str, str, TokenShop]]:
    """Addresses of the pages and of the API, and the shop."""
    shop = TokenShop()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(shop.page().encode(), "text/html; charset=utf-8")

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token not in shop.sessions:
                token = secrets.token_hex(16)
            name = re.match(r"\s*\w+ (\w+)", sent["query"])
            headers = {key.lower(): value for key, value in self.headers.items()}
            try:
                answer: dict[str, Any] = {
                    "data": shop.answer(name[1] if name else "", sent["variables"], headers)
                }
            except LookupError as error:
                answer = {"data": None, "errors": [{"message": str(error)}]}
            shop.sessions.add(token)
            self._send(json.dumps(answer).encode(), "application/json", {"X-Session-Token": token})

        def _send(self, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
            self.send_response(200)
            for key, value in (
                {"Content-Type": kind, "Content-Length": str(len(body))} | (headers or {})
            ).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    threads = [Thread(target=server.serve_forever, args=(0.05,)) for server in servers]
    for thread in threads:
        thread.start()
    try:
        pages, api = (f"http://127.0.0.1:{server.server_address[1]}" for server in servers)
        yield pages, api, shop
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()
