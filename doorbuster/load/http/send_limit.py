"""The ceiling on the requests of one worker, in front of every send: `safety.max_rate`.

Rules:
- A send takes a token, which returns WINDOW_S later. So no second has more sends than tokens, whatever the
  customers do; the window is a little longer than a second, because the way to the server varies.
- While sends wait, they leave at even intervals, first come first served. A process that was stopped or busy
  catches up on CATCH_UP_S at most.
- A send that would have to wait past its time limit is refused at once and takes no token.
- Opening a connection takes a token of its own kind: a shop that refuses connections gets no more of them.
- The share of a worker is valid for a while and must be renewed, because the master gives the share of a
  lost worker to the others. Nothing is sent without a valid share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import floor, inf
from typing import Any, Final, NamedTuple

import gevent
from gevent.event import Event

from doorbuster.load.request_failed import RequestFailed

RATE_CEILING: Final = "rate_ceiling"
WINDOW_S: Final = 1.02
CATCH_UP_S: Final = 0.02
MIN_DELAY_S: Final = 0.001  # a shorter wait does not count as a delay
_LOOK_AGAIN_S: Final = 0.1  # a share may have been changed or renewed meanwhile
_MAX_TOKENS: Final = 100_000  # more requests a second than one process can send


class SendDelays(NamedTuple):
    """Sends that waited for the ceiling, their waits, and sends that were refused, since the last reading."""

    delayed: int
    total_s: float
    longest_s: float
    refused: int


class _Turn:
    """The place of one send in the queue."""

    def __init__(self) -> None:
        self.granted = Event()
        self.has_left = False


class SendLimit:
    """At most `per_s` sends in any second; a rate below 1 is one send in 1 / `per_s` seconds.

    valid_until: reading of the clock after which nothing is sent. waiting: sends in the queue.
    """

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self.valid_until = inf
        self.waiting = 0
        self._clock = clock
        self._queue: deque[_Turn] = deque()
        self._dispatcher: Any = None
        self._window_s = WINDOW_S
        self._interval_s = 0.0
        self._paced_at = -inf
        self._turn = 0
        self._sent_at: list[float] = []  # the last sends, the oldest at `_turn`
        self.delayed = self.refused = 0
        self.delay_s = self.longest_s = 0.0
        self.set_rate(per_s)

    def set_rate(self, per_s: float) -> None:
        """Change the limit; earlier sends still count."""
        tokens = min(floor(per_s), _MAX_TOKENS) if per_s >= 1.0 or per_s <= 0.0 else 1
        self._window_s = WINDOW_S / per_s if 0.0 < per_s < 1.0 else WINDOW_S
        if tokens != len(self._sent_at):
            sent_at = self._sent_at[self._turn :] + self._sent_at[: self._turn]
            missing = max(tokens - len(sent_at), 0)
            self._sent_at = [-inf] * missing + sent_at[len(sent_at) - (tokens - missing) :]
            self._turn = 0
        self._interval_s = self._window_s / tokens if tokens else inf

    @property
    def per_s(self) -> float:
        """The rate while sends wait."""
        return 1.0 / self._interval_s

    def admit(self, now: float) -> bool:
        """Take a token for a send at `now`; False if there is none, or others wait."""
        turn = self._turn
        sent_at = self._sent_at
        if self.waiting or now > self.valid_until or not sent_at:
            return False
        if now - sent_at[turn] < self._window_s:
            return False
        sent_at[turn] = now
        turn += 1
        self._turn = turn if turn < len(sent_at) else 0
        return True

    def wait(self, deadline: float) -> float:
        """Wait for a token; returns the seconds waited. Raises: RequestFailed("rate_ceiling")."""
        began_at = self._clock()
        if self.admit(began_at):
            return 0.0
        if began_at + self.waiting * self._interval_s > deadline:
            self.refused += 1
            raise RequestFailed(RATE_CEILING, f"not sent: {self.waiting} requests wait before it")
        turn = _Turn()
        self._queue.append(turn)
        self.waiting += 1
        if self._dispatcher is None:
            self._dispatcher = gevent.spawn(self._dispatch)
        try:
            granted = turn.granted.wait(None if deadline == inf else deadline - began_at)
        finally:
            if not turn.granted.is_set():
                turn.has_left = True
                self.waiting -= 1
        if not granted:
            self.refused += 1
            raise RequestFailed(RATE_CEILING, "not sent: its time limit ended before its turn")
        waited_s = self._clock() - began_at
        if waited_s >= MIN_DELAY_S:
            self.delayed += 1
            self.delay_s += waited_s
            self.longest_s = max(self.longest_s, waited_s)
        return waited_s

    def _dispatch(self) -> None:
        """Grant the turns in order, each when it is due."""
        queue = self._queue
        while queue:
            if queue[0].has_left:
                queue.popleft()
                continue
            now = self._clock()
            due_at = self._due_at(now)
            if due_at > now:
                gevent.sleep(min(due_at - now, _LOOK_AGAIN_S))
                continue
            self._sent_at[self._turn] = now
            self._turn = (self._turn + 1) % len(self._sent_at)
            self._paced_at = max(self._paced_at + self._interval_s, now - CATCH_UP_S)
            self.waiting -= 1
            queue.popleft().granted.set()
        self._dispatcher = None

    def _due_at(self, now: float) -> float:
        """When the next send of the queue may leave."""
        if now > self.valid_until or not self._sent_at:
            return inf
        return max(self._sent_at[self._turn] + self._window_s, self._paced_at + self._interval_s)


class RequestCeiling:
    """The limits of one worker: of requests, and of connections to open."""

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self.sends = SendLimit(per_s, clock)
        self.connects = SendLimit(per_s, clock)

    def set_rate(self, per_s: float) -> None:
        """Replace the worker's share."""
        self.sends.set_rate(per_s)
        self.connects.set_rate(per_s)

    def valid_until(self, moment: float) -> None:
        """Limit the time until which the share is valid; a later time renews it."""
        for limit in (self.sends, self.connects):
            limit.valid_until = moment if limit.valid_until == inf else max(limit.valid_until, moment)

    @property
    def is_behind(self) -> bool:
        """Whether more sends wait than leave in a second."""
        return self.sends.waiting + self.connects.waiting > self.sends.per_s

    def take_delays(self) -> SendDelays:
        """The delays since the last call."""
        limits = (self.sends, self.connects)
        delays = SendDelays(
            sum([one.delayed for one in limits]),
            sum([one.delay_s for one in limits]),
            max([one.longest_s for one in limits]),
            sum([one.refused for one in limits]),
        )
        for one in limits:
            one.delayed = one.refused = 0
            one.delay_s = one.longest_s = 0.0
        return delays


def share_of(limit_per_s: float, index: int, count: int) -> float:
    """The share of worker `index` of `count`: whole requests, which add up to the floor of the limit."""
    if count == 1:
        return limit_per_s
    whole = floor(limit_per_s)
    return float(whole // count + (1 if index < whole % count else 0))
