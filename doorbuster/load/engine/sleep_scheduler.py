"""Sleeping until a moment and never less, cheaper than `gevent.sleep`: customers do little else but think.

All sleepers of a thread share one timer of the event loop, set for the first of them; the others wait in a
heap. So a nap costs a place in the heap and a switch, and nobody wakes before `perf_counter` says so.

Rules: only the alarm and whoever throws into the greenlet end a nap, so it needs none of gevent's waiters.
The bed of a sleeper who was thrown out stays, and is passed over when its moment comes.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from time import perf_counter
from typing import Any, Final

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

from doorbuster.load.http.hub_local import one_per_hub

TimerEntry = tuple[float, int, greenlet]


class SleepScheduler:
    """The sleepers of one thread. A bed is (moment, number, who sleeps there)."""

    __slots__ = ("_alarm", "_alarm_at", "_beds", "_left", "_made", "_rang_at", "hub")

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self._beds: list[TimerEntry] = []
        self._left: set[int] = set()  # numbers of the beds nobody sleeps in any more
        self._made = 0
        self._alarm: Any = None
        self._alarm_at = inf
        self._rang_at = -inf

    def nap(self, moment: float) -> None:
        """Give way to the others until `perf_counter` reads `moment`; at least once, if it has passed."""
        number = self._made = self._made + 1  # those with the same moment wake in the order they came
        if moment < self._rang_at:
            moment = self._rang_at  # behind those who have waited longer
        heappush(self._beds, (moment, number, getcurrent()))
        if moment < self._alarm_at:
            self._set_alarm(moment)
        try:
            self.hub.switch()
        except BaseException:
            self._left.add(number)
            raise

    def _set_alarm(self, moment: float) -> None:
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm.close()
        self._alarm_at = moment
        self._alarm = self.hub.loop.timer(max(moment - perf_counter(), 0.0))
        self._alarm.start(self._ring, update=True)

    def _ring(self) -> None:
        """Wake whoever is due; each runs until they give way.

        Those who go to bed meanwhile wait for the next ring, and set no alarm: a moment that has passed must
        not keep the event loop from everybody else.
        """
        beds, last = self._beds, self._made
        now = self._rang_at = perf_counter()
        self._alarm_at = -inf
        try:
            while beds and beds[0][0] <= now and beds[0][1] <= last:
                _, number, sleeper = heappop(beds)
                if number in self._left:
                    self._left.discard(number)
                else:
                    sleeper.switch()
        finally:
            self._alarm_at = inf
            if beds:
                self._set_alarm(beds[0][0])


# Where the greenlets of the running hub sleep.
thread_sleep_scheduler: Final[Callable[[], SleepScheduler]] = one_per_hub(SleepScheduler)


def sleep_until(moment: float) -> None:
    """Nap among the sleepers of this thread."""
    thread_sleep_scheduler().nap(moment)
