"""Coordinates one run on the master (or in the only process): plan, distribute, collect, end, audit.

The coordinator owns the run file. A worker ships a numbered batch each second; a run ends only when the last
batch of every worker is written, or the worker is lost, which the run file then states.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import gevent
from gevent.event import Event as Flag

from doorbuster.browsers.probes import BrowserProbes
from doorbuster.errors import DoorbusterError, RunError, RunInterrupted
from doorbuster.gate import AbortWatch
from doorbuster.load.coordination.browser_watch import start_browsers
from doorbuster.load.coordination.preflight import check_descriptors, check_shares, check_threads
from doorbuster.load.coordination.run_log import RunLog
from doorbuster.load.coordination.worker_registry import WorkerRegistry
from doorbuster.load.http.send_limit import WINDOW_S, RequestCeiling, share_of
from doorbuster.load.run_plan import REPORT_INTERVAL_S, Rows, RunPlan
from doorbuster.load.runtime.notes import note
from doorbuster.load.runtime.steady_clock import SteadyClock, step_sentence
from doorbuster.load.target.driver_lookup import driver_error
from doorbuster.load.target.endpoint import (
    LoadedShop,
    StoreEndpoint,
    TargetAccess,
    UnmeasuredClient,
    check_allowed,
    open_target,
    read_catalogue,
    set_faults,
    target_headers,
)
from doorbuster.load.target.ledger_reader import LedgerBaseline, merge, read_baseline, read_ledger
from doorbuster.load.target.observation import EVENT_KIND as OBSERVE_EVENT
from doorbuster.load.target.observation import TargetObserver
from doorbuster.output import masked
from doorbuster.records.batch import Batch, ObservedValue
from doorbuster.records.ledger import Ledger
from doorbuster.records.metadata import RunMeta, RunStatus
from doorbuster.records.outcome import CEILING_DELAYED, CLOCK_STEP
from doorbuster.records.storable import LEDGER_REFUSED, storable_ledger
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import Scenario, Schedule, plan_schedule
from doorbuster.storefronts import Rejected, Storefront

logger = logging.getLogger("doorbuster")

LEAD_S = 1.0  # from the plan to the first arrival, so that every worker is ready
PLANNING_S_PER_ARRIVAL = 2e-6  # every worker computes the whole schedule
FINAL_REPORT_LIMIT_S = 15.0  # wait for the last reports of the workers
LAST_MESSAGES_S = 0.2  # wait for what a worker sent before its process ended
SLOW_S = 2 * REPORT_INTERVAL_S  # for one turn of the supervision
LEDGER_LIMIT_S = 20.0
MAX_LEDGER_PROBLEMS = 20  # sentences about values in the shop's ledger that cannot be used
KILL_FILE = "STOP"
COORDINATOR = "coordinator"  # name of the master in its own reports


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The settings of one run."""

    scenario: Scenario
    driver: type[Storefront]
    folder: Path
    run_id: str
    confirmed_hosts: tuple[str, ...]
    environment: dict[str, Any]  # fields of `RunMeta`: versions, machine, git commit


class WorkerPool(Protocol):
    """The workers of a run: in this process, or reached over Locust's channel."""

    names: list[str]

    def sync_clocks(self) -> tuple[str, ...]:
        """Compare clocks; returns texts to record. `names` are then the workers that answered."""
        ...

    def descriptor_limits(self) -> Mapping[str, int]:
        """How many descriptors each worker may have; known after `sync_clocks`."""
        ...

    def distribute(self, plan: RunPlan) -> None:
        """Send every worker its assignment."""
        ...

    def ended_workers(self) -> frozenset[str]:
        """Workers whose processes have ended, as far as they run on this machine."""
        ...

    def acknowledge(self, worker: str, seq: int, share_per_s: float | None = None) -> None:
        """Confirm that a report was received, and renew the worker's share of the ceiling on requests."""
        ...

    def reassign(self, worker: str, rows: Rows) -> None:
        """Tell a worker to start these rows of the schedule as well."""
        ...

    def stop_worker(self, worker: str) -> None:
        """Tell a lost worker to stop, in case it is only slow."""
        ...

    def stop_all(self, cause: str) -> None:
        """Tell every worker to stop early and send its last report."""
        ...


