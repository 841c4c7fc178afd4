"""The load of one worker process: its share of the arrivals, its customers, its reports.

A worker gets everything in one `WorkerAssignment` and needs no coordination afterwards. It starts a
customer at each intended start: a stalled shop never slows the arrivals.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
from gevent.event import Event as Flag
from gevent.lock import BoundedSemaphore

from doorbuster.load.coordination.worker_registry import Rows
from doorbuster.load.customers.customer import Customer
from doorbuster.load.customers.model import Arrival, CustomerProfile
from doorbuster.load.customers.profiles import ProfileRegistry
from doorbuster.load.engine.arrivals import ClosedLoopUser, OpenArrivals
from doorbuster.load.engine.greenlet_pool import GreenletPool
from doorbuster.load.engine.health import HealthProbe
from doorbuster.load.engine.process_tuning import prepare_process
from doorbuster.load.engine.recorder import Recorder
from doorbuster.load.engine.sleep_scheduler import thread_sleep_scheduler
from doorbuster.load.engine.source_addresses import sources_for
from doorbuster.load.freshness.freshness_watch import FreshnessWatch
from doorbuster.load.http.exchange import Exchange
from doorbuster.load.http.settings import HttpSettings, hosts_of
from doorbuster.load.locust_plugin.live_stats import feed_locust
from doorbuster.load.target.endpoint import RUN_HEADER, StoreEndpoint
from doorbuster.records.batch import Batch, Event
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.scenario import Scenario, Schedule
from doorbuster.storefronts import Catalogue, Storefront, Visit

if TYPE_CHECKING:
    from doorbuster.load.coordination.coordinator import RunPlan

REPORT_INTERVAL_S = 1.0
LEAVE_LIMIT_S = 5.0  # how long customers who are sent away may take to go
_ORDERS_REMEMBERED = 500  # that customers may ask about


@dataclass(frozen=True)
class WorkerAssignment:
    """What one worker has to do; `started_at` is the run's zero on this process' `perf_counter`."""

    run_id: str
    worker: str
    index: int
    count: int
    scenario: Scenario
    schedule: Schedule
    places: Mapping[str, StoreEndpoint]  # by merchant; "" is the merchant of a shop that has only one
    started_at: float
    max_in_flight: int
    max_rate_per_s: float

    @property
    def url(self) -> str:
        """Where a shop of one merchant is, or the first of several."""
        return next(iter(self.places.values())).url

    @property
    def catalogue(self) -> Catalogue:
        """What is sold there."""
        return next(iter(self.places.values())).catalogue


def make_assignment(
    plan: RunPlan, scenario: Scenario, *, index: int, count: int, worker: str
) -> WorkerAssignment:
    """The share of the plan for worker `index` of `count`: its customers and its limits."""
    return WorkerAssignment(
        run_id=plan.run_id,
        worker=worker,
        index=index,
        count=count,
        scenario=scenario,
        schedule=plan.schedule,
        places=plan.places,
        started_at=plan.started_at,
        max_in_flight=max(scenario.safety.max_in_flight // count, 1),
        max_rate_per_s=scenario.safety.max_rate_per_s / count,
    )


class Generator:
    """Runs one assignment inside Locust's runner and ships a batch each second."""

    def __init__(
        self,
        environment: Any,
        assignment: WorkerAssignment,
        driver: type[Storefront],
        ship: Callable[[Batch], None],
    ) -> None:
        self.scenario = assignment.scenario
        self.run_id = assignment.run_id
        self.started_at = assignment.started_at
        self.closes_at = assignment.started_at + assignment.schedule.duration_s
        self.ends_at = self.closes_at + assignment.scenario.drain_s
        self.driver = driver
        self.http_settings = HttpSettings(
            headers={RUN_HEADER: assignment.run_id},
            hosts=hosts_of(assignment.url, *assignment.scenario.safety.allow),
            source_addresses=sources_for(assignment.url, assignment.scenario.target.source_addresses),
        )
        self.recorder = Recorder(
            assignment.worker, started_at=self.started_at, pause=partial(gevent.sleep, 0)
        )
        self.dormitory = thread_sleep_scheduler()
        self.stop_cause: str = Cause.INTERRUPTED
        self.in_flight = 0
        self._order_refs: dict[str, deque[str]] = {
            merchant: deque(maxlen=_ORDERS_REMEMBERED) for merchant in assignment.places
        }
        self._environment = environment
        self._assignment = assignment
        self._schedule = assignment.schedule
        self._doors: list[OpenArrivals] = []
        self._entrances: list[gevent.Greenlet] = []
        self._ship = ship
        self._classes = customer_classes(environment)
        self._carriers = GreenletPool(environment.runner.user_greenlets)
        self._errands = ProfileRegistry(assignment.scenario, driver, run_id=assignment.run_id)
        self._requests_last_second = 0
        self._scripts_failed: set[str] = set()
        self._stopping = False
        self._empty = Flag()
        self._empty.set()
        self._probe = HealthProbe()
        self._freshness: FreshnessWatch | None = None
        if self.scenario.freshness is not None and assignment.index == 0:
            tag = {RUN_HEADER: self.run_id}
            self._freshness = FreshnessWatch(assignment, driver, self.recorder, tag=tag)
        self._reporting = BoundedSemaphore(1)
        self._reporter = gevent.spawn(self._report_each_second)

    # ---- the gate

    def run(self) -> None:
        """Let everyone in when they are due, then wait until the last one has left."""
        prepare_process()
        try:
            own = np.arange(self._assignment.index, len(self._schedule), self._assignment.count)
            self.take_over(own)
            self._entrances += [gevent.spawn(seat.run) for seat in self._seats()]
            if self._freshness is not None:
                self._freshness.start()
            while self._left_s() and (open_ones := [e for e in self._entrances if not e.ready()]):
                gevent.joinall(open_ones, timeout=self._left_s())
            self._empty.wait(timeout=self._left_s())
            self.stop_cause = Cause.DRAIN_LIMIT
        finally:
            self.close()

    def take_over(self, rows: Rows) -> None:
        """Let these rows of the schedule in as well: the own share, or part of a lost worker's."""
        if self._stopping:
            return
        door = OpenArrivals(self._schedule, rows, self.started_at, self._admit)
        self._doors.append(door)
        self._entrances.append(gevent.spawn(door.run))

    def close(self) -> None:
        """Send away whoever is still there, account for whoever has not come, and ship the last batch."""
        if self._stopping:
            return
        self._stopping = True
        gevent.killall(self._entrances)
        if self._freshness is not None:
            self._freshness.stop()
        for greenlet in [g for g in self._environment.runner.user_greenlets if _is_customer(g)]:
            greenlet.kill(block=False)
        self._empty.wait(timeout=LEAVE_LIMIT_S)
        self._carriers.stop_worker()
        for door in self._doors:
            for arrival in door.still_to_come():
                self._drop(arrival, self.stop_cause)
        with self._reporting:  # a report under way is finished, not lost
            self._reporter.kill()
        self._report(final=True)
        self._probe.stop()

    # ---- what customers report

    def count_connections(self, exchanges: list[Exchange]) -> None:
        """Note the connections that these requests opened, and those the shop had closed before."""
        for exchange in exchanges:
            self._probe.connections_opened += not exchange.reused
            self._probe.reconnects += exchange.reconnected
            self._probe.pool_wait_s += exchange.pool_wait_s

    def customer_left(self, arrival: Arrival, how: tuple[str, str, str, int | None, int | None]) -> None:
        second = int(arrival.intended_at - self.started_at)
        self.recorder.customer((second, arrival.channel, arrival.journey, *how))
        stay_s = perf_counter() - arrival.intended_at
        self.recorder.stayed(second, arrival.channel, round(stay_s * 1e6))
        self.in_flight -= 1
        if not self.in_flight:
            self._empty.set()

    def errand(self, channel: str, journey: str, *, seated: bool) -> CustomerProfile:
        """What a customer who came for `journey` finds on going on in `channel`."""
        return self._errands.across(channel, journey, seated=seated)

    def place(self, channel: str) -> StoreEndpoint:
        """Where those go who arrive in `channel`, whichever channel they go on in."""
        return self._assignment.places[self._merchant(channel)]

    def order_refs(self, channel: str) -> deque[str]:
        """References of the latest orders at the shop that customers of `channel` visit."""
        return self._order_refs[self._merchant(channel)]

    def unix_s(self, moment: float) -> float:
        """A reading of `perf_counter` in Unix seconds."""
        return time() + moment - perf_counter()

    def script_failed(self, text: str) -> None:
        """A journey raised: reported once per distinct traceback, since it is the script's own fault."""
        if text not in self._scripts_failed:
            self._scripts_failed.add(text)
            self.recorder.event(Event(perf_counter() - self.started_at, "script_exception", text))

    # ---- inside

    def _admit(self, arrival: Arrival) -> Customer | None:
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
        errand = self._errands.of(arrival.channel, arrival.journey)
        customer.arrive(arrival, errand, self)
        if errand.counts_visits:
            self._count_visit(second, arrival.channel, customer.visit)
        self._carriers.carry(customer)
        return customer

    def _count_visit(self, second: int, channel: str, visit: Visit) -> None:
        """Count who came, so that it can be held against the shares the scenario asks for."""
        count = self.recorder.count
        if visit.device:
            count(second, channel, f"device:{visit.device}")
        if visit.signed_in:
            count(second, channel, "signed_in")
        if visit.campaign:
            count(second, channel, "cache_busting")

    def _merchant(self, channel: str) -> str:
        return self.scenario.channels[channel].merchant or ""

    def _drop(self, arrival: Arrival, cause: str) -> None:
        second = int(arrival.intended_at - self.started_at)
        self.recorder.dropped(second, arrival.channel)
        self.recorder.customer(
            (second, arrival.channel, arrival.journey, Outcome.DROPPED, "", cause, None, None)
        )

    def _seats(self) -> Iterator[ClosedLoopUser]:
        """This worker's seats: every `count`-th of each closed channel."""
        for name, channel in self.scenario.channels.items():
            for number in range(self._assignment.index, channel.seats or 0, self._assignment.count):
                yield ClosedLoopUser(
                    channel=name,
                    number=number,
                    weights=channel.journeys,
                    opens_at=self.started_at,
                    closes_at=self.closes_at,
                    seed=self.scenario.seed,
                    pacing_s=channel.pacing_s,
                    admit=self._admit,
                )

    def _left_s(self) -> float:
        return max(self.ends_at - perf_counter(), 0.0)

    def _report_each_second(self) -> None:
        while True:
            reports = max(int((perf_counter() - self.started_at) / REPORT_INTERVAL_S), 0)
            gevent.sleep(self.started_at + (reports + 1) * REPORT_INTERVAL_S - perf_counter())
            self._report(final=False)

    def _report(self, *, final: bool) -> None:
        with self._reporting:
            steps = self.recorder.take_steps()
            feed_locust(self._environment.stats, self.recorder.keys, steps)
            second = max(int(perf_counter() - self.started_at) - (0 if final else 1), 0)
            health = self._probe.reading(second, self.in_flight)
            self._requests_last_second = len(steps)
            self._ship(self.recorder.take(steps, health, final=final))


def customer_classes(environment: Any) -> dict[str, type[Customer]]:
    """The customer class of each channel in the locustfile."""
    return {
        user_class.channel: user_class
        for user_class in environment.user_classes
        if issubclass(user_class, Customer)
    }


def _is_customer(greenlet: Any) -> bool:
    return bool(greenlet.args) and isinstance(greenlet.args[0], Customer)
