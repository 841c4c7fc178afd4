"""The plug-in on a worker: runs its assignment and reports to the master."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

from doorbuster.errors import ExitCode
from doorbuster.load.coordination.messages import ASSIGNMENT, CLOSE, TAKE_OVER, PlanDiffers
from doorbuster.load.coordination.worker_inbox import WorkerInbox
from doorbuster.load.coordination.worker_registry import SHARE_LIMIT_S
from doorbuster.load.engine.generator import customer_classes
from doorbuster.load.locust_plugin.node import Node
from doorbuster.load.locust_plugin.report_channel import ReportChannel
from doorbuster.load.locust_plugin.requirements import unmet_requirements
from doorbuster.load.locust_plugin.worker_port import MasterMessages
from doorbuster.load.run_plan import WorkerAssignment
from doorbuster.load.runtime.supervision import leave, supervise_worker
from doorbuster.records.outcome import Cause
from doorbuster.storefronts import Storefront


class WorkerNode(Node):
    """One worker of a distributed run."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        super().__init__(environment, drivers)
        self._runner = environment.runner
        supervise_worker(environment, self._end_without_master, partial(self._leave, Cause.INTERRUPTED))
        self._inbox = WorkerInbox(self._runner.client_id)
        messages = MasterMessages(self._runner)
        self._reports = ReportChannel(environment, messages, self._end_without_master, self._on_share)
        for kind, listener in (
            (ASSIGNMENT, self._on_assignment),
            (TAKE_OVER, self._on_take_over),
            (CLOSE, self._on_close),
        ):
            messages.on(kind, listener, concurrent=True)
        environment.events.test_stopping.add_listener(self._on_test_stopping)

    def _on_assignment(self, content: object) -> None:
        is_busy = self.generator is not None and not self.generator.has_ended
        try:
            assignment = self._inbox.assignment(content, now=perf_counter(), is_busy=is_busy)
            self._check_requirements(assignment)
        except PlanDiffers as why:
            leave(self.environment, why.exit_code, self._runner.quit, reason=f"{why}; this worker ends")
            return
        run_id = assignment.plan.run_id
        self._reports.begin(run_id)
        self.assign(assignment, partial(self._reports.ship, run_id))
        if self.generator is not None:
            self.generator.ceiling.valid_until(assignment.plan.started_at + SHARE_LIMIT_S)

    def _check_requirements(self, assignment: WorkerAssignment) -> None:
        """Raises: PlanDiffers if the locustfile of this worker is not the master's."""
        scenario = assignment.plan.scenario
        problems = unmet_requirements(
            scenario,
            customer_classes(self.environment.user_classes),
            self.drivers.get(scenario.target.storefront),
            self.environment.locustfile,
        )
        if problems:
            raise PlanDiffers("\n".join(map(str, problems)))

    def _on_share(self, per_s: float, sent_at: float) -> None:
        if self.generator is not None:
            self.generator.ceiling.set_rate(min(per_s, self.generator.max_rate_per_s))
            self.generator.ceiling.valid_until(sent_at + SHARE_LIMIT_S)

    def _on_take_over(self, content: object) -> None:
        rows = self._inbox.rows_to_take_over(content)
        if self.generator is not None:
            self.generator.take_over(rows)

    def _on_close(self, content: object) -> None:
        self.close(self._inbox.cause_to_close(content))

    def _end_without_master(self) -> None:
        leave(self.environment, ExitCode.NOT_RECORDED, partial(self._leave, "master_lost"))

    def _leave(self, cause: str) -> None:
        self.close(cause)
        self._runner.quit()

    def _on_test_stopping(self, **_: Any) -> None:
        """The master ends the run for this worker: ship the last batch."""
        if self.generator is not None:
            self.generator.close()
        self.reset()
        self._inbox.end()
