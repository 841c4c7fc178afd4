"""The recorder on the master, or in the only process: opens, writes and closes the run file."""

from __future__ import annotations

import logging
import os
from datetime import datetime
from functools import partial
from math import inf
from pathlib import Path
from secrets import token_hex
from time import perf_counter, time_ns
from typing import Any

import gevent
import numpy as np
from gevent.event import Event as Flag
from locust.runners import MasterRunner

from doorbuster.errors import ExitCode, RecordingFailed
from doorbuster.load.coordination.messages import RECORD, CloseCause, RecordOrder, ScheduleSummary
from doorbuster.load.coordination.model import FINAL_REPORT_LIMIT_S
from doorbuster.load.coordination.preflight import check_shares
from doorbuster.load.coordination.run_log import RunLog
from doorbuster.load.coordination.stop_reasons import StopReasons
from doorbuster.load.coordination.worker_registry import WorkerRegistry
from doorbuster.load.http.send_limit import share_of
from doorbuster.load.locust_plugin.master import RemoteWorkers
from doorbuster.load.locust_plugin.peak_tab import PeakTab
from doorbuster.load.locust_plugin.plugin import exit_on_error
from doorbuster.load.plain_locust.checks import PlainPlan, check_hosts, check_tasks
from doorbuster.load.plain_locust.client_guard import ClientGuard
from doorbuster.load.plain_locust.request_recorder import RequestRecorder
from doorbuster.load.plain_locust.visits import VisitStarter
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.load.runtime.generator_info import generator_info
from doorbuster.load.runtime.supervision import end_with_command
from doorbuster.load.target.observation import TargetObserver
from doorbuster.records.batch import Batch
from doorbuster.records.metadata import RunMeta, RunStatus
from doorbuster.records.writer import RunWriter

logger = logging.getLogger("doorbuster")

EARLY_S = 1.5  # an end that much before the planned one was the Locust file's own decision
LEAD_S = 1.0  # until the first arrival, so that every worker is ready
LOCAL, MASTER = "local", "master"


class PlainMaster:
    """Records one run after another, as Locust starts and stops tests."""

    def __init__(
        self, environment: Any, plan: PlainPlan, guard: ClientGuard, peak_tab: PeakTab | None = None
    ) -> None:
        self._environment = environment
        self._peak_tab = peak_tab
        self._plan = plan
        self._guard = guard
        self._folder_option = environment.parsed_options.run_folder
        self._workers = (
            RemoteWorkers(environment.runner) if isinstance(environment.runner, MasterRunner) else None
        )
        self._run: PlainRun | None = None
        self._interrupted = False
        self._waits_for_workers = environment.web_ui is None
        end_with_command(self._on_command_lost)
        if self._workers is not None:
            self._workers.listen(self._receive)
        # The last listener, so that requests of the file's own listeners belong to the run.
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.test_stop.add_listener(self._on_test_stop)

    def start_run(self) -> None:
        """Locust starts a test: open the run file before the first user starts."""
        self._waits_for_workers = False
        with exit_on_error():
            check_tasks(self._environment)
            hosts, targets = check_hosts(self._environment, self._plan.scenario, self._plan.confirmed)
            observer = TargetObserver(self._plan.scenario, confirmed_hosts=self._plan.confirmed)
            max_rate_per_s = self._plan.scenario.safety.max_rate_per_s
            self._guard.begin(hosts, self._plan.named_hosts(targets), self._plan.headers, max_rate_per_s)
            if self._workers is not None:
                self._workers.refresh_workers()
                self._workers.sync_clocks()
                check_shares(max_rate_per_s, len(self._workers.names))
            folder = self._folder()
            self._run = PlainRun(self._environment, self._plan, folder, targets, self._workers, observer)
            self._run.start(self._guard)
            if self._peak_tab is not None:
                self._peak_tab.begin(folder, self._plan.scenario.title)

    def on_interrupt(self) -> None:
        """SIGINT: remember it, because Locust ends interrupted and complete runs alike."""
        self._interrupted = True
        if self._waits_for_workers:  # Locust does not tell them before a run
            self._environment.runner.quit()
            raise SystemExit(int(ExitCode.INTERRUPTED))
        raise KeyboardInterrupt

    def _on_command_lost(self) -> None:
        """During a run, its supervisor ends it and keeps what is recorded."""
        if self._waits_for_workers:
            self._environment.runner.quit()
            os._exit(int(ExitCode.INTERRUPTED))

    def _receive(self, run_id: str, batch: Batch) -> None:
        if self._run is not None and self._run.run_id == run_id:
            self._run.receive(batch)

    def _on_test_stopping(self, **_: Any) -> None:
        if self._run is not None:
            self._run.stopping()

    def _on_test_stop(self, **_: Any) -> None:
        run = self._run
        if run is None:
            return
        with exit_on_error():
            run.finish(interrupted=self._interrupted)
        self._run = None  # until then it receives the last reports

    def _folder(self) -> Path:
        now = datetime.now().astimezone()
        folder = self._folder_option or f"reports/{now:%Y%m%d-%H%M%S}-{self._plan.scenario.name}"
        self._folder_option = ""  # a second run from the web UI gets its own folder
        return Path(folder)


