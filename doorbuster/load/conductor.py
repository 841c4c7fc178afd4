"""One run, seen from the master (or from the only process): plan, hand out, gather, end, account.

The conductor owns the run file. Workers own nothing that is not on its way here: each ships a numbered batch
a second, and a run ends only when the last batch of every worker has been written (or a worker is known to
be lost, which the run file then says).
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, time, time_ns
from typing import Any

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import DoorbusterError, ExitCode, RecordError
from doorbuster.gate import AbortWatch
from doorbuster.load.books import read_ledger, read_opening_stock
from doorbuster.load.generator import REPORT_INTERVAL_S, TRAFFIC_TAG
from doorbuster.load.target import PlainClient, Target, check_allowed, open_target, read_assortment
from doorbuster.records.batch import Batch, Event
from doorbuster.records.meta import RunMeta, RunStatus
from doorbuster.records.runfile import RunWriter
from doorbuster.scenario import Scenario, Schedule, plan_schedule
from doorbuster.storefronts import DRIVERS, Assortment, Rejected

logger = logging.getLogger("doorbuster")

LEAD_S = 1.0  # between the plan and the first arrival, so that every worker is ready
FINAL_REPORT_LIMIT_S = 15.0  # how long the last reports of the workers are waited for
BOOKS_LIMIT_S = 20.0
KILL_FILE = "STOP"


@dataclass(frozen=True, slots=True)
class Brief:
    """What a run is to be: decided before Locust starts anything."""

    scenario: Scenario
    folder: Path
    run_id: str
    confirmed_host: str | None
    about: dict[str, Any]  # versions, machine, git commit, as the run file keeps them


@dataclass(frozen=True, slots=True)
class Orders:
    """What the conductor tells the workers; each takes its share by its index."""

    run_id: str
    schedule: Schedule
    assortment: Assortment
    url: str
    starts_at_unix_s: float


class Conductor:
    """Runs one brief with the workers it is given.

    Args:
        workers: names of the workers, in the order of their shares.
        hand_out: tells every worker its orders; called once.
        close_gates: tells every worker to stop early and ship its last batch.
    """

    def __init__(
        self,
        brief: Brief,
        workers: list[str],
        *,
        hand_out: Callable[[Orders], None],
        close_gates: Callable[[str], None],
    ) -> None:
        self.brief = brief
        self.workers = workers
        self.over = Flag()
        self.failure: DoorbusterError | None = None
        self._hand_out = hand_out
        self._close_gates = close_gates
        self._target: Target | None = None
        self._writer: RunWriter | None = None
        self._opening: dict[str, int] | None = None
        self._queue: list[Batch] = []
        self._final: set[str] = set()
        self._all_final = Flag()
        self._abort = AbortWatch(brief.scenario)
        self._ending: tuple[RunStatus, str] | None = None
        self._parent = os.getppid()

    # ---- the course of a run

    def run(self) -> None:
        """Conduct the whole run; returns when it is over, whatever happened."""
        try:
            self._begin()
            self._tend()
            self._end()
        except DoorbusterError as error:
            self.failure = error
            logger.error("%s", error)
            sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
            self._close_gates("aborted")
        finally:
            if self._writer is not None:
                self._writer.close()
            if self._target is not None:
                self._target.stop()
            self.over.set()

    def receive(self, batch: Batch) -> None:
        """Take a worker's batch; called from Locust's message loop, so it only queues."""
        self._queue.append(batch)
        if batch.final:
            self._final.add(batch.worker)
            if self._final.issuperset(self.workers):
                self._all_final.set()

    def interrupt(self, reason: str, *, status: RunStatus = "interrupted") -> None:
        """End the run early and orderly: gates close, last batches arrive, books are read."""
        if self._ending is None:
            self._ending = (status, reason)
            self._close_gates(status)

    # ---- inside

    def _begin(self) -> None:
        brief, scenario = self.brief, self.brief.scenario
        brief.folder.mkdir(parents=True, exist_ok=True)
        self._target = open_target(scenario, brief.folder / "shop.log")
        check_allowed(scenario, self._target.url, confirmed_host=brief.confirmed_host)
        assortment = read_assortment(scenario, self._target.url, self._tag())
        self._opening = self._with_books(
            lambda client: read_opening_stock(self._driver(), client, started_unix_s=time())
        )
        schedule = plan_schedule(scenario)
        starts_at_ns = time_ns() + round(LEAD_S * 1e9)
        self._writer = RunWriter.create(
            brief.folder, self._meta(schedule, starts_at_ns), schedule.planned_per_second()
        )
        self._starts_at_unix_s = starts_at_ns / 1e9
        self._hand_out(Orders(brief.run_id, schedule, assortment, self._target.url, self._starts_at_unix_s))

    def _tend(self) -> None:
        """Once a second: write what came in, look for reasons to stop."""
        while not self._all_final.wait(timeout=REPORT_INTERVAL_S):
            batches = self._write_queue()
            for reason in self._reasons_to_stop(batches):
                logger.warning("stopping: %s", reason)
                self._record(Event(time() - self._starts_at_unix_s, "abort", reason))
                self.interrupt(reason, status="aborted")
            if self._ending is not None and not self._all_final.wait(timeout=FINAL_REPORT_LIMIT_S):
                missing = ", ".join(sorted(set(self.workers) - self._final))
                self._record(
                    Event(time() - self._starts_at_unix_s, "worker_lost", f"no last report from {missing}")
                )
                break
        self._write_queue()

    def _end(self) -> None:
        assert self._writer is not None
        status: RunStatus
        status, reason = self._ending or ("finished", "")
        if self._opening is not None:
            ledger = self._with_books(
                lambda client: read_ledger(
                    self._driver(),
                    client,
                    self._opening or {},
                    started_unix_s=self._starts_at_unix_s - LEAD_S,
                    settle_s=BOOKS_LIMIT_S if status == "finished" else 2 * REPORT_INTERVAL_S,
                )
            )
            if ledger is not None:
                self._writer.write_ledger(ledger)
        self._writer.finish(status, reason)

    def _reasons_to_stop(self, batches: list[Batch]) -> list[str]:
        reasons = []
        fired = self._abort.feed(batches, at_s=time() - self._starts_at_unix_s)
        if fired is not None:
            reasons.append(fired)
        if (self.brief.folder / KILL_FILE).exists():
            reasons.append(f"the kill file {self.brief.folder / KILL_FILE} is there")
        if os.environ.get("DOORBUSTER_CHILD") and os.getppid() != self._parent:
            reasons.append("the command that started the run is gone")
        return reasons[:1]

    def _write_queue(self) -> list[Batch]:
        """Write what came in, in a native thread, so that a slow disk never delays a customer."""
        assert self._writer is not None
        batches, self._queue = self._queue, []
        if batches:
            try:
                gevent.get_hub().threadpool.apply(self._writer.write, (batches,))
            except RecordError:
                self._queue = batches + self._queue
                raise
        return batches

    def _record(self, event: Event) -> None:
        assert self._writer is not None
        self._writer.record_event(event)

    def _with_books(self, read: Callable[[PlainClient], Any]) -> Any:
        """Read the shop's books; a shop that refuses is noted, because the audit is then unknown."""
        assert self._target is not None
        client = PlainClient(self._target.url, self._tag(), limit_s=BOOKS_LIMIT_S)
        try:
            return read(client)
        except Rejected as refusal:
            logger.warning("the shop's ledger cannot be read: %s", refusal)
            if self._writer is not None:
                self._record(Event(time() - self._starts_at_unix_s, "ledger_unreadable", str(refusal)))
            return None
        finally:
            client.close()

    def _driver(self) -> Any:
        return DRIVERS[self.brief.scenario.target.storefront]

    def _tag(self) -> dict[str, str]:
        return {TRAFFIC_TAG: self.brief.run_id}

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
            workers=len(self.workers),
            started_at_unix_ns=starts_at_ns,
            duration_s=schedule.duration_s,
            **self.brief.about,
        )


def exit_code_of(failure: DoorbusterError | None, status: str) -> ExitCode | None:
    """The exit code that how a run ended decides by itself; None when its verdict decides."""
    if failure is not None:
        return failure.exit_code
    return {"interrupted": ExitCode.INTERRUPTED, "aborted": ExitCode.ABORTED}.get(status)


def seconds_until(unix_s: float) -> float:
    """A wall-clock moment as a reading of this process' `perf_counter`."""
    return perf_counter() + (unix_s - time())
