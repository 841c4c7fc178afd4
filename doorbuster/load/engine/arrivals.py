"""Who comes when: the open door that lets customers in by the schedule, and the seats of a closed channel.

An open door never waits for the shop: a customer is let in at the intended moment, whatever became of those
before. A seat is the opposite: the next customer comes when the last one has left. They are different types
because they answer different questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from time import perf_counter
from typing import Any

import gevent

from doorbuster.load.coordination.worker_registry import Rows
from doorbuster.load.customers.model import Arrival
from doorbuster.load.engine.sleep_scheduler import sleep_until
from doorbuster.scenario import Schedule

_STARTS_BEFORE_YIELD = 16  # a burst of arrivals lets the first ones run before the last ones exist

STOPPED_S = 2.0  # a timer that is so late was not: the whole process stood still
NEWS_S = 0.5  # to hear what was decided meanwhile

FULL_PAUSE_S = 1.0  # a seat whose customer found no room tries again after so long

AdmitCustomer = Callable[[Arrival], Any]  # returns the customer, or None if there was no room


class OpenArrivals:
    """Lets in some rows of a schedule, each when it is due."""

    def __init__(self, schedule: Schedule, rows: Rows, started_at: float, admit: AdmitCustomer) -> None:
        self._lanes = schedule.classes
        self._columns = (
            schedule.arrival_index[rows].tolist(),
            schedule.intended_s[rows].tolist(),
            schedule.class_index[rows].tolist(),
        )
        self._started_at = started_at
        self._admit = admit
        self._let_in = 0

    def run(self) -> None:
        """Let everyone in; returns after the last one."""
        for arrival in self._arrivals(0):
            wait_s = arrival.intended_at - perf_counter()
            if wait_s > 0:
                sleep_until(arrival.intended_at)
                if perf_counter() - arrival.intended_at > STOPPED_S:
                    gevent.sleep(NEWS_S)  # others may have been given these customers
            elif self._let_in % _STARTS_BEFORE_YIELD == 0:
                sleep_until(0.0)
            self._let_in += 1
            self._admit(arrival)

    def still_to_come(self) -> Iterator[Arrival]:
        """Those who have not been let in."""
        return self._arrivals(self._let_in)

    def _arrivals(self, first: int) -> Iterator[Arrival]:
        indices, intended_s, lanes = self._columns
        for row in range(first, len(indices)):
            channel, journey = self._lanes[lanes[row]]
            yield Arrival(str(indices[row]), channel, journey, self._started_at + intended_s[row])


@dataclass(frozen=True)
class ClosedLoopUser:
    """One seat of a closed channel, served from `opens_at` until `closes_at` (readings of `perf_counter`).

    `pacing_s`: the next customer comes no sooner than so long after the last one came, 0 for at once.
    """

    channel: str
    number: int
    weights: dict[str, float]
    opens_at: float
    closes_at: float
    seed: int
    pacing_s: float
    admit: AdmitCustomer

    def run(self) -> None:
        """Serve one customer after the other; returns when the last one has left."""
        rng = Random(f"{self.seed}/{self.channel}/{self.number}")
        gevent.sleep(max(self.opens_at - perf_counter(), 0.0))
        for call in count(1):
            now = perf_counter()
            if now >= self.closes_at:
                return
            (journey,) = rng.choices(tuple(self.weights), weights=tuple(self.weights.values()))
            visit = self.admit(Arrival(f"{self.channel}-{self.number}-{call}", self.channel, journey, now))
            if visit is not None:
                visit.join()
            pause_s = max(self.pacing_s, FULL_PAUSE_S if visit is None else 0.0)
            gevent.sleep(max(now + pause_s - perf_counter(), 0.0))
