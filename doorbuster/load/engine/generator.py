"""Generates the load of one worker process: its share of the arrivals, its customers, its reports.

A worker gets everything in one `WorkerAssignment` and needs no coordination afterwards. It starts a
customer at each intended start, however slow the shop is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any

import gevent
import numpy as np
from gevent.lock import BoundedSemaphore

from doorbuster.load.customers.context import CustomerContext
from doorbuster.load.customers.customer import Customer
from doorbuster.load.customers.model import Arrival
from doorbuster.load.engine.arrivals import ClosedLoopUser, OpenArrivals
from doorbuster.load.engine.greenlet_pool import GreenletPool
from doorbuster.load.freshness.freshness_watch import FreshnessWatch
from doorbuster.load.http.generator_limits import limit_cause
from doorbuster.load.http.send_limit import RATE_CEILING, RequestCeiling, share_of
from doorbuster.load.recording.ceiling_delays import count_delays
from doorbuster.load.recording.health import HealthProbe
from doorbuster.load.recording.recorder import Recorder, StepColumns
from doorbuster.load.run_plan import REPORT_INTERVAL_S, Rows, WorkerAssignment
from doorbuster.load.runtime.process_tuning import prepare_process
from doorbuster.records.batch import Batch, Event, SeriesKey
from doorbuster.records.outcome import (
    Cause,
    Outcome,
)
from doorbuster.storefronts import Storefront

MAX_WAITING_SHOWN = 2_000  # requests whose age is read in a second, for the live display
LEAVE_LIMIT_S = 5.0  # time for customers to end after they were stopped


class Generator:
    """Runs one assignment inside Locust's runner and ships a batch each second.

    Args: ship: takes the batches. show: gets the finished steps of each second, the ages of the requests
        that wait, {ms: requests}, and the number of customers in the shop, for a live display.
    """

    def __init__(
        self,
        environment: Any,
        assignment: WorkerAssignment,
        driver: type[Storefront],
        ship: Callable[[Batch], None],
        *,
        show: Callable[[list[SeriesKey], StepColumns, Mapping[int, int], int], None] = lambda *_: None,
    ) -> None:
        plan = assignment.plan
        safety = plan.scenario.safety
        pause = partial(gevent.sleep, 0)
        self._assignment = assignment
        self._plan = plan
        self._scenario = plan.scenario
        self.max_rate_per_s = plan.scenario.customers_max_rate_per_s  # of all workers together
        self._max_in_flight = max(safety.max_in_flight // assignment.count, 1)
        self._environment = environment
        self._ship = ship
        self._show = show
        self._recorder = Recorder(
            assignment.worker,
            started_at=plan.started_at,
            pause=pause,
            trace_share=plan.scenario.trace_share,
        )
        self._health = HealthProbe()
        share_per_s = share_of(self.max_rate_per_s, assignment.index, assignment.count)
        self.ceiling = RequestCeiling(share_per_s, perf_counter)
        self._context = CustomerContext(plan, driver, self._recorder, self._health, self.ceiling)
        self._classes = customer_classes(environment.user_classes)
        self._greenlets = GreenletPool(environment.runner.user_greenlets)
        self._arrivals: list[OpenArrivals] = []
        self._starters: list[gevent.Greenlet] = []
        self._stopping = False
        self._freshness: FreshnessWatch | None = None
        if plan.scenario.freshness is not None and assignment.index == 0:
            self._freshness = FreshnessWatch(
                plan, plan.scenario.freshness, driver, self._recorder, self.ceiling
            )
        self._reporting = BoundedSemaphore(1)
        self._reporter = gevent.spawn(self._report_each_second)

    @property
    def has_ended(self) -> bool:
        """Whether it starts no customers any more."""
        return self._stopping

    def run(self) -> None:
        """Start all customers when they are due, then wait until the last one has left."""
        prepare_process()
        try:
            self.take_over(
                np.arange(self._assignment.index, len(self._plan.schedule), self._assignment.count)
            )
            self._starters += [gevent.spawn(user.run) for user in self._closed_loop_users()]
            if self._freshness is not None:
                self._freshness.start()
            while self._left_s() and (active := [one for one in self._starters if not one.ready()]):
                gevent.joinall(active, timeout=self._left_s())
            self._context.empty.wait(timeout=self._left_s())
            self._context.stop_cause = Cause.DRAIN_LIMIT
        finally:
            self.close()

    def take_over(self, rows: Rows) -> None:
        """Start the customers of these rows: the worker's own share, or a part of a lost worker's."""
        if self._stopping:
            return
        arrivals = OpenArrivals(self._plan.schedule, rows, self._plan.started_at, self._admit)
        self._arrivals.append(arrivals)
        self._starters.append(gevent.spawn(arrivals.run))

    def close(self, cause: str = "") -> None:
        """Stop all customers, record those that have not arrived as dropped, and ship the last batch.

        cause: why customers are dropped; empty keeps the cause that is set.
        """
        self._context.stop_cause = cause or self._context.stop_cause
        if self._stopping:
            return
        self._stopping = True
        gevent.killall(self._starters)
        if self._freshness is not None:
            self._freshness.stop()
        for greenlet in self._customer_greenlets():
            greenlet.kill(block=False)
        self._context.empty.wait(timeout=LEAVE_LIMIT_S)
        for greenlet in self._customer_greenlets():  # their journeys have caught what should end them
            greenlet.args[0].drop()
        self._greenlets.end_idle()
        for arrivals in self._arrivals:
            for arrival in arrivals.remaining():
                self._drop(arrival, self._context.stop_cause)
        with self._reporting:  # let a report in progress finish
            self._reporter.kill()
        self._report(final=True)
        self._health.stop()

    # ---- inside

    def _admit(self, arrival: Arrival) -> Customer | None:
        context = self._context
        is_full = context.in_flight >= self._max_in_flight
        if is_full or self.ceiling.is_behind:
            self._drop(arrival, "in_flight_ceiling" if is_full else RATE_CEILING)
            return None
        context.customer_arrived(arrival)
        try:
            customer = self._classes[arrival.channel](self._environment)
            profile = context.profiles.for_arrival(arrival.channel, arrival.journey)
            customer.arrive(arrival, profile, context)
        except BaseException as error:  # of the constructor of a customer, a driver or its session
            if self._stopping and isinstance(error, gevent.GreenletExit):
                raise
            context.customer_left(arrival, (Outcome.DROPPED, "", context.failed(error), None, None))
            return None
        self._greenlets.start(customer)
        return customer

    def _customer_greenlets(self) -> list[Any]:
        return [one for one in self._environment.runner.user_greenlets if _is_customer(one)]

    def _waiting_ms(self) -> Counter[int]:
        """The ages of the requests that wait now, from their intended start; of a sample if they are many."""
        greenlets = self._environment.runner.user_greenlets.greenlets
        stride = 1 + len(greenlets) // MAX_WAITING_SHOWN
        now, found = perf_counter(), Counter[int]()
        for greenlet in islice(greenlets, 0, None, stride):
            if _is_customer(greenlet) and (age_s := now - greenlet.args[0].due_at) > 0:
                found[int(age_s * 1e3)] += stride
        return found

    def _drop(self, arrival: Arrival, cause: str) -> None:
        second = self._arrival_second(arrival)
        self._recorder.dropped(second, arrival.channel)
        self._recorder.customer(
            (second, arrival.channel, arrival.journey, Outcome.DROPPED, "", cause, None, None)
        )

    def _arrival_second(self, arrival: Arrival) -> int:
        return int(arrival.intended_at - self._plan.started_at)

    def _closed_loop_users(self) -> Iterator[ClosedLoopUser]:
        """This worker's closed-loop users: every `count`-th of each closed channel."""
        for name, channel in self._scenario.channels.items():
            for number in range(self._assignment.index, channel.seats or 0, self._assignment.count):
                yield ClosedLoopUser(
                    channel=name,
                    number=number,
                    weights=channel.journeys,
                    opens_at=self._plan.started_at,
                    closes_at=self._plan.closes_at,
                    seed=self._scenario.seed,
                    pacing_s=channel.pacing_s,
                    admit=self._admit,
                )

    def _left_s(self) -> float:
        return max(self._context.ends_at - perf_counter(), 0.0)

    def _report_each_second(self) -> None:
        started_at = self._plan.started_at
        while True:
            reports = max(int((perf_counter() - started_at) / REPORT_INTERVAL_S), 0)
            gevent.sleep(started_at + (reports + 1) * REPORT_INTERVAL_S - perf_counter())
            try:
                self._report(final=False)
            except (OSError, MemoryError, RuntimeError) as error:
                limit = limit_cause(error)
                if not limit:
                    raise
                text = f"the report of second {reports} was lost: {error or 'out of memory'}"
                self._recorder.event(Event(perf_counter() - started_at, limit, text))

    def _report(self, *, final: bool) -> None:
        with self._reporting:
            steps = self._recorder.take_steps()
            self._show(self._recorder.keys, steps, self._waiting_ms(), self._context.in_flight)
            second = max(int(perf_counter() - self._plan.started_at) - (0 if final else 1), 0)
            count_delays(self.ceiling, self._recorder.secondary_metrics.count, second)
            health = self._health.reading(second, self._context.in_flight)
            self._ship(self._recorder.take(steps, health, final=final))


def customer_classes(user_classes: Iterable[type]) -> dict[str, type[Customer]]:
    """The customer class of each channel, among the classes of a locustfile."""
    return {
        user_class.channel: user_class
        for user_class in user_classes
        if issubclass(user_class, Customer) and not user_class.abstract
    }


def _is_customer(greenlet: Any) -> bool:
    return bool(greenlet.args) and isinstance(greenlet.args[0], Customer)
