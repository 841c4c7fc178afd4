"""How long the shop's limited resources were in use, exact at every moment, for the counters of /metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heapreplace


class BusyTime:
    """The time during which users held a resource, summed over them; safe to use from every thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = threading.Lock()
        self._users = 0
        self._total_s = 0.0
        self._changed_at = clock()

    def change(self, users: int) -> None:
        """So many users more (or less)."""
        with self._turn:
            self._advance()
            self._users += users

    @property
    def users(self) -> int:
        """Users now."""
        return self._users

    @property
    def total_s(self) -> float:
        """Seconds of use so far, those of the present users included."""
        with self._turn:
            self._advance()
            return self._total_s

    @contextmanager
    def used(self) -> Iterator[None]:
        """One user more for the block."""
        self.change(1)
        try:
            yield
        finally:
            self.change(-1)

    def _advance(self) -> None:
        now = self._clock()
        self._total_s += self._users * (now - self._changed_at)
        self._changed_at = now


class ServiceSlots:
    """A service that handles a fixed number of calls at once, the others in their order; None: any number.

    A call is told its whole delay when it comes, so that it can wait in a thread or in an event loop.
    """

    def __init__(self, slots: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.slots = slots
        self.calls = 0
        self.errors = 0
        self._clock = clock
        self._turn = threading.Lock()
        self._free_at = [0.0] * (slots or 0)
        self._ended_s = 0.0
        self._open: list[tuple[float, float]] = []  # start and end of calls that had not ended when last read

    def call(self, takes_s: float) -> float:
        """Seconds until a call that comes now has been handled, if handling it takes `takes_s`."""
        with self._turn:
            now = self._clock()
            begins = now if self.slots is None else max(now, self._free_at[0])
            if self.slots is not None:
                heapreplace(self._free_at, begins + takes_s)
            self.calls += 1
            self._settle(now)
            self._open.append((begins, begins + takes_s))
            return begins + takes_s - now

    @property
    def busy_s(self) -> float:
        """Seconds of handling so far, summed over the slots."""
        with self._turn:
            now = self._clock()
            self._settle(now)
            return self._ended_s + sum(max(now - begins, 0.0) for begins, _ in self._open)

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        with self._turn:
            now = self._clock()
            return sum(begins > now for begins, _ in self._open)

    def _settle(self, now: float) -> None:
        ended = [(begins, ends) for begins, ends in self._open if ends <= now]
        if ended:
            self._ended_s += sum(ends - begins for begins, ends in ended)
            self._open = [one for one in self._open if one[1] > now]