class RunCoordinator:
    """Coordinates one run; `run` returns at its end. `over` is set by the caller when all is done."""

    def __init__(self, request: RunRequest, workers: WorkerPool) -> None:
        self.request = request
        self.over = Flag()
        self.failure: DoorbusterError | None = None
        self._workers = workers
        self._target: LoadedShop | None = None
        self._writer: RunWriter | None = None
        self._registry: WorkerRegistry | None = None
        self._baselines: dict[str, LedgerBaseline] = {}
        self._log: RunLog | None = None
        self._observer: TargetObserver | None = None
        self._browsers: BrowserProbes | None = None
        self._access = TargetAccess(request.run_id)
        self._own_reports = 0
        self._reached_ceiling = False
        self._abort = AbortWatch(request.scenario)
        # Of the requests before the first customer and after the last one.
        self._ceiling = RequestCeiling(request.scenario.safety.max_rate_per_s, perf_counter)
        self._ending: tuple[RunStatus, str] | None = None
        self._close_by = inf
        self._parent = os.environ.get(
            "DOORBUSTER_PARENT", ""
        )  # process id of the command that waits for this run, if any
        self._clock = SteadyClock()
        self._started_at = inf  # by `perf_counter`: setting the clock does not move the run
        self._starts_at_unix_s = inf

    def run(self) -> None:
        """Run until everything is recorded; `failure` is then the error, if any."""
        try:
            self._begin()
            self._supervise()
            self._end()
        except DoorbusterError as error:
            self._fail(error)
        except BaseException as error:
            logger.exception("the run failed with an internal error")
            self._fail(RunError(f"internal error, please report it: {type(error).__name__}: {error}"))
        finally:
            if self._observer is not None:
                self._observer.stop(gevent.sleep)
            if self._browsers is not None:
                self._browsers.end_all()
            if self._writer is not None:
                self._writer.close()
            if self._target is not None:
                self._target.stop()

    def receive(self, batch: Batch) -> None:
        """Queue a worker's report; called from Locust's message loop."""
        if self._log is None or self._registry is None:
            return
        now_s, limit_per_s = self._now_s(), self.request.scenario.safety.max_rate_per_s
        share_per_s = None
        if self._registry.heard(batch.worker, now_s=now_s):
            share_per_s = share_of(limit_per_s, *self._registry.place(batch.worker, now_s=now_s))
        self._reached_ceiling |= any(row.name == CEILING_DELAYED for row in batch.counters)
        self._log.receive(batch)
        self._workers.acknowledge(batch.worker, batch.seq, share_per_s)

    def interrupt(self, reason: str, *, status: RunStatus = "interrupted") -> None:
        """End the run early: stop the workers, wait for their last reports, read the ledger."""
        if self._ending is None:
            self._ending = (status, reason)
            self._close_by = perf_counter() + FINAL_REPORT_LIMIT_S
            self._workers.stop_all(status)

    # ---- inside

    def _begin(self) -> None:
        request, scenario = self.request, self.request.scenario
        request.folder.mkdir(parents=True, exist_ok=True)
        self._clock = SteadyClock()
        check_threads()
        self._target = open_target(scenario, request.folder / "shop.log")
        hosts = check_allowed(scenario, self._target.url, confirmed_hosts=request.confirmed_hosts)
        self._access = TargetAccess(request.run_id, hosts, target_headers(scenario))
        process = self._target.process
        observer = TargetObserver(
            scenario,
            confirmed_hosts=request.confirmed_hosts,
            metrics_url=None if process is None else process.metrics_url,
        )
        endpoints = {
            merchant: StoreEndpoint(url, read_catalogue(request.driver, url, self._access, self._ceiling))
            for merchant, url in self._target.urls.items()
        }
        shop_clocks: list[str] = []
        for merchant, endpoint in endpoints.items():
            read = partial(read_baseline, request.driver, started_unix_s=self._clock(), clock=self._clock)
            baseline = self._with_ledger_access(endpoint.url, read)
            if baseline is not None:
                self._baselines[merchant] = baseline
                if baseline.clock_ahead_s:
                    shop = f"the shop of {merchant}" if merchant else "the shop"
                    ahead = f"{baseline.clock_ahead_s:+.0f} s from the generator's"
                    shop_clocks.append(f"{shop}: clock {ahead}, corrected in the times of its orders")
        worker_clocks = self._workers.sync_clocks()
        check_shares(scenario.safety.max_rate_per_s, len(self._workers.names))
        check_descriptors(scenario, self._workers.descriptor_limits())
        if self._ending is not None:
            raise RunInterrupted("stopped before the first customer arrived; there is nothing to report")
        schedule = plan_schedule(scenario)
        calm_s = scenario.browsers.calm_s if scenario.browsers is not None else 0.0
        lead_s = max(LEAD_S + len(schedule) * PLANNING_S_PER_ARRIVAL, calm_s)
        self._started_at = perf_counter() + lead_s
        self._starts_at_unix_s = self._clock.at(self._started_at)
        starts_at_ns = round(self._starts_at_unix_s * 1e9)
        self._registry = WorkerRegistry(schedule, self._workers.names, now_s=0.0)
        self._writer = RunWriter.create(
            request.folder, self._meta(schedule, starts_at_ns), schedule.planned_per_second()
        )
        self._log = RunLog(self._writer, self._registry, self._now_s)
        self._observer = observer
        observer.start(self._started_at, request.folder)
        self._inject_faults()
        self._browsers = start_browsers(
            scenario, request.folder, self._target.url, self._access, starts_at_unix_s=self._starts_at_unix_s
        )
        self._workers.distribute(RunPlan(self._access, scenario, schedule, endpoints, self._started_at))
        for text in (*worker_clocks, *shop_clocks):
            self._record("clock", text)
        self._record_browser_problems()

    def _inject_faults(self) -> None:
        """Send the scenario's faults to the embedded shop and record them."""
        assert self._target is not None
        assert self._log is not None
        scenario = self.request.scenario
        set_faults(scenario, self._target, self._access, starts_at_unix_s=self._starts_at_unix_s)
        for fault in scenario.target.shop.faults if scenario.target.shop else ():
            self._log.record(fault.at_s, "fault", fault.sentence)

    def _supervise(self) -> None:
        """Once a second: write reports, detect lost workers, check the reasons to stop."""
        assert self._registry is not None
        assert self._log is not None
        while not self._registry.complete:
            began_at = perf_counter()
            ended = self._workers.ended_workers() & set(self._registry.waiting_for)
            self._log.wait(LAST_MESSAGES_S if ended else REPORT_INTERVAL_S)
            observed = self._observe()
            batches = self._log.write_queue()
            self._notice_steps()
            for reason in self._reasons_to_stop(batches, observed):
                logger.warning("stopping: %s", reason)
                self._record("abort", reason)
                self.interrupt(reason, status="aborted")
            if perf_counter() - began_at > SLOW_S:  # stopped or busy: reports may still be in a queue here
                for name in self._registry.waiting_for:
                    self._registry.heard(name, now_s=self._now_s())
            else:
                timed_out = self._registry.timed_out(now_s=self._now_s())
                for name in self._registry.waiting_for:
                    if name in ended or name in timed_out:
                        self._lose(name, has_ended=name in ended)
            if perf_counter() > self._close_by:
                for name in self._registry.waiting_for:
                    self._lose(name)

    def _observe(self) -> list[ObservedValue]:
        """Queue what was observed since the last call, to be written with the next reports."""
        assert self._observer is not None
        assert self._log is not None
        values, events = self._observer.read(self._now_s())
        self._log.observe(values, events)
        return values

    def _fail(self, error: DoorbusterError) -> None:
        self.failure = error
        logger.error("%s", error)
        with contextlib.suppress(OSError):  # the disk may be full
            sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
        self._workers.stop_all("aborted")

    def _lose(self, name: str, *, has_ended: bool = False) -> None:
        """Record the loss of a worker and its customers; reassign its later arrivals."""
        assert self._registry is not None
        assert self._log is not None
        from_s = inf if self._ending else self._now_s() + REPORT_INTERVAL_S
        loss = self._registry.lose(name, from_s=from_s, has_ended=has_ended)
        reassigned = sum(len(rows) for rows in loss.reassigned_to.values())
        text = (
            f"{name} stopped reporting; {sum(row.n for row in loss.customers)} of its customers have no "
            f"outcome, {reassigned} later arrivals were reassigned to {len(loss.reassigned_to)} other workers"
        )
        logger.error("worker lost: %s", text)
        self._record("worker_lost", text)
        self._log.add(Batch(COORDINATOR, self._own_reports, customers=loss.customers, arrivals=loss.arrivals))
        self._own_reports += 1
        self._workers.stop_worker(name)
        for other, rows in loss.reassigned_to.items():
            self._workers.reassign(other, rows)

    def _end(self) -> None:
        assert self._writer is not None
        assert self._log is not None
        status: RunStatus
        status, reason = self._ending or ("finished", "")
        self._end_browsers(status)
        if self._reached_ceiling:  # the last second may have had as many requests as allowed
            gevent.sleep(WINDOW_S)
        assert self._observer is not None
        self._log.observe(*self._observer.stop(gevent.sleep))
        for problem in self._abort.problems():
            note(problem)
            self._record(OBSERVE_EVENT, problem)
        ledger = self._read_ledger(LEDGER_LIMIT_S if status == "finished" else 2 * REPORT_INTERVAL_S)
        if ledger is not None:
            storable = storable_ledger(ledger)
            for text in storable.problems[:MAX_LEDGER_PROBLEMS]:
                self._record(LEDGER_REFUSED, text)
            self._log.persist(self._writer.write_ledger, storable.ledger)
        if self._own_reports:
            self._log.add(Batch(COORDINATOR, self._own_reports, final=True))
        self._notice_steps()
        self._log.flush()
        self._log.persist(self._writer.finish, status, reason)

    def _end_browsers(self, status: RunStatus) -> None:
        """Let the probes see whether the shop recovers, then end them and record what they measured."""
        if self._browsers is None:
            return
        assert self._writer is not None
        assert self._log is not None
        settings = self.request.scenario.browsers
        assert settings is not None
        until = perf_counter() + settings.after_s
        while self._ending is None and perf_counter() < until:
            gevent.sleep(min(1.0, settings.after_s))
        found = self._browsers.finish(complete=status == "finished" and self._ending is None)
        self._record_browser_problems()
        self._log.persist(self._writer.write_browsers, found)
        self._browsers.remove_files()

    def _record_browser_problems(self) -> None:
        if self._browsers is not None:
            for problem in self._browsers.problems:
                note(f"browsers: {problem}")
                self._record("browser", problem)
            self._browsers.problems.clear()

    def _read_ledger(self, settle_s: float) -> Ledger | None:
        """The ledger of all merchants; None unless every merchant exposes one."""
        assert self._target is not None
        ledgers: dict[str, Ledger] = {}
        for merchant, url in self._target.urls.items():
            baseline = self._baselines.get(merchant)
            if baseline is None:
                return None
            read = partial(
                read_ledger, self.request.driver,
                baseline=baseline, started_unix_s=self._starts_at_unix_s, settle_s=settle_s,
                run_id=self.request.run_id, clock=self._clock,
                on_clock_set=partial(self._clock_was_set, f"the clock of the shop {merchant}".rstrip()),
            )  # fmt: skip
            ledger = self._with_ledger_access(url, read)
            if ledger is None:
                return None
            ledgers[merchant] = ledger
        return merge(ledgers)

    def _notice_steps(self) -> None:
        if step_s := self._clock.step_s():
            self._clock_was_set("the clock of the load generator", step_s)

    def _clock_was_set(self, whose: str, step_s: float) -> None:
        sentence = step_sentence(whose, step_s)
        note(sentence)
        self._record(CLOCK_STEP, sentence)

    def _reasons_to_stop(self, batches: list[Batch], observed: list[ObservedValue]) -> list[str]:
        reasons = []
        fired = self._abort.feed(batches, observed, at_s=self._now_s())
        if fired is not None:
            reasons.append(fired)
        if (self.request.folder / KILL_FILE).exists():
            reasons.append(f"the stop file {self.request.folder / KILL_FILE} exists")
        if self._parent and os.getppid() != int(self._parent):
            reasons.append("the command that started the run has exited")
        return reasons[:1]

    def _record(self, kind: str, text: str) -> None:
        if self._log is not None:
            self._log.record(self._now_s(), kind, text)

    def _now_s(self) -> float:
        """Seconds since the start of the run, negative before it."""
        return perf_counter() - self._started_at

    def _with_ledger_access(self, url: str, read: Callable[[UnmeasuredClient], Any]) -> Any:
        """Read the ledger of the shop at `url`; a refusal is recorded, because it prevents the audit.

        Raises: AnalysisError if the driver raises before the run.
        """
        client = UnmeasuredClient(url, self._access, limit_s=LEDGER_LIMIT_S, ceiling=self._ceiling)
        try:
            return read(client)
        except Rejected as refusal:
            logger.warning("the shop's ledger cannot be read: %s", refusal)
            self._record("ledger_unreadable", masked(str(refusal)))
            return None
        except BaseException as error:
            fault = driver_error(self.request.driver, "read_ledger", error)
            if self._writer is None:  # before the first customer: better no run than one without an audit
                raise fault from error
            logger.error("%s", fault)
            self._record("ledger_unreadable", str(fault))
            return None
        finally:
            client.close()

    def _meta(self, schedule: Schedule, starts_at_ns: int) -> RunMeta:
        assert self._target is not None
        scenario, shop = self.request.scenario, self.request.scenario.target.shop
        return RunMeta(
            run_id=self.request.run_id,
            title=scenario.title,
            story=scenario.story,
            scenario_name=scenario.name,
            scenario_text=scenario.source_text,
            storefront=scenario.target.storefront,
            target_url=self._target.url,
            shop_profile=None if shop is None else shop.profile,
            seed=scenario.seed,
            workers=len(self._workers.names),
            started_at_unix_ns=starts_at_ns,
            duration_s=schedule.duration_s,
            **self.request.environment,
        )
