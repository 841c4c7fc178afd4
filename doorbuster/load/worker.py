"""The worker's side of a distributed run: takes orders, ships a batch a second until each is acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter, time
from typing import Any

import gevent

from doorbuster.load.generator import REPORT_INTERVAL_S, Generator, assignment_of
from doorbuster.load.messages import (
    ACKNOWLEDGED,
    BATCH,
    CLOCK,
    CLOSE,
    ORDERS,
    TAKE_OVER,
    orders_from_wire,
    rows_from_wire,
    scenario_from_wire,
)
from doorbuster.load.side import Side
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront

RESEND_AFTER_S = 3.0
MASTER_LIMIT_S = 15.0  # load without a master must end


class WorkerSide(Side):
    """One worker of a distributed run."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        super().__init__(environment, drivers)
        self._runner = environment.runner
        self._unacknowledged: dict[int, tuple[float, Batch]] = {}
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

    # ---- the master's messages

    def _on_clock(self, msg: Any, **_: Any) -> None:
        self._runner.send_message(CLOCK, {"sent_s": msg.data["sent_s"], "there_s": time()})

    def _on_orders(self, msg: Any, **_: Any) -> None:
        scenario = scenario_from_wire(msg.data)
        orders = orders_from_wire(msg.data, scenario)
        self._unacknowledged.clear()
        self.assign(
            assignment_of(
                orders,
                scenario,
                index=msg.data["index"],
                count=msg.data["count"],
                worker=self._runner.client_id,
            ),
            self._ship,
        )

    def _on_acknowledged(self, msg: Any, **_: Any) -> None:
        self._unacknowledged.pop(msg.data["seq"], None)

    def _on_take_over(self, msg: Any, **_: Any) -> None:
        if self.generator is not None:
            self.generator.take_over(rows_from_wire(msg.data))

    def _on_close(self, msg: Any, **_: Any) -> None:
        self.close(msg.data["cause"])

    # ---- reports

    def _ship(self, batch: Batch) -> None:
        now = perf_counter()
        self._unacknowledged[batch.seq] = (now, batch)
        self._send(batch)
        for seq, (sent_at, old) in list(self._unacknowledged.items()):
            if now - sent_at > RESEND_AFTER_S:
                self._unacknowledged[seq] = (now, old)
                self._send(old)
        if batch.seq - min(self._unacknowledged) > MASTER_LIMIT_S / REPORT_INTERVAL_S and not batch.final:
            gevent.spawn(self._end_without_master)

    def _send(self, batch: Batch) -> None:
        self._runner.send_message(BATCH, batch.to_wire())

    def _end_without_master(self) -> None:
        self.close("master_lost")
        self._runner.quit()

    def _on_test_stopping(self, **_: Any) -> None:
        """The master ends the run for this worker; whatever was not reported yet is shipped now."""
        generator: Generator | None = self.generator
        if generator is not None:
            generator.close()
        self.forget()
