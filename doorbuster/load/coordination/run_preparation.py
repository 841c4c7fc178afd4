"""Prepares a run up to the moment before its workers start: target, permission, plan and file."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter

import gevent

from doorbuster.errors import RunInterrupted
from doorbuster.load.coordination.merchant_ledgers import UNREADABLE, MerchantLedgers
from doorbuster.load.coordination.model import RunEnding, RunRequest, WorkerPool
from doorbuster.load.coordination.preflight import check_descriptors, check_shares, check_threads
from doorbuster.load.coordination.run_log import RunLog
from doorbuster.load.coordination.worker_registry import WorkerRegistry
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.run_plan import RunPlan
from doorbuster.load.runtime.notes import note
from doorbuster.load.runtime.steady_clock import SteadyClock, step_sentence
from doorbuster.load.target.endpoint import (
    LoadedShop,
    StoreEndpoint,
    TargetAccess,
    check_allowed,
    open_target,
    read_catalogue,
    target_headers,
)
from doorbuster.load.target.observation import TargetObserver
from doorbuster.records.metadata import RunMeta
from doorbuster.records.outcome import CLOCK_STEP
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import Schedule, plan_schedule

LEAD_S = 1.0  # from the plan to the first arrival, so that every worker is ready
PLANNING_S_PER_ARRIVAL = 2e-6  # every worker computes the whole schedule


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A run that may start: what its workers share, and what the coordinator keeps for itself."""

    request: RunRequest
    target: LoadedShop
    plan: RunPlan
    starts_at_unix_s: float
    clock: SteadyClock
    registry: WorkerRegistry
    log: RunLog
    observer: TargetObserver
    ledgers: MerchantLedgers

    def now_s(self) -> float:
        """Seconds since the start of the run, negative before it; setting the clock does not move it."""
        return perf_counter() - self.plan.started_at

    def notice_clock_steps(self) -> None:
        """Record it if the clock of this machine was set since the last call."""
        if step_s := self.clock.step_s():
            self.record_clock_step("the clock of the load generator", step_s)

    def record_clock_step(self, whose: str, step_s: float) -> None:
        """Record and report that a clock was set, by `step_s` seconds."""
        sentence = step_sentence(whose, step_s)
        note(sentence)
        self.log.record(CLOCK_STEP, sentence)


def prepare_run(
    request: RunRequest, workers: WorkerPool, ending: RunEnding, resources: ExitStack
) -> PreparedRun:
    """Everything that a run needs; `resources` then closes it, also if the preparation fails.

    Raises:
        DoorbusterError: the run cannot be made, with the reason.
        RunInterrupted: it was ended meanwhile.
    """
    scenario = request.scenario
    request.folder.mkdir(parents=True, exist_ok=True)
    clock = SteadyClock()
    check_threads()
    target = open_target(scenario, request.folder / "shop.log")
    resources.callback(target.stop)
    hosts = check_allowed(scenario, target.url, confirmed_hosts=request.confirmed_hosts)
    access = TargetAccess(request.run_id, hosts, target_headers(scenario))
    observer = TargetObserver(
        scenario,
        confirmed_hosts=request.confirmed_hosts,
        metrics_url=None if target.process is None else target.process.metrics_url,
    )
    ceiling = RequestCeiling(
        scenario.customers_max_rate_per_s, perf_counter
    )  # before and after the customers
    endpoints = {
        merchant: StoreEndpoint(url, read_catalogue(request.driver, url, access, ceiling))
        for merchant, url in target.urls.items()
    }
    ledgers = MerchantLedgers(request.driver, target.urls, access, ceiling, clock)
    ledgers.read_baselines()
    worker_clocks = workers.sync_clocks()
    check_shares(scenario.customers_max_rate_per_s, len(workers.names))
    check_descriptors(scenario, workers.descriptor_limits())
    if ending.is_early:
        raise RunInterrupted("stopped before the first customer arrived; there is nothing to report")
    schedule = plan_schedule(scenario)
    calm_s = scenario.browsers.calm_s if scenario.browsers is not None else 0.0
    lead_s = max(LEAD_S + len(schedule) * PLANNING_S_PER_ARRIVAL, calm_s)
    plan = RunPlan(access, scenario, schedule, endpoints, started_at=perf_counter() + lead_s)
    starts_at_unix_s = clock.at(plan.started_at)
    registry = WorkerRegistry(schedule, workers.names, now_s=0.0)
    meta = _meta(request, target, schedule, len(workers.names), starts_at_unix_s)
    writer = resources.enter_context(RunWriter.create(request.folder, meta, schedule.planned_per_second()))
    log = RunLog(writer, registry, lambda: perf_counter() - plan.started_at)
    resources.callback(observer.stop, gevent.sleep)
    for text in (*worker_clocks, *ledgers.clock_corrections()):
        log.record("clock", text)
    for text in ledgers.refusals:
        log.record(UNREADABLE, text)
    return PreparedRun(request, target, plan, starts_at_unix_s, clock, registry, log, observer, ledgers)


def _meta(
    request: RunRequest, target: LoadedShop, schedule: Schedule, workers: int, starts_at_unix_s: float
) -> RunMeta:
    scenario, shop = request.scenario, request.scenario.target.shop
    return RunMeta(
        run_id=request.run_id,
        title=scenario.title,
        story=scenario.story,
        scenario_name=scenario.name,
        scenario_text=scenario.source_text,
        storefront=scenario.target.storefront,
        target_url=target.url,
        shop_profile=None if shop is None else shop.profile,
        seed=scenario.seed,
        workers=workers,
        started_at_unix_ns=round(starts_at_unix_s * 1e9),
        duration_s=schedule.duration_s,
        **request.environment,
    )
