"""One run, seen from the master (or from the only process): plan, hand out, gather, end, account.

The conductor owns the run file. Workers own nothing that is not on its way here: each ships a numbered batch
a second, and a run ends only when the last batch of every worker has been written (or a worker is known to
be lost, which the run file then says).
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
from time import perf_counter, time, time_ns
from typing import Any, Protocol

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import DoorbusterError, RunError, RunInterrupted
from doorbuster.gate import AbortWatch
from doorbuster.load.coordination.worker_registry import Rows, WorkerRegistry
from doorbuster.load.customers.drivers import raised
from doorbuster.load.engine.generator import REPORT_INTERVAL_S
from doorbuster.load.target.endpoint import (
    RUN_HEADER,
    LoadedShop,
    StoreEndpoint,
    UnmeasuredClient,
    check_allowed,
    open_target,
    read_catalogue,
    set_faults,
)
from doorbuster.load.target.ledger_reader import LedgerBaseline, merge, read_baseline, read_ledger
from doorbuster.records.batch import Batch, Event
from doorbuster.records.ledger import Ledger
from doorbuster.records.metadata import RunMeta, RunStatus
from doorbuster.records.writer import RunWriter
from doorbuster.scenario import Scenario, Schedule, plan_schedule
from doorbuster.storefronts import Rejected, Storefront

logger = logging.getLogger("doorbuster")

LEAD_S = 1.0  # between the plan and the first arrival, so that every worker is ready
PLANNING_S_PER_ARRIVAL = 2e-6  # a worker plans the whole schedule before it takes its share
FINAL_REPORT_LIMIT_S = 15.0  # how long the last reports of the workers are waited for
LAST_WORDS_S = 0.2  # to read what a worker had sent before its process ended
BOOKS_LIMIT_S = 20.0
KILL_FILE = "STOP"
CONDUCTOR = "conductor"  # the name under which the master itself reports


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a run is to be: decided before Locust starts anything."""

    scenario: Scenario
    driver: type[Storefront]
    folder: Path
    run_id: str
    confirmed_host: str | None
    about: dict[str, Any]  # versions, machine, git commit, as the run file keeps them


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the conductor tells the workers; each takes its share by its place in the list of workers."""

    run_id: str
    schedule: Schedule
    places: Mapping[str, StoreEndpoint]  # by merchant; "" is the merchant of a shop that has only one
    started_at: float  # the run's zero on the `perf_counter` of whoever holds these orders


class WorkerPool(Protocol):
    """How the conductor speaks to its workers; one implementation is local, one is Locust's channel."""

    names: list[str]

    def meet(self) -> tuple[str, ...]:
        """Compare clocks; returns remarks worth recording. `names` are then those who answered."""
        ...

    def distribute(self, orders: RunPlan) -> None:
        """Tell every worker its orders."""
        ...

    def gone(self) -> frozenset[str]:
        """Workers whose processes are known to have ended; of other machines nothing is known."""
        ...

    def acknowledge(self, worker: str, seq: int) -> None:
        """Tell a worker that its report is written, so that it need not send it again."""
        ...

    def take_over(self, worker: str, rows: Rows) -> None:
        """Tell a worker to let these rows of the schedule in too."""
        ...

    def stop_worker(self, worker: str) -> None:
        """Tell a worker that was given up to stop, in case it is only slow."""
        ...

    def stop_all(self, cause: str) -> None:
        """Tell every worker to stop early and ship its last report."""
        ...


