"""The load of one worker process: its share of the arrivals, its customers, its reports.

A worker is told everything in one `Assignment` and needs no coordination afterwards. It opens the gate at
each intended start whatever the shop does: a stalled shop never slows the arrivals.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from time import perf_counter
from typing import Any

import gevent
from gevent.event import Event as Flag

from doorbuster.load.customer import Arrival, Customer
from doorbuster.load.health import HealthProbe
from doorbuster.load.http.exchange import Exchange
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.live_stats import feed_locust
from doorbuster.load.recorder import Recorder, StepSample
from doorbuster.records.batch import Batch, Event, SeriesKey
from doorbuster.scenario import Scenario, Schedule
from doorbuster.storefronts import DRIVERS, Assortment

REPORT_INTERVAL_S = 1.0
TRAFFIC_TAG = "X-Doorbuster-Run"
_ORDERS_REMEMBERED = 500  # that customers may ask about
_STARTS_BEFORE_YIELD = 16  # a burst of arrivals lets the first ones run before the last ones exist


@dataclass(frozen=True, slots=True)
class Assignment:
    """What one worker has to do; `started_at` is the run's zero on this process' `perf_counter`."""

    run_id: str
    worker: str
    index: int
    count: int
    scenario: Scenario
    schedule: Schedule
    assortment: Assortment
    url: str
    started_at: float
    max_in_flight: int
    max_rate_per_s: float

    @property
    def seats_in_all(self) -> dict[str, int]:
        """Seats of each closed channel, all workers together."""
        return {name: channel.seats for name, channel in self.scenario.channels.items() if channel.seats}


class Generator:
    """Runs one assignment inside Locust's runner and ships a batch each second."""

    def __init__(self, environment: Any, assignment: Assignment, ship: Callable[[Batch], None]) -> None:
        self.scenario = assignment.scenario
        self.run_id = assignment.run_id
        self.url = assignment.url
        self.started_at = assignment.started_at
        self.assortment = assignment.assortment
        self.driver = DRIVERS[assignment.scenario.target.storefront]
        self.http_settings = HttpSettings(headers={TRAFFIC_TAG: assignment.run_id})
        self.recorder = Recorder(assignment.worker)
        self.stop_cause = "interrupted"
        self.in_flight = 0
        self.order_refs: deque[str] = deque(maxlen=_ORDERS_REMEMBERED)
        self.finished = Flag()
        self._environment = environment
        self._assignment = assignment
        self._ship = ship
        self._classes = customer_classes(environment)
        self._requests_last_second = 0
        self._requests_before = 0
        self._next_row = 0
        self._scripts_failed: set[str] = set()
        self._stopping = False
        self._empty = Flag()
        self._empty.set()
        self._probe = HealthProbe()
        self._reporter = gevent.spawn(self._report_each_second)

    # ---- the gate

    def run(self) -> None:
        """Let everyone in when they are due, then wait until the last one has left."""
        try:
            seats = [
                gevent.spawn(self._take_seat, channel, seat)
                for channel, seats_in_all in self._assignment.seats_in_all.items()
                for seat in range(self._assignment.index, seats_in_all, self._assignment.count)
            ]
            self._let_in()
            gevent.joinall(seats, timeout=self._left_s())
            self._empty.wait(timeout=self._left_s())
            self.stop_cause = "drain_limit"
        finally:
            self.close()

    def close(self) -> None:
        """Send away whoever is still there, account for whoever has not come, and ship the last batch."""
        if self._stopping:
            return
        self._stopping = True
        for greenlet in [g for g in self._environment.runner.user_greenlets if _is_customer(g)]:
            greenlet.kill(block=False)
        self._empty.wait(timeout=5.0)
        self._drop_the_rest()
        self._reporter.kill()
        self._report(final=True)
        self._probe.stop()
        self.finished.set()

    # ---- what customers report

    def record_step(
        self, series: SeriesKey, intended_at: float, sample: StepSample, exchanges: list[Exchange]
    ) -> None:
        self.recorder.step(int(intended_at - self.started_at), series, sample)
        for exchange in exchanges:
            self._probe.connections_opened += not exchange.reused
            self._probe.reconnects += exchange.reconnected

    def customer_left(self, arrival: Arrival, how: tuple[str, str, str, int | None, int | None]) -> None:
        second = int(arrival.intended_at - self.started_at)
        self.recorder.customer((second, arrival.channel, arrival.journey, *how))
        self.in_flight -= 1
        if not self.in_flight:
            self._empty.set()

    def script_failed(self, text: str) -> None:
        """A journey raised: reported once per distinct traceback, since it is the script's own fault."""
        if text not in self._scripts_failed:
            self._scripts_failed.add(text)
            self.recorder.event(Event(perf_counter() - self.started_at, "script_exception", text))

    # ---- inside

    def _let_in(self) -> None:
        schedule = self._assignment.schedule
        rows = zip(
            schedule.arrival_index.tolist(), schedule.intended_s.tolist(), schedule.lane.tolist(), strict=True
        )
        for index, intended_s, lane in rows:
            intended_at = self.started_at + intended_s
            wait_s = intended_at - perf_counter()
            if wait_s > 0:
                gevent.sleep(wait_s)
            elif self._next_row % _STARTS_BEFORE_YIELD == 0:
                gevent.sleep(0)
            self._next_row += 1
            channel, journey = schedule.lanes[lane]
            self._admit(Arrival(str(index), channel, journey, intended_at))

    def _admit(self, arrival: Arrival) -> Any:
        second = int(arrival.intended_at - self.started_at)
        full = self.in_flight >= self._assignment.max_in_flight
        if full or self._requests_last_second >= self._assignment.max_rate_per_s:
            self._drop(arrival, "in_flight_ceiling" if full else "rate_ceiling")
            return None
        self.recorder.started(second, arrival.channel)
        self.recorder.lateness(max(round((perf_counter() - arrival.intended_at) * 1e6), 0))
        self.in_flight += 1
        self._empty.clear()
        customer = self._classes[arrival.channel](self._environment)
        customer.arrive(arrival, self)
        return customer.start(self._environment.runner.user_greenlets)

    def _drop(self, arrival: Arrival, cause: str) -> None:
        second = int(arrival.intended_at - self.started_at)
        self.recorder.dropped(second, arrival.channel)
        self.recorder.customer((second, arrival.channel, arrival.journey, "dropped", "", cause, None, None))

    def _drop_the_rest(self) -> None:
        schedule = self._assignment.schedule
        for row in range(self._next_row, len(schedule.intended_s)):
            channel, journey = schedule.lanes[schedule.lane[row]]
            intended_at = self.started_at + float(schedule.intended_s[row])
            name = str(schedule.arrival_index[row])
            self._drop(Arrival(name, channel, journey, intended_at), self.stop_cause)

    def _take_seat(self, channel: str, seat: int) -> None:
        """One seat of a closed channel: the next customer sits down when the last one leaves."""
        journeys = self.scenario.channels[channel].journeys
        ends_at = self.started_at + self._assignment.schedule.duration_s
        rng = Random(f"{self.scenario.seed}/{channel}/{seat}")
        gevent.sleep(max(self.started_at - perf_counter(), 0.0))
        for call in count(1):
            if self._stopping or perf_counter() >= ends_at:
                break
            (journey,) = rng.choices(list(journeys), weights=list(journeys.values()))
            visit = self._admit(Arrival(f"{channel}-{seat}-{call}", channel, journey, perf_counter()))
            if visit is not None:
                visit.join()

    def _left_s(self) -> float:
        ends_at = self.started_at + self._assignment.schedule.duration_s + self.scenario.drain_s
        return max(ends_at - perf_counter(), 0.0)

    def _report_each_second(self) -> None:
        second = 0
        while True:
            second += 1
            gevent.sleep(max(self.started_at + second * REPORT_INTERVAL_S - perf_counter(), 0.0))
            self._report(final=False)

    def _report(self, *, final: bool) -> None:
        feed_locust(self._environment.stats, self.recorder.raw())
        before = self.recorder.requests_total
        second = max(int(perf_counter() - self.started_at) - (0 if final else 1), 0)
        health = self._probe.reading(second, self.in_flight)
        self._requests_last_second = before - self._requests_before
        self._requests_before = before
        self._ship(self.recorder.take(health, final=final))


def customer_classes(environment: Any) -> dict[str, type[Customer]]:
    """The customer class of each channel in the locustfile."""
    return {
        user_class.channel: user_class
        for user_class in environment.user_classes
        if issubclass(user_class, Customer)
    }


def _is_customer(greenlet: Any) -> bool:
    return bool(greenlet.args) and isinstance(greenlet.args[0], Customer)
