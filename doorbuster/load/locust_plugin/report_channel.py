"""A worker's reports to the master: sent once a second, repeated until acknowledged.

Unsupervised load must end. A worker that hears nothing from the master for as long as the master would wait
for it, neither an acknowledgement nor one of Locust's heartbeats, ends. Without acknowledgements for
MASTER_LIMIT_S it ends too. Each one also renews the worker's share of the ceiling on requests.

Locust's own limit on the silence of a master compares readings of the wall clock: a clock that is set forward
would end the worker. It is replaced by one that counts seconds in which this process has run.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from time import perf_counter
from typing import Any

import gevent
import psutil

from doorbuster.load.coordination.clock_sync import read_clocks
from doorbuster.load.coordination.messages import (
    ACKNOWLEDGED,
    BATCH,
    CLOCK,
    Acknowledgement,
    ClockQuestion,
    batch_to_wire,
)
from doorbuster.load.coordination.worker_registry import SILENCE_LIMIT_S
from doorbuster.load.http.generator_limits import descriptor_limit
from doorbuster.load.locust_plugin.worker_port import MasterMessages
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.records.batch import Batch

RESEND_AFTER_S = 2.0  # well below SILENCE_LIMIT_S, after which a worker counts as lost
HEARTBEAT_LIMIT_S = 60  # without one of Locust's heartbeats, also between runs
MASTER_LIMIT_S = 15.0  # longest wait for the acknowledgement of a report


class ReportChannel:
    """Ships the batches of one run at a time, and answers the master's clock messages.

    on_master_lost: called once, in a greenlet of its own, when the master does not answer any more.
    on_share: called with the worker's share of the ceiling, in requests per second, and the time at which the
        report was sent that the master has answered.
    """

    def __init__(
        self,
        environment: Any,
        messages: MasterMessages,
        on_master_lost: Callable[[], None],
        on_share: Callable[[float, float], None] = lambda *_: None,
    ) -> None:
        self._runner = environment.runner
        self._on_master_lost = on_master_lost
        self._on_share = on_share
        self._run_id = ""
        self._unacknowledged: dict[int, tuple[float, Batch]] = {}
        self._first_sent_at: dict[int, float] = {}
        self._unanswered_reports = 0
        self._process = psutil.Process()
        messages.on(CLOCK, self._on_clock)
        messages.on(ACKNOWLEDGED, self._on_acknowledged)
        environment.events.heartbeat_received.add_listener(self._on_heartbeat)
        self._silent_s = -inf  # until the first heartbeat
        gevent.spawn(self._watch_heartbeats)

    def begin(self, run_id: str) -> None:
        """Start a new run; reports of an earlier one are not sent again."""
        self._run_id = run_id
        self._unacknowledged.clear()
        self._first_sent_at.clear()
        self._unanswered_reports = 0

    def ship(self, run_id: str, batch: Batch) -> None:
        """Send a batch, and those before it that are not acknowledged in time."""
        if run_id != self._run_id:
            return
        now = self._first_sent_at[batch.seq] = perf_counter()
        self._unacknowledged[batch.seq] = (now, batch)
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
            gevent.spawn(self._on_master_lost)

    def _on_clock(self, content: object) -> None:
        there, question = read_clocks(), ClockQuestion.from_wire(content)
        process = {
            "pid": self._process.pid,
            "created_unix_s": self._process.create_time(),
            "descriptors": descriptor_limit(),
        }
        self._runner.send_message(CLOCK, {**question.to_wire(), "there": there, **process})

    def _on_heartbeat(self, **_: Any) -> None:
        self._unanswered_reports, self._silent_s = 0, 0.0
        self._runner.last_heartbeat_timestamp = None  # switches Locust's own limit off

    def _watch_heartbeats(self) -> None:
        while self._silent_s <= HEARTBEAT_LIMIT_S:
            gevent.sleep(1.0)
            self._silent_s += 1.0
        self._on_master_lost()

    def _on_acknowledged(self, content: object) -> None:
        received = Acknowledgement.from_wire(content)
        self._unanswered_reports = 0
        if received.run_id != self._run_id:  # a late one, of the run before
            return
        self._unacknowledged.pop(received.seq, None)
        sent_at = self._first_sent_at.pop(received.seq, None)
        if sent_at is not None and received.share_per_s is not None:
            self._on_share(received.share_per_s, sent_at)

    def _resend_until_acknowledged(self, run_id: str) -> None:
        """Resend after the last report, when there are no further reports that would do it.

        Without an answer the master is lost; Locust itself would wait for a minute.
        """
        give_up_at = perf_counter() + MASTER_LIMIT_S
        while run_id == self._run_id and self._unacknowledged and perf_counter() < give_up_at:
            gevent.sleep(REPORT_INTERVAL_S)
            self._resend()
        if run_id == self._run_id and self._unacknowledged:
            self._on_master_lost()

    def _resend(self) -> None:
        now = perf_counter()
        for seq, (sent_at, batch) in list(self._unacknowledged.items()):
            if now - sent_at > RESEND_AFTER_S:
                self._unacknowledged[seq] = (now, batch)
                self._send(batch)

    def _send(self, batch: Batch) -> None:
        self._runner.send_message(BATCH, batch_to_wire(self._run_id, batch))
