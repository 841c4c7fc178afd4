"""Propagates changes to the pages of the replatformed shop: at once, or after a lag as between two systems.

With a lag, changes of master data (prices, texts, stock) are queued and copied to the pages when due, on a
thread and a connection of its own. Pages then show the copied stock while orders use the master stock, so the
site may offer products that have sold out, and their orders are refused.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import deque
from contextlib import closing

from doorbuster.shop.designs.documents import write_documents
from doorbuster.shop.infrastructure.database import Database

POLL_INTERVAL_S = 0.02


class ReadModel:
    """Receives every change; starts and stops once."""

    def __init__(self, database: Database, *, lag_s: float) -> None:
        self._database = database
        self._lag_s = lag_s
        self._due: deque[tuple[float, str]] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shop-sync", daemon=True)

    def start(self) -> None:
        if self._lag_s > 0:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def changed(self, connection: sqlite3.Connection, sku: str) -> None:
        """The product's price, texts or opinions changed in the transaction of `connection`."""
        if self._lag_s > 0:
            self._enqueue(sku)
        else:
            write_documents(connection, sku)

    def stock_changed(self, sku: str) -> None:
        if self._lag_s > 0:
            self._enqueue(sku)

    def _enqueue(self, sku: str) -> None:
        self._due.append((time.monotonic() + self._lag_s, sku))

    def _work(self) -> None:
        with closing(self._database.connect()) as connection:
            while not self._stopping.wait(POLL_INTERVAL_S):
                skus = self._take(time.monotonic())
                if skus:
                    self._copy(connection, skus)

    def _take(self, now_s: float) -> dict[str, None]:
        """The SKUs due, each once."""
        skus: dict[str, None] = {}
        while self._due and self._due[0][0] <= now_s:
            skus[self._due.popleft()[1]] = None
        return skus

    def _copy(self, connection: sqlite3.Connection, skus: dict[str, None]) -> None:
        with self._database.write_turn:
            connection.execute("BEGIN IMMEDIATE")
            for sku in skus:
                write_documents(connection, sku)
                connection.execute(
                    "UPDATE shown SET on_hand = (SELECT on_hand FROM stock WHERE sku = ?1) WHERE sku = ?1",
                    (sku,),
                )
            connection.execute("COMMIT")
