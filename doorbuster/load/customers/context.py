"""What the customers of one worker share: the plan, the recorder, timers, and the orders they remember."""

from __future__ import annotations

import traceback
from collections import deque
from time import perf_counter

from gevent.event import Event as Flag

from doorbuster.load.customers.customer_profiles import ProfileRegistry
from doorbuster.load.customers.model import Arrival
from doorbuster.load.customers.session_opener import load_protocol
from doorbuster.load.exchange import Exchange
from doorbuster.load.http.generator_limits import limit_cause
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.recording.health import HealthProbe
from doorbuster.load.recording.recorder import Recorder
from doorbuster.load.run_plan import RunPlan
from doorbuster.load.runtime.sleep_scheduler import thread_sleep_scheduler
from doorbuster.load.runtime.source_addresses import sources_for
from doorbuster.load.runtime.steady_clock import SteadyClock
from doorbuster.load.target.endpoint import StoreEndpoint
from doorbuster.output import masked
from doorbuster.records.batch import Event
from doorbuster.records.outcome import GENERATOR_LIMITS, NOT_SENT, PROTOCOL, Cause
from doorbuster.storefronts import Storefront

_ORDERS_REMEMBERED = 500  # that later customers may refer to
_ERRORS_REPORTED = 100  # different tracebacks of journeys


class CustomerContext:
    """The surroundings of one worker's customers; `in_flight` is how many are in the shop."""

    def __init__(
        self,
        plan: RunPlan,
        driver: type[Storefront],
        recorder: Recorder,
        health: HealthProbe,
        ceiling: RequestCeiling,
    ) -> None:
        scenario = plan.scenario
        url = plan.first_endpoint.url
        self.run_id = plan.run_id
        self.seed = scenario.seed
        self.started_at = plan.started_at
        self.closes_at = plan.closes_at
        self.ends_at = plan.closes_at + scenario.drain_s
        self.http_settings = plan.access.settings(
            request_id_header=scenario.target.request_id_header,
            trace_share=scenario.trace_share,
            source_addresses=sources_for(url, scenario.target.source_addresses),
            ceiling=ceiling,
        )
        load_protocol(url, scenario.target.protocol, self.http_settings.route)
        self.ceiling = ceiling
        self.recorder = recorder
        self.profiles = ProfileRegistry(scenario, driver, run_id=plan.run_id)
        self.sleep_scheduler = thread_sleep_scheduler()
        self.stop_cause: str = Cause.INTERRUPTED
        self.in_flight = 0
        self.empty = Flag()
        self.empty.set()
        self._health = health
        self._clock = SteadyClock()
        self._endpoints = plan.endpoints
        self._merchant_of = {name: channel.merchant or "" for name, channel in scenario.channels.items()}
        self._order_refs: dict[str, deque[str]] = {
            merchant: deque(maxlen=_ORDERS_REMEMBERED) for merchant in plan.endpoints
        }
        self._reported_errors: set[str] = set()

    def endpoint(self, channel: str) -> StoreEndpoint:
        """The shop of customers who arrive in `channel`; it stays the same if they change the channel."""
        return self._endpoints[self._merchant_of[channel]]

    def order_refs(self, channel: str) -> deque[str]:
        """References of the latest orders at the shop that customers of `channel` visit."""
        return self._order_refs[self._merchant_of[channel]]

    def unix_s(self, moment: float) -> float:
        """A reading of `perf_counter` in Unix seconds."""
        return self._clock.at(moment)

    def customer_arrived(self, arrival: Arrival) -> None:
        """Record the arrival, and how late the generator was with it."""
        self.recorder.started(int(arrival.intended_at - self.started_at), arrival.channel)
        self.recorder.lateness(max(round((perf_counter() - arrival.intended_at) * 1e6), 0))
        self.in_flight += 1
        self.empty.clear()

    def customer_left(self, arrival: Arrival, how: tuple[str, str, str, int | None, int | None]) -> None:
        """Record how a customer left: outcome, step, cause, could browse, could order."""
        second = int(arrival.intended_at - self.started_at)
        self.recorder.customer((second, arrival.channel, arrival.journey, *how))
        duration_s = perf_counter() - arrival.intended_at
        self.recorder.secondary_metrics.visit_duration(second, arrival.channel, round(duration_s * 1e6))
        self.in_flight -= 1
        if not self.in_flight:
            self.empty.set()

    def count_connections(self, exchanges: list[Exchange]) -> None:
        """Count the connections that these requests opened, by protocol, and those closed by the shop."""
        for exchange in exchanges:
            self._health.connections_opened += not exchange.reused
            self._health.reconnects += exchange.reconnected
            self._health.pool_wait_s += exchange.pool_wait_s
            if exchange.protocol:
                second = int(exchange.ended_at - self.started_at)
                self.recorder.secondary_metrics.count(second, "", f"{PROTOCOL}{exchange.protocol}")
            if exchange.cause in GENERATOR_LIMITS:  # of a request whose failure the driver ignores
                second = int(exchange.ended_at - self.started_at)
                self.recorder.secondary_metrics.count(second, "", f"{NOT_SENT}{exchange.cause}")

    def failed(self, error: BaseException) -> str:
        """The cause of a visit that ended with an exception; call it in the handler, for the traceback.

        An exception about a limit of the generator's machine is that of the limit, whoever met it.
        """
        limit = limit_cause(error)
        if limit:
            return limit
        self.script_failed(traceback.format_exc())
        return Cause.SCRIPT_EXCEPTION

    def script_failed(self, text: str) -> None:
        """Record the traceback of a journey that raised; the same traceback only once."""
        text = masked(text)
        if text not in self._reported_errors and len(self._reported_errors) < _ERRORS_REPORTED:
            self._reported_errors.add(text)
            self.recorder.event(Event(perf_counter() - self.started_at, "script_exception", text))
