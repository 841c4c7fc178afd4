"""The plug-in on a worker: runs its assignment, sends a batch a second, and repeats it until acknowledged.

Unsupervised load must end. A worker that hears nothing from the master for as long as the master would wait
for it, neither an acknowledgement nor one of Locust's heartbeats, stops its customers and ends. Heartbeats
continue while a slow disk delays the acknowledgements; without those for MASTER_LIMIT_S it ends too.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from time import perf_counter
from typing import Any

import gevent
import psutil

from doorbuster.load.coordination.clock_sync import read_clocks
from doorbuster.load.coordination.messages import (
    ACKNOWLEDGED,
    ASSIGNMENT,
    BATCH,
    CLOCK,
    CLOSE,
    TAKE_OVER,
    assignment_from_wire,
    batch_to_wire,
    rows_from_wire,
)
from doorbuster.load.coordination.worker_registry import SILENCE_LIMIT_S
from doorbuster.load.locust_plugin.node import Node
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront

RESEND_AFTER_S = 2.0  # well below SILENCE_LIMIT_S, after which a worker counts as lost
MASTER_LIMIT_S = 15.0  # longest wait for the acknowledgement of a report


class WorkerNode(Node):
    """One worker of a distributed run."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        super().__init__(environment, drivers)
        self._runner = environment.runner
        self._run_id = ""
        self._unacknowledged: dict[int, tuple[float, Batch]] = {}
        self._unanswered_reports = 0
        self._process = psutil.Process()
        for message, listener in (
            (CLOCK, self._on_clock),
            (ACKNOWLEDGED, self._on_acknowledged),
        ):
            self._runner.register_message(message, listener)
        for message, listener in (
            (ASSIGNMENT, self._on_assignment),
            (TAKE_OVER, self._on_take_over),
            (CLOSE, self._on_close),
        ):
            self._runner.register_message(message, listener, concurrent=True)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.heartbeat_received.add_listener(self._on_heartbeat)

    # ---- the master's messages

    def _on_clock(self, msg: Any, **_: Any) -> None:
        there = read_clocks()
        process = {"pid": self._process.pid, "created_unix_s": self._process.create_time()}
        self._runner.send_message(CLOCK, {"sent": msg.data["sent"], "there": there, **process})

    def _on_assignment(self, msg: Any, **_: Any) -> None:
        assignment = assignment_from_wire(msg.data, worker=self._runner.client_id)
        self._run_id = assignment.plan.run_id
        self._unacknowledged.clear()
        self._unanswered_reports = 0
        self.assign(assignment, partial(self._ship, self._run_id))

    def _on_heartbeat(self, **_: Any) -> None:
        self._unanswered_reports = 0

    def _on_acknowledged(self, msg: Any, **_: Any) -> None:
        self._unanswered_reports = 0
        if msg.data["run_id"] == self._run_id:
            self._unacknowledged.pop(msg.data["seq"], None)

    def _on_take_over(self, msg: Any, **_: Any) -> None:
        if self.generator is not None:
            self.generator.take_over(rows_from_wire(msg.data))

    def _on_close(self, msg: Any, **_: Any) -> None:
        self.close(msg.data["cause"])

    # ---- reports

    def _ship(self, run_id: str, batch: Batch) -> None:
        if run_id != self._run_id:
            return
        self._unacknowledged[batch.seq] = (perf_counter(), batch)
        self._send(batch)
        if batch.final:
            gevent.spawn(self._resend_until_acknowledged, run_id)
            return
        self._resend()
        self._unanswered_reports += 1  # counted, not timed: a stopped process receives nothing
        backlog = batch.seq - min(self._unacknowledged)
        if (
            self._unanswered_reports > SILENCE_LIMIT_S / REPORT_INTERVAL_S
            or backlog > MASTER_LIMIT_S / REPORT_INTERVAL_S
        ):
            gevent.spawn(self._end_without_master)

    def _resend_until_acknowledged(self, run_id: str) -> None:
        """Resend after the last report, when there are no further reports that would do it."""
        give_up_at = perf_counter() + MASTER_LIMIT_S
        while run_id == self._run_id and self._unacknowledged and perf_counter() < give_up_at:
            gevent.sleep(REPORT_INTERVAL_S)
            self._resend()

    def _resend(self) -> None:
        now = perf_counter()
        for seq, (sent_at, batch) in list(self._unacknowledged.items()):
            if now - sent_at > RESEND_AFTER_S:
                self._unacknowledged[seq] = (now, batch)
                self._send(batch)

    def _send(self, batch: Batch) -> None:
        self._runner.send_message(BATCH, batch_to_wire(self._run_id, batch))

    def _end_without_master(self) -> None:
        self.close("master_lost")
        self._runner.quit()

    def _on_test_stopping(self, **_: Any) -> None:
        """The master ends the run for this worker: ship the last batch."""
        if self.generator is not None:
            self.generator.close()
        self.reset()
