"""The connections of one customer to one origin: at most six by default, as in a browser, the newest used
first.

Rules: the caller gets a connection for itself and returns it with `release` (reusable) or `drop` (not
reusable), exactly once. A connection that the server closed while it was idle is replaced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from math import inf
from typing import Final

from gevent.event import Event

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.connector import Connector
from doorbuster.load.http.headers import RequestHeaders
from doorbuster.load.http.proxy import Proxy
from doorbuster.load.http.send_limit import RequestCeiling

NO_DEFAULTS: Final = RequestHeaders()


class Pool:
    """Args: connector opens the connections; limit of parallel ones; proxy of plain-HTTP requests, if any;
    ceiling: of the requests of all pools.

    whole_url: the request line has the whole URL. added: headers of this origin, which replace the customer's
    default headers. defaults: both together. lines: end of the request line, Host and `defaults`, rendered
    for `lines_version` of the customer's. usual: neither request line nor cookies are special.
    """

    __slots__ = (
        "_clock",
        "_limit",
        "_queue",
        "added",
        "ceiling",
        "closed",
        "connector",
        "defaults",
        "idle",
        "lines",
        "lines_version",
        "open",
        "proxy_auth",
        "usual",
        "whole_url",
    )

    def __init__(
        self,
        connector: Connector,
        limit: int,
        clock: Callable[[], float],
        plain_proxy: Proxy | None,
        ceiling: RequestCeiling | None,
    ) -> None:
        self.connector = connector
        self.ceiling = ceiling
        self._limit = limit
        self._clock = clock
        self._queue: deque[Event] | None = None
        self.idle: list[Connection] = []
        self.open = 0
        self.closed = False
        self.whole_url = plain_proxy is not None
        self.proxy_auth = plain_proxy.auth if plain_proxy else ""
        self.added: Mapping[str, str] | None = None
        self.defaults: RequestHeaders = NO_DEFAULTS
        self.lines = b""
        self.lines_version = -1
        self.usual = False

    @property
    def is_full(self) -> bool:
        return self.open >= self._limit

    def wait_for_turn(self, total_deadline: float) -> None:
        """Wait until a connection is idle or may be opened. Raises: RequestFailed("total_timeout")."""
        while not self.idle and self.open >= self._limit:
            turn = Event()
            queue = self._queue = self._queue if self._queue is not None else deque()
            queue.append(turn)
            try:
                left = None if total_deadline == inf else max(total_deadline - self._clock(), 0.0)
                woken = turn.wait(left)
            except BaseException:
                self._leave(queue, turn)
                raise
            if not woken:
                self._leave(queue, turn)
                raise RequestFailed("total_timeout", f"all {self._limit} connections to the host were busy")

    def connect(self, connect_deadline: float, total_deadline: float) -> Connection:
        """A new connection, counted against the limit from the start. Raises: RequestFailed."""
        self.open += 1
        try:
            return self.connector.open(connect_deadline, total_deadline)
        except BaseException:
            self.open -= 1
            self._next()
            raise

    def release(self, connection: Connection) -> None:
        """Return a reusable connection."""
        if self.closed:
            self.drop(connection)
            return
        if connection.encrypted and connection.session_reads:
            self.connector.remember_session(connection)
        self.idle.append(connection)
        if self._queue:
            self._next()

    def drop(self, connection: Connection) -> None:
        """Return a connection that cannot be reused; closes it."""
        self.open -= 1
        connection.close()
        if self._queue:
            self._next()

    def close(self) -> None:
        """Close idle connections now, and those in use when they are returned."""
        self.closed = True
        while self.idle:
            self.drop(self.idle.pop())

    def _next(self) -> None:
        if self._queue:
            self._queue.popleft().set()

    def _leave(self, queue: deque[Event], turn: Event) -> None:
        if turn in queue:
            queue.remove(turn)
        else:
            self._next()  # this caller was next: pass its turn on
