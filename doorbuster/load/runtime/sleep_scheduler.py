"""Sleeps until a time, never shorter, and cheaper than `gevent.sleep`: customers mostly think.

All sleeping greenlets of a thread share one timer of the event loop, set for the earliest; the others wait in
a heap. A sleep costs a heap entry and a switch, and no greenlet wakes before `perf_counter` reaches its time.

Rules: only the timer or an exception thrown into the greenlet ends a sleep, so no gevent waiter is needed.
A cancelled timer stays in the heap and is skipped when it expires.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from time import perf_counter
from typing import Any, Final

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from doorbuster.load.http.hub_local import one_per_hub

TimerEntry = tuple[float, int, greenlet]  # when to wake, number of the sleep, who sleeps


class SleepScheduler:
    """The sleeping greenlets of one thread."""

    __slots__ = ("_cancelled", "_count", "_heap", "_rang_at", "_timer", "_timer_at", "hub")

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._heap: list[TimerEntry] = []
        self._cancelled: set[int] = set()
        self._count = 0
        self._timer: Any = None
        self._timer_at = inf
        self._rang_at = -inf

    def sleep_until(self, moment: float) -> None:
        """Let others run until `perf_counter` reads `moment`; at least once, if it has passed."""
        number = self._count = self._count + 1  # greenlets with the same time wake in the order of arrival
        if moment < self._rang_at:
            moment = self._rang_at  # after those that have waited longer
        heappush(self._heap, (moment, number, getcurrent()))
        if moment < self._timer_at:
            self._set_timer(moment)
        try:
            self.hub.switch()
        except BaseException:
            self._cancelled.add(number)
            raise

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
        self._timer_at = moment
        self._timer = self.hub.loop.timer(max(moment - perf_counter(), 0.0))
        self._timer.start(self._wake_due, update=True)

    def _wake_due(self) -> None:
        """Wake every greenlet that is due; each runs until it yields.

        Greenlets that go to sleep meanwhile wait for the next call and set no timer: a time that has passed
        must not keep the event loop from all other work.
        """
        heap, last = self._heap, self._count
        now = self._rang_at = perf_counter()
        self._timer_at = -inf
        try:
            while heap and heap[0][0] <= now and heap[0][1] <= last:
                _, number, sleeper = heappop(heap)
                if number in self._cancelled:
                    self._cancelled.discard(number)
                else:
                    sleeper.switch()
        finally:
            self._timer_at = inf
            if heap:
                self._set_timer(heap[0][0])


# The scheduler of the running hub.
thread_sleep_scheduler: Final[Callable[[], SleepScheduler]] = one_per_hub(SleepScheduler)


def sleep_until(moment: float) -> None:
    """Sleep with the scheduler of this thread."""
    thread_sleep_scheduler().sleep_until(moment)
