"""The warehouse: picks the oldest waiting orders at a fixed rate, so that faster intake builds a backlog.

It has its own connection and never occupies a database worker. Idle time does not accumulate: the rate after
a quiet hour is the same.
"""

from __future__ import annotations

import threading
import time
from contextlib import closing

from doorbuster.shop.infrastructure.database import Database

POLL_INTERVAL_S = 0.2


class PickingRate:
    """How many orders may be picked by a given time; reads no clock, so that it can be tested."""

    def __init__(self, rate_per_s: float, *, now_s: float) -> None:
        self.rate_per_s = rate_per_s
        self._last_s = now_s
        self._credit = 0.0

    def due(self, now_s: float) -> int:
        """Whole orders due since the last call; the fraction is carried over."""
        self._credit += max(0.0, now_s - self._last_s) * self.rate_per_s
        self._last_s = now_s
        whole = int(self._credit)
        self._credit -= whole
        return whole


class Warehouse:
    """A thread that picks orders; starts and stops once."""

    def __init__(self, database: Database, *, rate_per_s: float) -> None:
        self.rate_per_s = rate_per_s
        self._database = database
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="shop-warehouse", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _work(self) -> None:
        pace = PickingRate(self.rate_per_s, now_s=time.monotonic())
        with closing(self._database.connect()) as connection:
            while not self._stopping.wait(POLL_INTERVAL_S):
                due = pace.due(time.monotonic())
                if due == 0:
                    continue
                with self._database.write_turn:
                    connection.execute(
                        "UPDATE orders SET picked_at_unix_s = ? WHERE id IN "
                        "(SELECT id FROM orders WHERE picked_at_unix_s IS NULL "
                        "AND state = 'placed' ORDER BY id LIMIT ?)",
                        (time.time(), due),
                    )
