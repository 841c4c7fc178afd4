"""Follows one run to its end and delivers an update to every receiver at each interval."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from doorbuster.errors import RecordError
from doorbuster.records.batch import Event
from doorbuster.records.row_stream import RowPosition, StreamedRun
from doorbuster.records.schema import FILE_NAME
from doorbuster.streaming.delivery import Delivery, DeliveryTally
from doorbuster.streaming.destination import NATIVE_KIND, PROMETHEUS_KINDS, Destination
from doorbuster.streaming.k6_metrics import k6_metrics, k6_trends
from doorbuster.streaming.metric import Update
from doorbuster.streaming.run_metrics import own_metrics
from doorbuster.streaming.run_totals import RunTotals

DEFAULT_EVERY_S = 1.0
FLUSH_LIMIT_S = 5.0  # for what is queued at the end of the run
MAX_CPU_RATIO = 0.25  # of one core: updates that cost more become less frequent


class RunStream:
    """The stream of one run. `open` before the run, then `follow` until it ends."""

    def __init__(self, folder: Path, destinations: Sequence[Destination], *, every_s: float) -> None:
        self._folder = folder
        self._position = RowPosition()
        self._totals = RunTotals()
        self._every_s = every_s
        self._with_k6 = any(each.kind in PROMETHEUS_KINDS for each in destinations)
        self._with_trends = any(each.kind == NATIVE_KIND for each in destinations)
        self._deliveries = [Delivery(each.name, each.make()) for each in destinations]

    def open(self) -> None:
        """Open every receiver. Raises: UsageError when one cannot be used on this machine."""
        for delivery in self._deliveries:
            delivery.start()

    def follow(self, *, is_cancelled: Callable[[], bool]) -> tuple[DeliveryTally, ...]:
        """Stream until the run has ended, or `is_cancelled`; returns the tally of each receiver."""
        while True:
            began_at, began_cpu_s = time.monotonic(), time.process_time()
            cancelled = is_cancelled()
            ended = self._update() or cancelled
            if ended:
                break
            cost_s = time.process_time() - began_cpu_s
            self._pause(began_at + max(self._every_s, cost_s / MAX_CPU_RATIO), is_cancelled)
        for delivery in self._deliveries:
            delivery.end(within_s=FLUSH_LIMIT_S)
        return tuple(delivery.finish() for delivery in self._deliveries)

    def _pause(self, until: float, is_cancelled: Callable[[], bool]) -> None:
        while (left_s := until - time.monotonic()) > 0 and not is_cancelled():
            time.sleep(min(left_s, 0.2))

    def _update(self) -> bool:
        """Read what is new and queue an update; returns whether the run has ended."""
        totals = self._totals
        try:
            events = self._read()
        except RecordError:  # removed or replaced meanwhile: what was read so far stays valid
            return totals.meta is not None
        if totals.meta is None:
            return False
        now_ns = time.time_ns()
        at_s = (now_ns - totals.meta.started_at_unix_ns) / 1e9
        update = Update(
            at_unix_ns=now_ns,
            started_at_unix_ns=totals.meta.started_at_unix_ns,
            metrics=own_metrics(totals, at_s),
            k6_metrics=k6_metrics(totals) if self._with_k6 else (),
            k6_trends=k6_trends(totals) if self._with_trends else (),
            events=events,
        )
        for delivery in self._deliveries:
            delivery.put(update)
        return totals.meta.status != "running"

    def _read(self) -> tuple[Event, ...]:
        """Add what is new in the run file to the totals; returns the new events.

        The file is closed in between, so that its writer can merge the log into it at the end of the run.
        """
        if not (self._folder / FILE_NAME).exists():
            return ()
        with StreamedRun.open(self._folder, own=True) as run:
            assert isinstance(run, StreamedRun)
            totals = self._totals
            totals.planned = totals.planned or run.planned()
            totals.meta = run.meta  # before the rows: a run that has finished by now has no later ones
            rows = run.new_rows(self._position)
            totals.add(rows, run.worker_names())
            totals.add_visits(durations for _, durations in run.new_visits(self._position))
            return rows.reports.events
