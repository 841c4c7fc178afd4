"""The order ledger for audits: read-only, on a connection and a thread of its own.

It never waits behind customers: an overloaded shop still tells what it has sold.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson

from doorbuster.shop.database import Database

MOST_ORDERS = 1_000

T = TypeVar("T")


class Ledger:
    """Answers audits; open it once, close it at the end."""

    def __init__(self, database: Database) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shop-ledger")
        self._connection: sqlite3.Connection = self._thread.submit(database.connect, read_only=True).result()

    def close(self) -> None:
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def orders(self, *, after: int, limit: int) -> dict[str, Any]:
        """Orders with a row id above `after`; `next` is what to ask for next, None at the end."""
        return await self._ask(lambda connection: _orders(connection, after, limit))

    async def stock(self, *, everything: bool) -> list[dict[str, Any]]:
        """Opening, present and sold units of every SKU that was sold (or of all)."""
        return await self._ask(lambda connection: _stock(connection, everything=everything))

    async def backlog(self, *, rate_per_s: float) -> dict[str, Any]:
        return await self._ask(lambda connection: _backlog(connection, rate_per_s))

    async def _ask(self, read: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: read(self._connection))


def _orders(connection: sqlite3.Connection, after: int, limit: int) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT o.id, o.order_ref, o.idempotency_key, o.channel, o.total_pence, o.placed_at_unix_s, "
        "o.picked_at_unix_s, json_group_array(json_array(l.sku, l.quantity, l.unit_pence)) "
        "FROM (SELECT * FROM orders WHERE id > ? ORDER BY id LIMIT ?) o "
        "LEFT JOIN order_lines l ON l.order_id = o.id GROUP BY o.id ORDER BY o.id",
        (after, limit),
    ).fetchall()
    return {"orders": [_order(row) for row in rows], "next": rows[-1][0] if len(rows) == limit else None}


def _order(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "row": row[0],
        "order_ref": row[1],
        "idempotency_key": row[2],
        "channel": row[3],
        "total_pence": row[4],
        "placed_at_unix_s": row[5],
        "picked_at_unix_s": row[6],
        "lines": [
            {"sku": sku, "quantity": quantity, "unit_pence": unit_pence}
            for sku, quantity, unit_pence in orjson.loads(row[7])
            if sku is not None
        ],
    }


def _stock(connection: sqlite3.Connection, *, everything: bool) -> list[dict[str, Any]]:
    join = "LEFT JOIN" if everything else "JOIN"
    rows = connection.execute(
        f"SELECT s.sku, s.opening, s.on_hand, coalesce(l.sold, 0) FROM stock s {join} "  # noqa: S608
        "(SELECT sku, sum(quantity) AS sold FROM order_lines GROUP BY sku) l ON l.sku = s.sku ORDER BY s.sku"
    ).fetchall()
    return [
        {"sku": sku, "opening": opening, "on_hand": on_hand, "sold": sold}
        for sku, opening, on_hand, sold in rows
    ]


def _backlog(connection: sqlite3.Connection, rate_per_s: float) -> dict[str, Any]:
    waiting, total = connection.execute(
        "SELECT (SELECT count(*) FROM orders WHERE picked_at_unix_s IS NULL), (SELECT count(*) FROM orders)"
    ).fetchone()
    return {
        "waiting": waiting,
        "picked": total - waiting,
        "rate_per_s": rate_per_s,
        "drain_s": waiting / rate_per_s if rate_per_s > 0 else (None if waiting else 0.0),
    }
