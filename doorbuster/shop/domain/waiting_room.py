"""A waiting room: which customers are inside, which ones queue, and who is admitted next.

The queue is first in, first out. Customers are admitted at a fixed rate while fewer than the limit are
inside. A customer inside who sends no request for `stay_s` has left; a queued one who misses three polls has
left the queue. Unused admissions do not accumulate beyond one second's worth. The module opens no socket and
reads only the clock it is given.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from doorbuster.shop_settings import WaitingRoomSettings

POLLS_MISSED = 3


class QueuePosition(NamedTuple):
    """A customer's position: 0 is inside, 1 the head of the queue."""

    token: str
    position: int


@dataclass(slots=True)
class _Waiting:
    number: int
    seen_s: float


class WaitingRoomQueue:
    """All customers inside and queued; use it from one thread only."""

    def __init__(self, settings: WaitingRoomSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._clock = clock
        self._inside: OrderedDict[str, float] = OrderedDict()
        self._line: OrderedDict[str, _Waiting] = OrderedDict()
        self._number = 0
        self._credit = 1.0
        self._credited_s = clock()

    @property
    def inside(self) -> int:
        return len(self._inside)

    def ask(self, token: str | None) -> QueuePosition:
        """Register a request and return the position; an unknown token joins the end of the queue."""
        now_s = self._clock()
        if token is None or (token not in self._inside and token not in self._line):
            token = secrets.token_urlsafe(12)
            self._number += 1
            self._line[token] = _Waiting(self._number, now_s)
        elif token in self._line:
            self._line[token].seen_s = now_s
        self._let_in(now_s)
        if token in self._inside:
            self._inside[token] = now_s
            self._inside.move_to_end(token)
            return QueuePosition(token, 0)
        # customers who left the queue count until they reach its head, as in real waiting rooms
        return QueuePosition(token, self._line[token].number - next(iter(self._line.values())).number + 1)

    def _let_in(self, now_s: float) -> None:
        settings = self.settings
        while self._inside and next(iter(self._inside.values())) < now_s - settings.stay_s:
            self._inside.popitem(last=False)
        earned = (now_s - self._credited_s) * settings.admit_per_s
        self._credit = min(self._credit + earned, max(1.0, settings.admit_per_s))
        self._credited_s = now_s
        while self._line and self._credit >= 1.0 and len(self._inside) < settings.active:
            token, waiting = self._line.popitem(last=False)
            if waiting.seen_s >= now_s - POLLS_MISSED * settings.poll_s:
                self._inside[token] = now_s
                self._credit -= 1.0
