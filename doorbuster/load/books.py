"""The shop's own books, read after the run, for the order-integrity audit.

An overloaded shop goes on booking orders after the customers have left, so the books are read until they
stand still.
"""

from __future__ import annotations

from time import perf_counter, time

import gevent

from doorbuster.load.target import PlainClient
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.storefronts import Books, Storefront

CLOCK_MARGIN_S = 60.0
SETTLE_INTERVAL_S = 1.0


def read_opening_stock(
    driver: type[Storefront], client: PlainClient, *, started_unix_s: float
) -> dict[str, int] | None:
    """Units on hand of each SKU before the first customer; None when this shop shows no books.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    books = driver.read_books(client, since_unix_s=started_unix_s)
    return None if books is None else {row.sku: row.on_hand for row in books.stock}


def read_ledger(
    driver: type[Storefront],
    client: PlainClient,
    opening: dict[str, int],
    *,
    started_unix_s: float,
    settle_s: float,
) -> Ledger | None:
    """The shop's ledger once two readings agree, or the last one after `settle_s`; None if it shows none.

    Orders placed up to CLOCK_MARGIN_S before the start are read too: the shop's clock may be behind ours.

    Raises:
        storefronts.Rejected: the shop does not answer.
    """
    give_up_at = perf_counter() + settle_s
    before: Books | None = None
    while True:
        books = driver.read_books(client, since_unix_s=started_unix_s - CLOCK_MARGIN_S)
        if books is None:
            return None
        settled = before is not None and len(before.orders) == len(books.orders)
        if settled or perf_counter() >= give_up_at:
            return _as_ledger(books, opening, started_unix_s)
        before = books
        gevent.sleep(SETTLE_INTERVAL_S)


def _as_ledger(books: Books, opening: dict[str, int], started_unix_s: float) -> Ledger:
    return Ledger(
        orders=tuple(
            LedgerOrder(
                order_ref=order.ref,
                idempotency_key=order.idempotency_key,
                channel=order.channel,
                total_pence=order.total_pence,
                placed_at_s=order.placed_at_unix_s - started_unix_s,
                picked_at_s=(
                    None if order.picked_at_unix_s is None else order.picked_at_unix_s - started_unix_s
                ),
                lines=tuple(LedgerLine(line.sku, line.quantity, line.unit_pence) for line in order.lines),
            )
            for order in books.orders
        ),
        stock=tuple(
            LedgerStock(row.sku, opening.get(row.sku, row.opening), row.on_hand, row.sold)
            for row in books.stock
        ),
        read_at_s=time() - started_unix_s,
    )
