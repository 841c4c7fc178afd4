"""Retries alone can keep a shop down: the published comparison, in simulated time, with the real retry
policy.

One FIFO server for 100 requests/s; 70 customers/s, each attempt limited to 1 s; at second 20 the server
stalls for S seconds, and it always finishes its requests, even of customers that have left. tests/truth does
the same with sockets in real time.

Recovered: the first whole second after the trigger from which ten seconds in a row have at least 95 % of 70
customers served. Source: Bronson et al. (2021), "Metastable failures in distributed systems", HotOS.
"""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import count
from math import inf
from random import Random

import pytest
from greenlet import getcurrent, greenlet

from doorbuster.load.customers.customer_profiles import ProfileRegistry
from doorbuster.load.customers.model import VisitEnded
from doorbuster.load.customers.retry_policy import StepRetry
from doorbuster.scenario import read_scenario
from doorbuster.storefronts import Storefront

MU_PER_S, LAMBDA_PER_S, TIMEOUT_S, STALL_AT_S, LENGTH_S = 100, 70, 1.0, 20.0, 84.0
SCENARIO = """
title: Metastable or not
target: {{shop: {{profile: replatformed}}}}
demand: {{peak: 70 customers/s, curve: {{stages: [{{for: 84s, at: 100%}}]}}}}
channels: {{app: {{share: 100%, journeys: {{order_status: 1}}, {}}}}}
"""
ONE_SECOND = "patience: {tau: 100ms, min: 1s}"  # then all customers leave
F5 = f"{ONE_SECOND}, reloads: {{after: 0s, max: 3, when_slow: true}}"
RETRIES = "patience: none, retries: {{attempts: 4, timeout: 1s, jitter: 0%, {}}}"


class World:
    """Simulated time: wakes greenlets in the order of their times."""

    def __init__(self) -> None:
        self.now = 0.0
        self._next = count()
        self._waiting: list[tuple[float, int, greenlet]] = []
        self._main = getcurrent()

    def rest_until(self, at: float, who: greenlet | None = None) -> None:
        heapq.heappush(self._waiting, (at, next(self._next), getcurrent() if who is None else who))
        if who is None:
            self._main.switch()

    def run(self) -> None:
        while self._waiting:
            self.now, _, who = heapq.heappop(self._waiting)
            who.switch()


class Fifo:
    """One server; `sheds`: it rejects requests that would wait longer than the time limit of an attempt."""

    def __init__(self, stall_s: float, *, sheds: bool) -> None:
        self._stall_s, self._sheds, self._free_at = stall_s, sheds, 0.0
        self.asked, self.done = Counter(), Counter()

    def end_of(self, now: float) -> float | None:
        self.asked[int(now)] += 1
        start = max(now, self._free_at)
        if STALL_AT_S <= start < STALL_AT_S + self._stall_s:
            start = STALL_AT_S + self._stall_s
        if self._sheds and start + 1 / MU_PER_S - now > TIMEOUT_S:
            return None
        self._free_at = start + 1 / MU_PER_S
        self.done[int(self._free_at)] += 1
        return self._free_at


class SimulatedCustomer:
    """A customer for `StepRetry` that waits in simulated time."""

    def __init__(self, world, server, profile, served, name) -> None:
        self.profile, self.at_step, self.rng = profile, "order_status", Random(name)
        self.ends_at = inf
        self._world, self._server, self._served = world, server, served
        self.now = lambda: world.now
        self.rest_until = world.rest_until

    def count(self, *_: object) -> None:
        """Attempts are counted at the server."""

    def draw_patience_s(self) -> float:
        return self.profile.patience(self.rng)

    def reloads_pages(self, share_ratio: float) -> bool:
        return share_ratio == 1.0

    def visit(self) -> None:
        until = self._world.now + self.draw_patience_s()
        if self.profile.budget is not None:
            self.profile.budget.earn()
        how = StepRetry(self, until, reload=True)
        while True:
            try:
                self._attempt(how.until)
            except VisitEnded as failed_attempt:
                leave = failed_attempt
            else:
                self._served[int(self._world.now)] += 1
                return
            try:
                how.wait(leave)
            except VisitEnded:
                return

    def _attempt(self, until: float) -> None:
        deadline = min(until, self._world.now + self.profile.limit_s)
        end = self._server.end_of(self._world.now)
        if end is None:
            raise VisitEnded("turned_away", "order_status", "status_5xx", is_retryable=True)
        self.rest_until(min(end, deadline))
        if end > deadline:
            gave_up = deadline == until
            raise VisitEnded(
                "abandoned" if gave_up else "turned_away", "order_status", "total_timeout", is_retryable=True
            )


def recovery_s(served: Counter) -> int | None:
    """Seconds from the trigger to the first of ten good seconds in a row; None for never."""
    for second in range(int(STALL_AT_S) + 1, int(LENGTH_S) - 10):
        if all(served[second + k] >= 0.95 * LAMBDA_PER_S for k in range(10)):
            return second - int(STALL_AT_S)
    return None


def simulate(retries: str, stall_s: float, *, sheds: bool = False):
    scenario = read_scenario(SCENARIO.format(retries))
    profile = ProfileRegistry(scenario, Storefront, run_id="simulated").for_arrival("app", "order_status")
    world, server, served = World(), Fifo(stall_s, sheds=sheds), Counter()
    for number in range(int(LAMBDA_PER_S * LENGTH_S)):
        customer = SimulatedCustomer(world, server, profile, served, str(number))
        world.rest_until(number / LAMBDA_PER_S, greenlet(customer.visit))
    world.run()
    last = range(int(LENGTH_S) - 12, int(LENGTH_S) - 2)
    rates = [sum(counter[s] for s in last) / len(last) for counter in (served, server.done, server.asked)]
    return recovery_s(served), [round(rate) for rate in rates]


@pytest.mark.parametrize(
    ("retries", "sheds", "s2", "s10"),
    [
        (ONE_SECOND, False, 5, 31),
        (F5, False, None, None),
        (RETRIES.format("backoff: 0s"), False, None, None),
        (RETRIES.format("backoff: 1s"), False, None, None),
        (RETRIES.format("backoff: 0s, budget: 10%"), False, 10, 44),
        (RETRIES.format("backoff: 50ms"), True, 2, 10),
    ],
    ids=["no retry", "people reload at once", "at once", "exponential backoff", "budget", "shedding"],
)
def test_the_published_table_of_metastable_failures(retries, sheds, s2, s10):
    for stall_s, expected_s in ((2.0, s2), (10.0, s10)):
        recovered_s, (goodput, throughput, attempts) = simulate(retries, stall_s, sheds=sheds)
        assert recovered_s == expected_s, stall_s
        if expected_s is None:
            assert (goodput, throughput, attempts) == (0, 100, 280)
        else:
            assert (goodput, throughput, attempts) == (70, 70, 70)
