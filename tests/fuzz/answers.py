"""HTTP answers: answers of a shop with bytes and contents changed, read by the client and by every driver.

The client gives an answer or a failure with a cause; a driver returns, refuses, or fails by the shop's content.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from doorbuster.load.exchange import CAUSES, RequestFailed
from doorbuster.load.http import Exchange, HttpClient, HttpSettings
from doorbuster.load.http.settings import Timeouts
from doorbuster.load.target.content_errors import content_error
from doorbuster.storefronts import (
    DRIVERS,
    BasketLine,
    Catalogue,
    Rejected,
    Storefront,
    Visit,
    WaitingRoomError,
)
from tests.fuzz.mutations import ALPHABET, mutated_bytes, mutated_value

STEPS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("home", ()), ("category", ()), ("search", ()), ("product", ("A",)), ("add_to_basket", ("A",)),
    ("basket", ()), ("checkout_page", ()), ("checkout", ("k", (BasketLine("A", 1, 100),))),
    ("order_status", ("R1",)), ("sign_in", ()), ("register", ()), ("recommendations", ("A",)),
    ("reviews", ("A",)), ("open_questions", ()), ("return_items", ("R1",)), ("pos_sale", ("k", (BasketLine("A", 1, 100),))),
)  # fmt: skip
DOCUMENTS: tuple[Any, ...] = (
    {"best_sellers": [{"sku": "A", "price_pence": 100}], "products": [{"sku": "A"}], "reviews": [{}],
     "order_ref": "R1", "total_pence": 100, "lines": [{"sku": "A", "quantity": 1, "unit_pence": 100}],
     "basket": "b", "token": "t", "sku": "A", "price_pence": 100, "availability": "in_stock",
     "questions": [{"question": 1}], "question": 1, "code": "c", "state": "returned"},
    {"data": {"search": {"items": [{"slug": "a", "sku": "A"}], "totalItems": 1},
              "product": {"id": "1", "slug": "a", "variants": [{"id": "1", "sku": "A", "priceWithTax": 100,
                                                                 "stockLevel": "IN_STOCK"}]},
              "addItemToOrder": {"__typename": "Order", "code": "R1", "state": "AddingItems"},
              "activeOrder": {"code": "R1", "lines": [{"quantity": 1, "productVariant": {"sku": "A"}}],
                              "totalWithTax": 100}}},
    {"cfWaitingRoom": {"inWaitingRoom": True, "refreshIntervalSeconds": 20}},
    {"type": "urn:x:sold-out", "detail": "none left", "status": 409},
)  # fmt: skip
PAGE = """<html><head><meta http-equiv="refresh" content="5"></head><body data-account="yes" data-problem="busy">
<a href="/product/A">A</a><p data-sku="A"></p><script>{"price": "1.00", "availability": "http://s/InStock"}</script>
<form action="/checkout" method="post"><input name="idempotency_key" value="k"><input name="csrfmiddlewaretoken"
value="x"></form><table><tr data-sku="A" data-quantity="1"></tr></table><b data-order-ref="R1" data-total-pence="100">
</b><i data-state="returned"></i></body></html>"""
HEADERS = (
    "Content-Type: application/json", "Content-Type: text/html; charset=utf-8", "Content-Type: text/html; charset=idna",
    "Content-Type: application/problem+json", "Content-Encoding: gzip", "Content-Encoding: br", "Content-Encoding: zstd",
    "Set-Cookie: a=b; Max-Age=99999999999999999999", "Location: //evil.example/", "Location: /again", "Refresh: 5; url=/",
    "Retry-After: 99999999999999999999", "Retry-After: Fri, 99 Foo 2026", "Server-Timing: db;dur=1e999, x",
    "Date: x", "Link: <x>; rel=y", "Transfer-Encoding: chunked", "Connection: close", "X-Odd: \x1b[2J",
    "Vendure-Auth-Token: t",
)  # fmt: skip


class OneAnswerServer:
    """Answers every request with the same bytes, and closes the connection."""

    def __init__(self) -> None:
        self.answer = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        try:
            peer.settimeout(5)
            while peer.recv(65536):
                peer.sendall(self.answer)
                peer.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            peer.close()


_servers: list[OneAnswerServer] = []


def case(rng: Random, folder: Path) -> str:
    if not _servers:
        _servers.append(OneAnswerServer())
    server = _servers[0]
    server.answer = an_answer(rng)
    exchanges: list[Exchange] = []
    settings = HttpSettings(timeouts=Timeouts(connect_s=2, first_byte_s=2, total_s=2))
    client = HttpClient(server.url, settings=settings, on_exchange=exchanges.append)
    try:
        if rng.random() < 0.4:
            result = read(client)
        else:
            driver = rng.choice(sorted(DRIVERS))
            result = step(DRIVERS[driver], client, rng, exchanges)
    finally:
        client.close()
    for exchange in exchanges:
        assert exchange.cause in CAUSES or not exchange.cause, exchange.cause
        assert exchange.ended_at >= exchange.started_at
    return result


def an_answer(rng: Random) -> bytes:
    if rng.random() < 0.5:
        document = mutated_value(rng, rng.choice(DOCUMENTS), rng.choice((1, 1, 2, 6)))
        body = json.dumps(document).encode("utf-8", "surrogatepass")
        lines = ["Content-Type: application/json"]
    else:
        body, lines = mutated_bytes(rng, PAGE.encode()), ["Content-Type: text/html"]
    lines += rng.sample(HEADERS, rng.choice((0, 0, 1, 3)))
    if "Content-Encoding: gzip" in lines and rng.random() < 0.7:
        body = gzip.compress(body)
    if rng.random() < 0.9:
        lines.append(f"Content-Length: {len(body) + rng.choice((0, 0, 0, 0, 0, -1, 5))}")
    if rng.random() < 0.1:
        lines.append("".join(rng.choices(ALPHABET, k=30)))
    status = rng.choice((200, 200, 200, 200, 201, 204, 302, 400, 404, 409, 429, 500, 503))
    head = "\r\n".join([f"HTTP/1.1 {status} x", *lines]).encode("utf-8", "replace")
    whole = head + b"\r\n\r\n" + body
    return mutated_bytes(rng, whole) if rng.random() < 0.3 else whole


def read(client: HttpClient) -> str:
    """Read an answer in every way."""
    answer = client.request("GET", "/")
    for use in (lambda: answer.content, lambda: answer.text, answer.json):
        try:
            use()
        except (RequestFailed, ValueError):
            continue
    for look in (
        "headers",
        "cookies",
        "links",
        "encoding",
        "apparent_encoding",
        "reason",
        "elapsed",
        "error",
        "detail",
    ):
        try:
            getattr(answer, look)
        except RequestFailed:
            continue
    return f"read {answer.cause or 'well'}"


def step(driver: type[Storefront], client: HttpClient, rng: Random, exchanges: list[Exchange]) -> str:
    """Take one step of a driver, as a customer does."""
    catalogue = Catalogue(("A",), (1.0,), ("tea",), ("lamps",), ("a/1",))
    shop = driver.for_channel("web")(
        client, channel=rng.choice(("web", "app", "store")), catalogue=catalogue, rng=rng,
        visit=Visit(customer="c-17", signed_in=rng.random() < 0.3),
    )  # fmt: skip
    name, arguments = rng.choice([one for one in STEPS if callable(getattr(shop, one[0], None))])
    action: Callable[..., Any] = getattr(shop, name)
    try:
        action(*arguments)
    except Rejected:
        return "driver refused"
    except WaitingRoomError as room:
        assert 0 < room.poll_after_s <= 600
        return "driver queued"
    except Exception as error:
        fault = content_error(error, exchanges[-1].cause if exchanges else None)
        if fault is None:
            raise
        return "driver could not read"
    return "driver done"
