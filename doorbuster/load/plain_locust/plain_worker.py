"""The recorder on a worker: starts with the master's message, ends when Locust has stopped the users."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any

import numpy as np
from locust.runners import STATE_RUNNING, STATE_SPAWNING

from doorbuster.errors import ExitCode, ScenarioError
from doorbuster.load.coordination.messages import CLOSE, RECORD, PlanDiffers, RecordOrder
from doorbuster.load.coordination.worker_inbox import WorkerInbox
from doorbuster.load.http.allowed_hosts import NO_HOSTS
from doorbuster.load.locust_plugin.report_channel import ReportChannel
from doorbuster.load.locust_plugin.worker_port import MasterMessages
from doorbuster.load.plain_locust.checks import visit_schedule
from doorbuster.load.plain_locust.client_guard import ClientGuard
from doorbuster.load.plain_locust.request_recorder import RequestRecorder
from doorbuster.load.plain_locust.visits import VisitStarter
from doorbuster.load.runtime.supervision import leave, supervise_worker
from doorbuster.records.outcome import Cause
from doorbuster.scenario import read_locust_scenario


class PlainWorker:
    """One worker of a distributed plain run."""

    def __init__(self, environment: Any, guard: ClientGuard) -> None:
        self._environment = environment
        self._guard = guard
        supervise_worker(environment, self._end_without_master, environment.runner.quit)
        self._recorder: RequestRecorder | None = None
        self._visits: VisitStarter | None = None
        self._close_cause = str(Cause.INTERRUPTED)
        self._inbox = WorkerInbox(environment.runner.client_id)
        messages = MasterMessages(environment.runner)
        self._reports = ReportChannel(environment, messages, self._end_without_master)
        messages.on(RECORD, self._on_record)
        messages.on(CLOSE, self._on_close, concurrent=True)
        environment.events.test_start.add_listener(self._on_test_start)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.test_stop.add_listener(self._on_test_stop)
        if environment.runner.worker_state in (STATE_RUNNING, STATE_SPAWNING):
            self._on_test_start()  # Locust gave it users before it was ready to listen

    def _end_without_master(self) -> None:
        leave(self._environment, ExitCode.NOT_RECORDED, self._environment.runner.quit)

    def _on_record(self, content: object) -> None:
        """The next run: it arrives before Locust's message to start users."""
        order = RecordOrder.from_wire(content)
        self._inbox.begin(order, now=perf_counter(), is_busy=self._recorder is not None)
        try:
            scenario = read_locust_scenario(order.scenario_text)
            duration_s = scenario.demand.duration_s if scenario.demand is not None else 0.0
            schedule = visit_schedule(scenario, order.ratios, duration_s)
            order.schedule.check(schedule)
        except (PlanDiffers, ScenarioError) as why:
            leave(self._environment, why.exit_code, self._environment.runner.quit,
                  reason=f"{why}; this worker ends")  # fmt: skip
            return
        self._guard.begin(order.hosts.hosts(), order.named, order.headers.headers(), order.max_rate_per_s)
        self._reports.begin(order.run_id)
        recorder = self._recorder = RequestRecorder(
            self._environment,
            self._guard,
            self._environment.runner.client_id,
            order.started_at,
            partial(self._reports.ship, order.run_id),
        )
        self._close_cause = str(Cause.INTERRUPTED)
        if scenario.demand is not None:
            self._visits = VisitStarter(
                self._environment,
                recorder,
                schedule,
                np.arange(order.index, len(schedule), order.count),
                tasks=scenario.locust.tasks,
                max_in_flight=max(scenario.safety.max_in_flight // order.count, 1),
            )

    def _on_close(self, content: object) -> None:
        """The run ends: Locust's master tells its workers only when its own records are closed."""
        self._close_cause = self._inbox.cause_to_close(content)
        if self._environment.runner.state in (STATE_RUNNING, STATE_SPAWNING):
            self._environment.runner.stop()
        else:
            self._on_test_stopping()
            self._on_test_stop()

    def _on_test_start(self, **_: Any) -> None:
        """Locust gives users to a worker that joins a run; what they do would not be recorded."""
        if self._recorder is None:
            self._guard.allowed = NO_HOSTS
            reason = "the run began before this worker joined it; the worker ends without a request"
            leave(self._environment, ExitCode.NOT_RECORDED, self._environment.runner.quit, reason=reason)

    def _on_test_stopping(self, **_: Any) -> None:
        """Before Locust stops the users, because it would end their visits as if they were complete."""
        visits, self._visits = self._visits, None
        if visits is not None:
            visits.finish(self._close_cause)

    def _on_test_stop(self, **_: Any) -> None:
        recorder, self._recorder = self._recorder, None
        self._inbox.end()
        if recorder is not None:
            recorder.finish()