class RunCoordinator:
    """Runs one brief with the workers it is given."""

    def __init__(self, brief: RunRequest, crew: WorkerPool) -> None:
        self.brief = brief
        self.over = Flag()
        self.failure: DoorbusterError | None = None
        self._crew = crew
        self._target: LoadedShop | None = None
        self._writer: RunWriter | None = None
        self._roster: WorkerRegistry | None = None
        self._baselines: dict[str, LedgerBaseline] = {}
        self._queue: list[Batch] = []
        self._own_reports = 0
        self._arrived = Flag()
        self._abort = AbortWatch(brief.scenario)
        self._ending: tuple[RunStatus, str] | None = None
        self._close_by = inf
        self._parent = os.environ.get("DOORBUSTER_PARENT", "")  # the command that waits for this run, if any
        self._started_at = inf  # by `perf_counter`: a clock that is set meanwhile does not move the run
        self._starts_at_unix_s = inf

    # ---- the course of a run

    def run(self) -> None:
        """Conduct the whole run; returns when all is recorded. Who called sets `over` after the last word."""
        try:
            self._begin()
            self._tend()
            self._end()
        except DoorbusterError as error:
            self._fail(error)
        except Exception as error:
            logger.exception("the run could not be conducted")
            self._fail(RunError(f"our own fault, please report it: {type(error).__name__}: {error}"))
        finally:
            if self._writer is not None:
                self._writer.close()
            if self._target is not None:
                self._target.stop()

    def receive(self, batch: Batch) -> None:
        """Take a worker's report; called from Locust's message loop, so it only queues."""
        self._queue.append(batch)
        if batch.final:
            self._arrived.set()

    def interrupt(self, reason: str, *, status: RunStatus = "interrupted") -> None:
        """End the run early and orderly: gates close, last reports arrive, books are read."""
        if self._ending is None:
            self._ending = (status, reason)
            self._close_by = perf_counter() + FINAL_REPORT_LIMIT_S
            self._crew.stop_all(status)

    # ---- inside

    def _begin(self) -> None:
        brief, scenario = self.brief, self.brief.scenario
        brief.folder.mkdir(parents=True, exist_ok=True)
        self._target = open_target(scenario, brief.folder / "shop.log")
        check_allowed(scenario, self._target.url, confirmed_host=brief.confirmed_host)
        allow = scenario.safety.allow
        places = {
            merchant: StoreEndpoint(url, read_catalogue(brief.driver, url, self._tag(), allow))
            for merchant, url in self._target.urls.items()
        }
        clocks: list[str] = []
        for merchant, place in places.items():
            read = partial(read_baseline, brief.driver, started_unix_s=time())
            baseline = self._with_ledger_access(place.url, read)
            if baseline is not None:
                self._baselines[merchant] = baseline
                if baseline.clock_ahead_s:
                    shop = f"the shop of {merchant}" if merchant else "the shop"
                    ahead = f"{baseline.clock_ahead_s:+.0f} s from ours"
                    clocks.append(f"{shop}: clock {ahead}, corrected in the times of its orders")
        remarks = self._crew.meet()
        if self._ending is not None:
            raise RunInterrupted("stopped before the first customer arrived; there is nothing to report")
        schedule = plan_schedule(scenario)
        lead_s = LEAD_S + len(schedule) * PLANNING_S_PER_ARRIVAL
        starts_at_ns, self._started_at = time_ns() + round(lead_s * 1e9), perf_counter() + lead_s
        self._starts_at_unix_s = starts_at_ns / 1e9
        self._roster = WorkerRegistry(schedule, self._crew.names, now_s=0.0)
        self._writer = RunWriter.create(
            brief.folder, self._meta(schedule, starts_at_ns), schedule.planned_per_second()
        )
        self._break_parts()
        self._crew.distribute(RunPlan(brief.run_id, schedule, places, self._started_at))
        for remark in (*remarks, *clocks):
            self._record("clock", remark)

    def _break_parts(self) -> None:
        """Tell the embedded shop what is to fail and when, and the run file too."""
        assert self._target is not None
        assert self._writer is not None
        scenario = self.brief.scenario
        set_faults(scenario, self._target, starts_at_unix_s=self._starts_at_unix_s)
        for fault in scenario.target.shop.faults if scenario.target.shop else ():
            self._writer.record_event(Event(fault.at_s, "fault", fault.sentence))

    def _tend(self) -> None:
        """Once a second: write what came in, look who is missing, look for reasons to stop."""
        assert self._roster is not None
        while not self._roster.complete:
            looked_at = perf_counter()
            gone = self._crew.gone() & set(self._roster.waiting_for)
            self._arrived.wait(timeout=LAST_WORDS_S if gone else REPORT_INTERVAL_S)
            self._arrived.clear()
            we_were_slow = perf_counter() - looked_at > 2 * REPORT_INTERVAL_S
            batches = self._write_queue()
            for reason in self._reasons_to_stop(batches):
                logger.warning("stopping: %s", reason)
                self._record("abort", reason)
                self.interrupt(reason, status="aborted")
            if not we_were_slow:  # else their reports may wait in our own queue
                silent = self._roster.silent(now_s=self._now_s())
                for name in self._roster.waiting_for:
                    if name in gone or name in silent:
                        self._lose(name)
            if perf_counter() > self._close_by:
                for name in self._roster.waiting_for:
                    self._lose(name)

    def _fail(self, error: DoorbusterError) -> None:
        self.failure = error
        logger.error("%s", error)
        with contextlib.suppress(OSError):  # the disk may be full
            sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
        self._crew.stop_all("aborted")

    def _lose(self, name: str) -> None:
        """A worker is gone: say so, account for its customers, give what is to come to the others."""
        assert self._roster is not None
        assert self._writer is not None
        loss = self._roster.lose(name, from_s=inf if self._ending else self._now_s() + REPORT_INTERVAL_S)
        spread = sum(len(rows) for rows in loss.heirs.values())
        text = (
            f"{name} stopped reporting; {sum(row.n for row in loss.customers)} of its customers are "
            f"unaccounted for, {spread} still to come were spread over {len(loss.heirs)} other workers"
        )
        logger.error("worker lost: %s", text)
        self._record("worker_lost", text)
        self._writer.write(
            [Batch(CONDUCTOR, self._own_reports, customers=loss.customers, arrivals=loss.arrivals)]
        )
        self._own_reports += 1
        self._crew.stop_worker(name)
        for heir, rows in loss.heirs.items():
            self._crew.take_over(heir, rows)

    def _end(self) -> None:
        assert self._writer is not None
        status: RunStatus
        status, reason = self._ending or ("finished", "")
        ledger = self._read_ledger(BOOKS_LIMIT_S if status == "finished" else 2 * REPORT_INTERVAL_S)
        if ledger is not None:
            self._writer.write_ledger(ledger)
        if self._own_reports:
            self._writer.write([Batch(CONDUCTOR, self._own_reports, final=True)])
        self._writer.finish(status, reason)

    def _read_ledger(self, settle_s: float) -> Ledger | None:
        """The books of all merchants; None unless every one of them shows its own."""
        assert self._target is not None
        ledgers: dict[str, Ledger] = {}
        for merchant, url in self._target.urls.items():
            baseline = self._baselines.get(merchant)
            if baseline is None:
                return None
            read = partial(
                read_ledger, self.brief.driver,
                baseline=baseline, started_unix_s=self._starts_at_unix_s, settle_s=settle_s,
            )  # fmt: skip
            ledger = self._with_ledger_access(url, read)
            if ledger is None:
                return None
            ledgers[merchant] = ledger
        return merge(ledgers)

    def _reasons_to_stop(self, batches: list[Batch]) -> list[str]:
        reasons = []
        fired = self._abort.feed(batches, at_s=self._now_s())
        if fired is not None:
            reasons.append(fired)
        if (self.brief.folder / KILL_FILE).exists():
            reasons.append(f"the kill file {self.brief.folder / KILL_FILE} is there")
        if self._parent and os.getppid() != int(self._parent):
            reasons.append("the command that started the run is gone")
        return reasons[:1]

    def _write_queue(self) -> list[Batch]:
        """Write what came in, in a native thread, so that a slow disk never delays a customer.

        Returns the reports that are new; each is acknowledged once it is on disk.
        """
        assert self._writer is not None
        assert self._roster is not None
        queue, self._queue = self._queue, []
        now_s = self._now_s()
        batches = [batch for batch in queue if self._roster.note(batch, now_s=now_s)]
        if batches:
            failure = gevent.get_hub().threadpool.apply(_failure_of, (self._writer.write, batches))
            if failure is not None:
                raise failure
        for batch in queue:
            self._crew.acknowledge(batch.worker, batch.seq)
        return batches

    def _record(self, kind: str, text: str) -> None:
        if self._writer is not None:
            self._writer.record_event(Event(self._now_s(), kind, text))

    def _now_s(self) -> float:
        """Seconds since the start of the run, negative before it."""
        return perf_counter() - self._started_at

    def _with_ledger_access(self, url: str, read: Callable[[UnmeasuredClient], Any]) -> Any:
        """Read the books of the shop at `url`; a refusal is noted, because the audit is then unknown.

        Raises: AnalysisError, if the driver raises before the run.
        """
        allow = self.brief.scenario.safety.allow
        client = UnmeasuredClient(url, self._tag(), limit_s=BOOKS_LIMIT_S, allow=allow)
        try:
            return read(client)
        except Rejected as refusal:
            logger.warning("the shop's ledger cannot be read: %s", refusal)
            self._record("ledger_unreadable", str(refusal))
            return None
        except Exception as error:
            fault = raised(self.brief.driver, "read_ledger", error)
            if self._writer is None:  # nobody has come yet: better no run than one without its audit
                raise fault from error
            logger.error("%s", fault)
            self._record("ledger_unreadable", str(fault))
            return None
        finally:
            client.close()

    def _tag(self) -> dict[str, str]:
        return {RUN_HEADER: self.brief.run_id}

    def _meta(self, schedule: Schedule, starts_at_ns: int) -> RunMeta:
        assert self._target is not None
        scenario, shop = self.brief.scenario, self.brief.scenario.target.shop
        return RunMeta(
            run_id=self.brief.run_id,
            title=scenario.title,
            story=scenario.story,
            scenario_name=scenario.name,
            scenario_text=scenario.source_text,
            storefront=scenario.target.storefront,
            target_url=self._target.url,
            shop_profile=None if shop is None else shop.profile,
            seed=scenario.seed,
            workers=len(self._crew.names),
            started_at_unix_ns=starts_at_ns,
            duration_s=schedule.duration_s,
            **self.brief.about,
        )


def _failure_of(write: Callable[[list[Batch]], object], batches: list[Batch]) -> DoorbusterError | None:
    """What went wrong, as a value: gevent prints the traceback of whatever a native thread raises."""
    try:
        write(batches)
    except DoorbusterError as error:
        return error
    return None
