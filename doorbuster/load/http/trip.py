"""One request over one connection: take it from the pool or open it, exchange, and replace it once if it was
already closed. The rules of replacement are in `client.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from doorbuster.load.http.connection import Connection
from doorbuster.load.http.exchange import RequestFailed
from doorbuster.load.http.pool import Pool
from doorbuster.load.http.settings import Timeouts

IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
_ALREADY_CLOSED: Final = frozenset(("reset", "closed_early"))


class Trip:
    """What happened on the way; complete also when it failed.

    connection: the one that carried the answer, or None; after a failure it is closed already.
    replaced: how many closed connections were replaced.
    """

    __slots__ = (
        "bytes_received",
        "connect_s",
        "connection",
        "first_byte_at",
        "pool_wait_s",
        "replaced",
        "reused",
        "sent",
    )

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.connect_s = 0.0
        self.pool_wait_s = 0.0
        self.first_byte_at = 0.0
        self.bytes_received = 0
        self.replaced = 0
        self.reused = False
        self.sent = False

    def go(
        self,
        pool: Pool,
        request: bytes,
        method: str,
        stream: bool,
        timeouts: Timeouts,
        started_at: float,
        total_deadline: float,
        clock: Callable[[], float],
    ) -> Connection:
        """Send the request and read the answer. Raises: RequestFailed, and whatever others throw into us."""
        send_at = started_at
        connection: Connection | None = None
        try:
            if not pool.idle and pool.is_full:
                pool.wait_for_turn(total_deadline)
                send_at = clock()
                self.pool_wait_s = send_at - started_at
            while pool.idle:
                connection = pool.idle.pop()
                if (connection.suspect or method not in IDEMPOTENT) and not connection.is_alive():
                    pool.drop(connection)
                    connection = None
                    self.replaced += 1
                    continue
                self.reused = True
                break
            first_byte_s = timeouts.first_byte_s
            while True:
                if connection is None:
                    connection = self._connect(pool, timeouts, total_deadline, clock)
                    send_at = clock()
                try:
                    self.sent = True
                    connection.exchange(
                        request,
                        method == "HEAD",
                        stream,
                        inf if first_byte_s is None else send_at + first_byte_s,
                        total_deadline,
                    )
                except RequestFailed as failure:
                    if not self._may_replace(connection, method, failure):
                        raise
                    pool.drop(connection)
                    connection = None
                    self.reused = False
                    self.replaced += 1
                else:
                    self.connection = connection
                    return connection
        except BaseException:
            if connection is not None:
                self.bytes_received = connection.received
                self.first_byte_at = connection.first_byte_at if connection.received else 0.0
                self.connection = connection
                pool.drop(connection)
            raise

    def _connect(
        self, pool: Pool, timeouts: Timeouts, total_deadline: float, clock: Callable[[], float]
    ) -> Connection:
        began_at = clock()
        connect_s = timeouts.connect_s
        try:
            return pool.connect(inf if connect_s is None else began_at + connect_s, total_deadline)
        finally:
            self.connect_s += clock() - began_at

    def _may_replace(self, connection: Connection, method: str, failure: RequestFailed) -> bool:
        return (
            self.reused
            and not connection.received
            and failure.cause in _ALREADY_CLOSED
            and (connection.unsent or method in IDEMPOTENT)
        )
