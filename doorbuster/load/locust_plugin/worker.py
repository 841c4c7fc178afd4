"""The worker's side of a distributed run: takes orders, ships a batch a second until each is acknowledged.

Load that nobody watches must end. A worker that hears nothing from the master for as long as the master would
wait for it, no acknowledgement and no heartbeat of Locust's, sends its customers away and ends. Heartbeats
go on while a slow disk keeps the acknowledgements back; if those stay away for MASTER_LIMIT_S it ends too.
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
    BATCH,
    CLOCK,
    CLOSE,
    ORDERS,
    TAKE_OVER,
    batch_to_wire,
    orders_from_wire,
    rows_from_wire,
    scenario_from_wire,
)
from doorbuster.load.coordination.worker_registry import SILENCE_LIMIT_S
from doorbuster.load.engine.generator import REPORT_INTERVAL_S, Generator, make_assignment
from doorbuster.load.locust_plugin.node import Node
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront

RESEND_AFTER_S = 2.0  # well within the silence after which a worker counts as lost
MASTER_LIMIT_S = 15.0  # how long a report may go without being acknowledged


class WorkerNode(Node):
    """One worker of a distributed run."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        super().__init__(environment, drivers)
        self._runner = environment.runner
        self._run_id = ""
        self._unacknowledged: dict[int, tuple[float, Batch]] = {}
        self._reports_in_silence = 0
        self._process = psutil.Process()
        for message, listener in (
            (CLOCK, self._on_clock),
            (ACKNOWLEDGED, self._on_acknowledged),
        ):
            self._runner.register_message(message, listener)
        for message, listener in (
            (ORDERS, self._on_orders),
            (TAKE_OVER, self._on_take_over),
            (CLOSE, self._on_close),
        ):
            self._runner.register_message(message, listener, concurrent=True)
        environment.events.test_stopping.add_listener(self._on_test_stopping)
        environment.events.heartbeat_received.add_listener(self._on_heartbeat)

    # ---- the master's messages

    def _on_clock(self, msg: Any, **_: Any) -> None:
        there = read_clocks()
        who = {"pid": self._process.pid, "created_unix_s": self._process.create_time()}
        self._runner.send_message(CLOCK, {"sent": msg.data["sent"], "there": there, **who})

    def _on_orders(self, msg: Any, **_: Any) -> None:
        scenario = scenario_from_wire(msg.data)
        orders = orders_from_wire(msg.data, scenario)
        self._run_id = orders.run_id
        self._unacknowledged.clear()
        self._reports_in_silence = 0
        self.assign(
            make_assignment(
                orders,
                scenario,
                index=msg.data["index"],
                count=msg.data["count"],
                worker=self._runner.client_id,
            ),
            partial(self._ship, orders.run_id),
        )

    def _on_heartbeat(self, **_: Any) -> None:
        self._reports_in_silence = 0

    def _on_acknowledged(self, msg: Any, **_: Any) -> None:
        self._reports_in_silence = 0
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
            gevent.spawn(self._see_through, run_id)
            return
        self._send_again()
        self._reports_in_silence += 1  # counted, not timed: a process that was stopped has not listened
        in_doubt = batch.seq - min(self._unacknowledged)
        if (
            self._reports_in_silence > SILENCE_LIMIT_S / REPORT_INTERVAL_S
            or in_doubt > MASTER_LIMIT_S / REPORT_INTERVAL_S
        ):
            gevent.spawn(self._end_without_master)

    def _see_through(self, run_id: str) -> None:
        """After the last report nothing else calls for a look at those that were not acknowledged."""
        give_up_at = perf_counter() + MASTER_LIMIT_S
        while run_id == self._run_id and self._unacknowledged and perf_counter() < give_up_at:
            gevent.sleep(REPORT_INTERVAL_S)
            self._send_again()

    def _send_again(self) -> None:
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
        """The master ends the run for this worker; whatever was not reported yet is shipped now."""
        generator: Generator | None = self.generator
        if generator is not None:
            generator.close()
        self.forget()
