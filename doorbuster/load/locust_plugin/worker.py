"""The plug-in on a worker: runs its assignment and reports to the master."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from doorbuster.errors import ExitCode
from doorbuster.load.coordination.messages import (
    ASSIGNMENT,
    CLOSE,
    TAKE_OVER,
    assignment_from_wire,
    rows_from_wire,
)
from doorbuster.load.coordination.worker_registry import SHARE_LIMIT_S
from doorbuster.load.locust_plugin.node import Node
from doorbuster.load.locust_plugin.report_channel import ReportChannel
from doorbuster.load.runtime.supervision import leave, supervise_worker
from doorbuster.records.outcome import Cause
from doorbuster.storefronts import Storefront


class WorkerNode(Node):
    """One worker of a distributed run."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        super().__init__(environment, drivers)
        self._runner = environment.runner
        supervise_worker(environment, self._end_without_master, partial(self._leave, Cause.INTERRUPTED))
        self._reports = ReportChannel(environment, self._end_without_master, self._on_share)
        for message, listener in (
            (ASSIGNMENT, self._on_assignment),
            (TAKE_OVER, self._on_take_over),
            (CLOSE, self._on_close),
        ):
            self._runner.register_message(message, listener, concurrent=True)
        environment.events.test_stopping.add_listener(self._on_test_stopping)

    def _on_assignment(self, msg: Any, **_: Any) -> None:
        assignment = assignment_from_wire(msg.data, worker=self._runner.client_id)
        run_id = assignment.plan.run_id
        self._reports.begin(run_id)
        self.assign(assignment, partial(self._reports.ship, run_id))
        if self.generator is not None:
            self.generator.ceiling.valid_until(assignment.plan.started_at + SHARE_LIMIT_S)

    def _on_share(self, per_s: float, sent_at: float) -> None:
        if self.generator is not None:
            self.generator.ceiling.set_rate(per_s)
            self.generator.ceiling.valid_until(sent_at + SHARE_LIMIT_S)

    def _on_take_over(self, msg: Any, **_: Any) -> None:
        if self.generator is not None:
            self.generator.take_over(rows_from_wire(msg.data))

    def _on_close(self, msg: Any, **_: Any) -> None:
        self.close(msg.data["cause"])

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