class PlainRun:
    """One run: its file, its recorders, and the reasons to end it early."""

    def __init__(
        self,
        environment: Any,
        plan: PlainPlan,
        folder: Path,
        targets: tuple[str, ...],
        workers: RemoteWorkers | None,
        observer: TargetObserver,
    ) -> None:
        now = datetime.now().astimezone()
        self.run_id = f"{now:%Y%m%dT%H%M%S}-{token_hex(3)}"
        self._environment = environment
        self._plan = plan
        self._workers = workers
        self._started_at = perf_counter() + (LEAD_S if plan.is_open else 0.0)
        self._ending: tuple[RunStatus, str] | None = None
        self._reasons = StopReasons(plan.scenario, folder)
        names = [LOCAL] if workers is None else [MASTER, *workers.names]
        self._schedule = plan.schedule
        self._registry = WorkerRegistry(self._schedule, names if workers is None else names[1:], now_s=0.0)
        if workers is not None:
            self._registry.add(MASTER, now_s=0.0)
        meta = self._meta(targets, len(names) - (workers is not None))
        writer = RunWriter.create(folder, meta, self._schedule.planned_per_second())
        self._log = RunLog(writer, self._registry, self._now_s)
        self._observer = observer
        observer.start(self._started_at, folder)
        self._recorder: RequestRecorder | None = None
        self._visits: VisitStarter | None = None
        self._in_flight: dict[str, int] = {}
        self._supervisor: gevent.Greenlet | None = None
        self._over = Flag()

    def start(self, guard: ClientGuard) -> None:
        """Tell the workers to record, and record in this process."""
        if self._workers is not None:
            self._workers.begin(self.run_id)
            count, limit_per_s = len(self._workers.names), self._plan.scenario.safety.max_rate_per_s
            for index, name in enumerate(self._workers.names):
                content = {
                    "run_id": self.run_id,
                    "started_at": self._started_at + self._workers.counter_offset_s(name),
                    "hosts": guard.allowed.to_wire(),
                    "named": sorted(guard.named),
                    "headers": self._plan.headers.to_wire(),
                    "scenario_text": self._plan.scenario.source_text,
                    "ratios": dict(self._plan.ratios),
                    "index": index,
                    "count": count,
                    "schedule": ScheduleSummary.of(self._schedule),
                    "max_rate_per_s": None if limit_per_s is None else share_of(limit_per_s, index, count),
                }
                self._workers.send(name, RECORD, RecordOrder.model_validate(content))
        name = LOCAL if self._workers is None else MASTER
        self._recorder = RequestRecorder(self._environment, guard, name, self._started_at, self.receive)
        if self._plan.is_open and self._workers is None:
            scenario = self._plan.scenario
            self._visits = VisitStarter(
                self._environment,
                self._recorder,
                self._schedule,
                np.arange(len(self._schedule)),
                tasks=scenario.locust.tasks,
                max_in_flight=scenario.safety.max_in_flight,
            )
        self._supervisor = gevent.spawn(self._supervise)

    def receive(self, batch: Batch) -> None:
        """Queue a report and acknowledge it."""
        self._log.receive(batch)
        if self._workers is not None and batch.worker != MASTER:
            self._workers.acknowledge(batch.worker, batch.seq)

    def stopping(self) -> None:
        """Locust is about to stop its users: end the visits first, because it would complete them."""
        if self._visits is not None:
            self._visits.finish(self._cause())

    def _cause(self) -> CloseCause:
        """Why visits that have not ended are dropped."""
        ended = self._now_s() >= self._plan.duration_s + self._plan.scenario.drain_s
        return "drain_limit" if ended else "interrupted"

    def finish(self, *, interrupted: bool) -> None:
        """Locust has stopped its users: collect the last reports and close the file."""
        assert self._recorder is not None
        assert self._supervisor is not None
        elapsed_s = self._now_s()
        self._over.set()
        self._supervisor.join()
        self._recorder.finish()
        if self._workers is not None:
            self._workers.stop_all(self._cause())
        self._log.observe(*self._observer.stop(gevent.sleep))
        self._reasons.record_problems(self._log)
        give_up_at = perf_counter() + FINAL_REPORT_LIMIT_S + self._environment.stop_timeout
        self._log.write_queue()
        while not self._registry.complete and perf_counter() < give_up_at:
            self._log.wait(REPORT_INTERVAL_S)
            self._log.write_queue()
        for name in self._registry.waiting_for:
            self._lose(name)
        status, reason = self._ending or (
            ("interrupted", "stopped before the end of its run time") if interrupted else ("finished", "")
        )
        if status == "finished" and elapsed_s < self._plan.duration_s - EARLY_S:
            text = f"{self._environment.locustfile} ended the run after {elapsed_s:.0f} s"
            self._log.record("ended_early", text, at_s=elapsed_s)
            self._log.persist(partial(self._log.writer.set_meta, duration_s=elapsed_s))
        self._log.complete()
        self._log.persist(self._log.writer.finish, status, reason)
        self._log.writer.close()

    # ---- inside

    def _supervise(self) -> None:
        """Once a second: write reports, detect lost workers, check the reasons to end the run."""
        while not self._over.wait(REPORT_INTERVAL_S):
            now_s = self._now_s()
            observed, events = self._observer.read(now_s)
            self._log.observe(observed, events)
            try:
                batches = self._log.write_queue()
            except RecordingFailed as failure:  # `finish` raises it again
                self._ending = ("aborted", str(failure))
                gevent.spawn(self._environment.runner.quit)
                return
            ended = self._workers.ended_workers() if self._workers is not None else frozenset()
            for name in self._registry.waiting_for:
                if name in ended or name in self._registry.timed_out(now_s=now_s):
                    self._lose(name)
            reason = self._reasons.check(batches, observed, at_s=now_s)
            if reason and self._ending is None:
                logger.warning("stopping: %s", reason)
                self._log.record("abort", reason, at_s=now_s)
                self._ending = ("aborted", reason)
                gevent.spawn(self._environment.runner.quit)
            elif self._is_over(batches, now_s):
                gevent.spawn(self._environment.runner.quit)

    def _is_over(self, batches: list[Batch], now_s: float) -> bool:
        """Whether the run must be ended here: Locust knows neither schedules nor the end of some shapes."""
        for batch in batches:
            for second in batch.health:
                self._in_flight[batch.worker] = second.in_flight
        if self._plan.ends_itself or now_s < self._plan.duration_s:
            return False
        if not self._plan.is_open:
            return True
        drained = now_s > self._plan.duration_s + 2 * REPORT_INTERVAL_S and not any(self._in_flight.values())
        return drained or now_s >= self._plan.duration_s + self._plan.scenario.drain_s

    def _lose(self, name: str) -> None:
        loss = self._registry.lose(name, from_s=inf)
        self._log.add_loss(loss)
        text = f"{name} stopped reporting; requests of its last second may be missing"
        logger.error("worker lost: %s", text)
        self._log.record("worker_lost", text)

    def _now_s(self) -> float:
        return perf_counter() - self._started_at

    def _meta(self, targets: tuple[str, ...], workers: int) -> RunMeta:
        scenario = self._plan.scenario
        return RunMeta(
            run_id=self.run_id,
            title=scenario.title,
            story=scenario.story,
            scenario_name=scenario.name,
            scenario_text=scenario.source_text,
            workload="open" if self._plan.is_open else "closed",
            storefront="",
            target_url=", ".join(targets),
            seed=scenario.seed if self._plan.is_open else 0,
            workers=workers,
            started_at_unix_ns=time_ns() - round(self._now_s() * 1e9),
            duration_s=self._plan.duration_s,
            **generator_info(),
        )
