"""One attempt of a request: take a connection from the pool or open one, exchange, and replace it once if the
server had closed it. The rules of replacement are in `client.py`, those of the ceiling in `send_limit.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.pool import Pool
from doorbuster.load.http.settings import Timeouts

IDEMPOTENT: Final = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"))
_ALREADY_CLOSED: Final = frozenset(("reset", "closed_early"))


class Attempt:
    """The timings of one attempt, also of a failed one.

    The class attributes have the values of the common case, a reused connection that works: then no attribute
    is set. connection: set after a failure, already closed. replaced: number of replaced connections.
    ceiling_s: time that the request waited for the ceiling.
    """

    connection: Connection | None = None
    connect_s: float = 0.0
    ceiling_s: float = 0.0
    pool_wait_s: float = 0.0
    replaced: int = 0
    reused: bool = True

    def send(
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
        """Send the request and read the response. Raises: RequestFailed, and exceptions from outside."""
        first_byte_s = timeouts.first_byte_s
        send_at = started_at
        connection: Connection | None = None
        try:
            if pool.idle or pool.is_full:
                connection = self._take(pool, method, started_at, total_deadline, clock)
                if self.pool_wait_s:
                    send_at = clock()
            if connection is None:
                connection = self._connect(pool, timeouts, total_deadline, clock)
                send_at = clock()
            ceiling = pool.ceiling
            if ceiling is not None and not ceiling.sends.admit(send_at):
                waiting, connection = connection, None
                connection = self._wait_for_ceiling(waiting, pool, method, timeouts, total_deadline, clock)
                send_at = clock()
            first_byte_deadline = inf if first_byte_s is None else send_at + first_byte_s
            try:
                connection.exchange(request, method == "HEAD", stream, first_byte_deadline, total_deadline)
            except RequestFailed as failure:
                if not self._may_replace(connection, method, failure):
                    raise
                lost, connection = connection, None
                pool.drop(lost)
                self.replaced += 1
                connection = self._connect(pool, timeouts, total_deadline, clock)
                if ceiling is not None:
                    self.ceiling_s += ceiling.sends.wait(total_deadline)
                first_byte_deadline = inf if first_byte_s is None else clock() + first_byte_s
                connection.exchange(request, method == "HEAD", stream, first_byte_deadline, total_deadline)
        except BaseException:
            if connection is not None:
                self.connection = connection
                pool.drop(connection)
            raise
        return connection

    def _take(
        self, pool: Pool, method: str, started_at: float, total_deadline: float, clock: Callable[[], float]
    ) -> Connection | None:
        """An idle connection that is open as far as known, or None; waits while all are busy."""
        if not pool.idle:
            try:
                pool.wait_for_turn(total_deadline)
            finally:
                self.pool_wait_s = clock() - started_at
        while pool.idle:
            connection = pool.idle.pop()
            if not connection.suspect and method in IDEMPOTENT:
                return connection
            if connection.is_alive():
                return connection
            pool.drop(connection)
            self.replaced += 1
        return None

    def _wait_for_ceiling(
        self,
        connection: Connection,
        pool: Pool,
        method: str,
        timeouts: Timeouts,
        total_deadline: float,
        clock: Callable[[], float],
    ) -> Connection:
        """Wait until the request may be sent; the connection, or another one if it was closed meanwhile.

        On an exception the connection is dropped.
        """
        ceiling = pool.ceiling
        assert ceiling is not None
        try:
            self.ceiling_s += ceiling.sends.wait(total_deadline)
            if not (connection.suspect or method not in IDEMPOTENT) or connection.is_alive():
                return connection
        except BaseException:
            pool.drop(connection)
            raise
        pool.drop(connection)
        self.replaced += 1
        connection = self._connect(pool, timeouts, total_deadline, clock)
        try:
            self.ceiling_s += ceiling.sends.wait(total_deadline)
        except BaseException:
            pool.drop(connection)
            raise
        return connection

    def _connect(
        self, pool: Pool, timeouts: Timeouts, total_deadline: float, clock: Callable[[], float]
    ) -> Connection:
        self.reused = False
        ceiling = pool.ceiling
        if ceiling is not None and not ceiling.connects.admit(clock()):
            self.ceiling_s += ceiling.connects.wait(total_deadline)
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
