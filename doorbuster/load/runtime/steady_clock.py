"""Unix time that nobody can set: the wall clock at one moment, counted on; and the steps of the wall clock.

The wall clock of the generator may be set while a run goes on, by hand, by a time service or by the host of a
virtual machine. Times that are compared with the shop's books come from this clock, so a step moves none.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, time

MIN_STEP_S = 0.5  # a smaller change may be a slow reading or the adjustment of a time service


class SteadyClock:
    """The Unix time by `perf_counter` since the creation of this object."""

    def __init__(self, wall: Callable[[], float] = time, counter: Callable[[], float] = perf_counter) -> None:
        self._wall, self._counter = wall, counter
        self._offset_s = self._seen_s = wall() - counter()

    def __call__(self) -> float:
        return self._offset_s + self._counter()

    def at(self, moment: float) -> float:
        """The Unix time of a reading of the counter."""
        return self._offset_s + moment

    def step_s(self) -> float:
        """By how much the wall clock was set since the last call; 0.0 if it was not."""
        before, self._seen_s = self._seen_s, self._wall() - self._counter()
        step_s = self._seen_s - before
        return step_s if abs(step_s) >= MIN_STEP_S else 0.0


def step_sentence(whose: str, step_s: float) -> str:
    """What to tell people about a step."""
    direction = "forward" if step_s > 0 else "back"
    return (
        f"{whose} was set {direction} by {abs(step_s):,.1f} s during the run, corrected in all recorded times"
    )
