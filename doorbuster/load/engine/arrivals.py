"""Starts customers: open arrivals by the schedule, and the users of a closed channel.

Open arrivals never wait for the shop: a customer starts at the intended time whatever became of those before.
A closed-loop user is the opposite: its next customer starts after the last one has left. They are different
types because they answer different questions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from time import perf_counter
from typing import Any

import gevent

from doorbuster.load.customers.model import Arrival
from doorbuster.load.run_plan import Rows
from doorbuster.load.runtime.sleep_scheduler import sleep_until
from doorbuster.scenario import Schedule

_STARTS_BEFORE_YIELD = 16  # in a burst, the first customers run before the last ones are created

STOPPED_S = 2.0  # a timer this late means that the whole process was stopped
MESSAGES_S = 0.5  # time to receive messages that were sent meanwhile

FULL_PAUSE_S = 1.0  # pause of a closed-loop user after a customer was dropped

AdmitCustomer = Callable[[Arrival], Any]  # returns the customer, or None if it was dropped


class OpenArrivals:
    """Starts the customers of some rows of a schedule, each when it is due."""

    def __init__(self, schedule: Schedule, rows: Rows, started_at: float, admit: AdmitCustomer) -> None:
        self._channel_journeys = schedule.channel_journeys
        self._columns = (
            schedule.arrival_index[rows].tolist(),
            schedule.intended_s[rows].tolist(),
            schedule.channel_journey_index[rows].tolist(),
        )
        self._started_at = started_at
        self._admit = admit
        self._started = 0

    def run(self) -> None:
        """Start all customers; returns after the last one."""
        for arrival in self._arrivals(0):
            wait_s = arrival.intended_at - perf_counter()
            if wait_s > 0:
                sleep_until(arrival.intended_at)
                if perf_counter() - arrival.intended_at > STOPPED_S:
                    gevent.sleep(MESSAGES_S)  # other workers may have taken over these customers
            elif self._started % _STARTS_BEFORE_YIELD == 0:
                sleep_until(0.0)
            self._started += 1
            self._admit(arrival)

    def remaining(self) -> Iterator[Arrival]:
        """The arrivals that have not started."""
        return self._arrivals(self._started)

    def _arrivals(self, first: int) -> Iterator[Arrival]:
        indices, intended_s, of_arrival = self._columns
        for row in range(first, len(indices)):
            channel, journey = self._channel_journeys[of_arrival[row]]
            yield Arrival(str(indices[row]), channel, journey, self._started_at + intended_s[row])


@dataclass(frozen=True)
class ClosedLoopUser:
    """One user of a closed channel, active from `opens_at` until `closes_at` (readings of `perf_counter`).

    `pacing_s`: minimum time between the arrivals of two customers.
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
        """Run one customer after another; returns when the last one has left."""
        rng = Random(f"{self.seed}/{self.channel}/{self.number}")
        gevent.sleep(max(self.opens_at - perf_counter(), 0.0))
        for visit_number in count(1):
            now = perf_counter()
            if now >= self.closes_at:
                return
            (journey,) = rng.choices(tuple(self.weights), weights=tuple(self.weights.values()))
            name = f"{self.channel}-{self.number}-{visit_number}"
            customer = self.admit(Arrival(name, self.channel, journey, now))
            if customer is not None:
                customer.join()
            pause_s = max(self.pacing_s, FULL_PAUSE_S if customer is None else 0.0)
            gevent.sleep(max(now + pause_s - perf_counter(), 0.0))
