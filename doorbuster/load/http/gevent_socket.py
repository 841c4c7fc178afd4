"""How a greenlet waits for a socket: one watcher and at most one timer per connection, kept between requests.

gevent's sockets start and stop a watcher and a Timeout for every recv. Here the read watcher stays started
for the life of the connection, so a request costs no system calls except send, recv and its part of
epoll_wait, and an idle connection that the server closes is noticed when it happens. The timer stays set to
an old deadline; when it expires, it only checks whether the current deadline has passed.

Only documented parts of gevent's event loop are used: `hub.loop.io`, `hub.loop.timer`, `start`, `stop` and
`close` of watchers, `hub.switch`, and `greenlet.switch` from a watcher's callback, as `hub.wait` does.

Rules: the callback switches only to a greenlet that waits here and forgets it first, so a late or spurious
event has no effect. The read watcher keeps the loop running, the timer does not. A socket belongs to the hub
of the thread that opened it. `close()` stops both before it closes the file descriptor.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any, Final

import gevent
import gevent.monkey
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.dns import Resolver
from doorbuster.load.http.generator_limits import last_descriptor_of_connections
from doorbuster.load.http.hub_local import one_per_hub

RECEIVE_BYTES: Final = 64 * 1024  # per recv; an idle connection keeps no buffer
_READABLE: Final = 1
_WRITABLE: Final = 2
_SHORTEST_ALARM_S: Final = 0.001
_poll: Final = gevent.monkey.get_original("select", "poll")
_POLLIN: Final = select.POLLIN


class HubResources:
    """What all connections of one hub share: host names, the next source address, the last descriptor."""

    __slots__ = ("last_descriptor", "resolver", "source_turn")

    def __init__(self) -> None:
        self.resolver = Resolver(monotonic)
        self.source_turn = 0
        self.last_descriptor = last_descriptor_of_connections()


hub_resources: Final[Callable[[], HubResources]] = one_per_hub(lambda _: HubResources())


class GeventSocket:
    """A non-blocking socket with a deadline; the base of a connection.

    deadline: clock value after which waiting fails with `timeout_cause`. suspect: bytes or an end arrived
    while no greenlet waited, so the connection must be checked before it is reused.
    """

    __slots__ = (
        "_alarm",
        "_alarm_at",
        "_clock",
        "_expired",
        "_hub",
        "_looking",
        "_switch",
        "_waiter",
        "_watcher",
        "_watching",
        "deadline",
        "socket",
        "suspect",
        "timeout_cause",
    )

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.socket = sock
        self.deadline = inf
        self.timeout_cause = "total_timeout"
        self.suspect = False
        self._clock = clock
        self._hub = gevent.get_hub()
        self._switch = self._hub.switch
        self._watcher = self._hub.loop.io(sock.fileno(), _READABLE)
        self._watching = False
        self._looking: Any = None
        self._alarm: Any = None
        self._alarm_at = inf
        self._expired = False
        self._waiter: greenlet | None = None

    @property
    def is_open(self) -> bool:
        """Whether `close` has not been called."""
        return self.socket.fileno() >= 0

    def wait_readable(self) -> None:
        """Wait until bytes or an end arrive. Raises: RequestFailed(timeout_cause) at the deadline."""
        if self._alarm_at > self.deadline:
            self._arm()
        if not self._watching:
            self._watching = True
            self._watcher.start(self._on_readable)
        self._waiter = getcurrent()
        try:
            while self._waiter is not None:
                self._switch()
        finally:
            self._waiter = None
        if self._expired:
            self._fail()

    def wait_writable(self) -> None:
        """Wait until the socket accepts bytes, or is connected."""
        if self._alarm_at > self.deadline:
            self._arm()
        if self._watching:
            self._watching = False
            self._watcher.stop()
        writer = self._hub.loop.io(self.socket.fileno(), _WRITABLE)
        self._waiter = getcurrent()
        try:
            writer.start(self._wake)
            while self._waiter is not None:
                self._hub.switch()
        finally:
            self._waiter = None
            writer.stop()
            writer.close()
        if self._expired:
            self._fail()

    def wait_for_room(self) -> None:
        """Wait, without a time limit, until the socket accepts bytes, while others wait for bytes from it."""
        writer = self._hub.loop.io(self.socket.fileno(), _WRITABLE)
        try:
            self._hub.wait(writer)
        finally:
            writer.close()

    def watch(self, on_readable: Callable[[], None] | None) -> None:
        """From now on, call this in the hub whenever bytes or an end have arrived; None: call nothing.

        For other protocols, instead of `wait_readable`.
        """
        self._watcher.stop()
        self._watching = on_readable is not None
        if on_readable is not None:
            self._watcher.start(on_readable)

    def later(self, work: Callable[[], None]) -> None:
        """Call this in the hub after everything else that is due now."""
        self._hub.loop.run_callback(work)

    def is_readable(self) -> bool:
        """Whether bytes, an end or an error have arrived; much cheaper than an empty recv."""
        if self._looking is None:
            self._looking = _poll()
            self._looking.register(self.socket, _POLLIN)
        return bool(self._looking.poll(0))

    def wait(self, writable: bool) -> None:
        if writable:
            self.wait_writable()
        else:
            self.wait_readable()

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm.close()
            self._alarm = None
        self.socket.close()

    def _on_readable(self) -> None:
        waiter = self._waiter
        if waiter is None:
            self._watcher.stop()
            self._watching = False
            self.suspect = True
        else:
            self._waiter = None
            waiter.switch()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.switch()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm.close()
        left = max(self.deadline - self._clock(), _SHORTEST_ALARM_S)
        self._alarm = self._hub.loop.timer(left, ref=False)
        self._alarm_at = self.deadline
        self._alarm.start(self._on_alarm, update=True)

    def _on_alarm(self) -> None:
        self._alarm_at = inf
        if self._waiter is None:
            return
        if self._clock() < self.deadline:
            self._arm()
        else:
            self._expired = True
            self._wake()

    def _fail(self) -> None:
        self._expired = False
        raise RequestFailed(self.timeout_cause, "")
