"""The order ledger for audits: read-only, on a connection and a thread of its own.

An order that was cancelled or returned stays in the ledger with its state; its units are no longer sold.
It never waits behind customers, so an overloaded shop still reports its orders.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson

from doorbuster.shop.infrastructure.database import Database

MAX_ORDERS = 1_000
MIN_WORD_LENGTH = 4
_HOME_NAMES = """
SELECT name FROM (SELECT name FROM products WHERE was_pence IS NOT NULL ORDER BY popularity DESC LIMIT 12)
UNION SELECT name FROM (SELECT name FROM products ORDER BY arrival DESC LIMIT 12)
UNION SELECT name FROM (SELECT name FROM products ORDER BY popularity DESC LIMIT 12)
"""

T = TypeVar("T")


class LedgerQueries:
    """Answers audits; opened once, closed at the end."""

    def __init__(self, database: Database) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shop-ledger")
        self._connection: sqlite3.Connection = self._thread.submit(database.connect, read_only=True).result()

    def close(self) -> None:
        self._thread.submit(self._connection.close).result()
        self._thread.shutdown()

    async def orders(self, *, after: int, limit: int) -> dict[str, Any]:
        """Orders with a row id above `after`; `next` is the next `after`, None at the end."""
        return await self._ask(lambda connection: _orders(connection, after, limit))

    async def stock(self, *, everything: bool, sku: str | None) -> list[dict[str, Any]]:
        """Opening, current and sold units of every SKU sold, of all SKUs, or of `sku`."""
        return await self._ask(lambda connection: _stock(connection, everything=everything, sku=sku))

    async def catalogue(self) -> dict[str, Any]:
        """What customers may look for: the categories, and words of the home page."""
        return await self._ask(_catalogue)

    async def backlog(self, *, rate_per_s: float) -> dict[str, Any]:
        return await self._ask(lambda connection: _backlog(connection, rate_per_s))

    async def _ask(self, read: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: read(self._connection))


def _orders(connection: sqlite3.Connection, after: int, limit: int) -> dict[str, Any]:
    rows = connection.execute(
        "SELECT o.id, o.order_ref, o.idempotency_key, o.channel, o.total_pence, o.placed_at_unix_s, "
        "o.picked_at_unix_s, o.state, o.sold_at_unix_s, "
        "json_group_array(json_array(l.sku, l.quantity, l.unit_pence)) "
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
        "state": row[7],
        "sold_at_unix_s": row[8],
        "lines": [
            {"sku": sku, "quantity": quantity, "unit_pence": unit_pence}
            for sku, quantity, unit_pence in orjson.loads(row[9])
            if sku is not None
        ],
    }


def _stock(connection: sqlite3.Connection, *, everything: bool, sku: str | None) -> list[dict[str, Any]]:
    join = "LEFT JOIN" if everything or sku is not None else "JOIN"
    rows = connection.execute(
        f"SELECT s.sku, s.opening, s.on_hand, coalesce(l.sold, 0) FROM stock s {join} "  # noqa: S608
        "(SELECT l.sku, sum(l.quantity) AS sold FROM order_lines l JOIN orders o ON o.id = l.order_id "
        "WHERE o.state NOT IN ('returned', 'cancelled') GROUP BY l.sku) l ON l.sku = s.sku "
        "WHERE ?1 IS NULL OR s.sku = ?1 ORDER BY s.sku",
        (sku,),
    ).fetchall()
    return [dict(zip(("sku", "opening", "on_hand", "sold"), row, strict=True)) for row in rows]


def _catalogue(connection: sqlite3.Connection) -> dict[str, Any]:
    categories = connection.execute("SELECT slug FROM categories ORDER BY position").fetchall()
    names = connection.execute(_HOME_NAMES).fetchall()
    words = {word for (name,) in names for word in name.lower().split() if len(word) >= MIN_WORD_LENGTH}
    return {"categories": [slug for (slug,) in categories], "search_terms": sorted(words)}


def _backlog(connection: sqlite3.Connection, rate_per_s: float) -> dict[str, Any]:
    waiting, picked = connection.execute(
        "SELECT (SELECT count(*) FROM orders WHERE picked_at_unix_s IS NULL AND state = 'placed'), "
        "(SELECT count(picked_at_unix_s) FROM orders)"
    ).fetchone()
    return {
        "waiting": waiting,
        "picked": picked,
        "rate_per_s": rate_per_s,
        "drain_s": waiting / rate_per_s if rate_per_s > 0 else (None if waiting else 0.0),
    }
