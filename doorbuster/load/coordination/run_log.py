"""Writes reports and events to the run file in a native thread, so that a slow disk never delays the load.

Rules:
- What cannot be written, because the disk is full or the file is locked, waits in memory and is written as
  soon as that is possible; an event then states for how long it waited.
- After WRITE_LIMIT_S without success the recording is given up, so the backlog is bounded by that time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import DoorbusterError, RecordError, RecordingFailed
from doorbuster.load.coordination.worker_registry import WorkerLoss, WorkerRegistry
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.records.batch import Batch, Event, ObservedValue
from doorbuster.records.outcome import RECORD_DELAYED
from doorbuster.records.writer import RunWriter
from doorbuster.units import format_duration

logger = logging.getLogger("doorbuster")

WRITE_LIMIT_S = 60.0
COORDINATOR = "coordinator"  # name of this process in its own reports


class RunLog:
    """Queue and file of one run.

    now_s: seconds since the start of the run.
    """

    def __init__(self, writer: RunWriter, registry: WorkerRegistry, now_s: Callable[[], float]) -> None:
        self.writer = writer
        self._registry = registry
        self._now_s = now_s
        self._queue: list[Batch] = []
        self._unwritten: list[Batch] = []
        self._events: list[Event] = []
        self._observed: list[ObservedValue] = []
        self._failing_since: float | None = None
        self._final_report = Flag()
        self._own_reports = 0

    def receive(self, batch: Batch) -> None:
        """Queue a worker's report; called from Locust's message loop."""
        self._queue.append(batch)
        if batch.final:
            self._final_report.set()

    def wait(self, timeout_s: float) -> None:
        """Wait for a last report."""
        self._final_report.wait(timeout=timeout_s)
        self._final_report.clear()

    def write_queue(self) -> list[Batch]:
        """Write what is queued, as far as possible; returns the new reports.

        Raises: RecordingFailed if nothing could be written for WRITE_LIMIT_S.
        """
        queue, self._queue = self._queue, []
        batches = [batch for batch in queue if self._registry.register(batch, now_s=self._now_s())]
        self._unwritten += batches
        self._write()
        return batches

    def add_loss(self, loss: WorkerLoss) -> None:
        """Queue what a lost worker leaves behind, as a report of this process."""
        self._add_own(customers=loss.customers, arrivals=loss.arrivals)

    def record(self, kind: str, text: str, *, at_s: float | None = None) -> None:
        """Queue an event, of now unless a time is given."""
        self._events.append(Event(self._now_s() if at_s is None else at_s, kind, text))

    def observe(self, values: Iterable[ObservedValue], events: Iterable[Event]) -> None:
        """Queue what was observed at the target."""
        self._observed += values
        self._events += events

    def complete(self) -> None:
        """Write everything, the last time. Raises: RecordingFailed."""
        if self._own_reports:
            self._add_own(final=True)
        self.write_queue()
        while self._unwritten or self._events or self._observed:
            gevent.sleep(REPORT_INTERVAL_S)
            self.write_queue()

    def persist(self, action: Callable[..., object], *args: Any) -> None:
        """Call a method of the writer until it succeeds. Raises: RecordingFailed."""
        while not self._succeeds(action, *args):
            gevent.sleep(REPORT_INTERVAL_S)

    def _add_own(self, **content: Any) -> None:
        self._unwritten.append(Batch(COORDINATOR, self._own_reports, **content))
        self._own_reports += 1

    def _write(self) -> None:
        if not (self._unwritten or self._events or self._observed):
            return
        batches, events, observed = self._unwritten[:], self._events[:], self._observed[:]
        if self._succeeds(self.writer.write, batches, events, observed):
            del self._unwritten[: len(batches)]
            del self._events[: len(events)]
            del self._observed[: len(observed)]

    def _succeeds(self, action: Callable[..., object], *args: Any) -> bool:
        """Whether the call could write; raises RecordingFailed when it has failed for too long."""
        failure = _call_in_thread(action, *args)
        if failure is None:
            if self._failing_since is not None:
                lasted_s, self._failing_since = perf_counter() - self._failing_since, None
                text = f"the run file could not be written for {format_duration(lasted_s)}; nothing was lost"
                self.record(RECORD_DELAYED, text)
                logger.warning("%s", text)
            return True
        if not isinstance(failure, RecordError):
            raise failure
        if self._failing_since is None:
            self._failing_since = perf_counter()
            logger.warning("%s; reports wait in memory", failure)
        waited_s = perf_counter() - self._failing_since
        if waited_s > WRITE_LIMIT_S:
            raise RecordingFailed(
                f"{failure}; nothing could be written for {format_duration(waited_s)}, so the recording was "
                "given up: what was recorded before is kept"
            ) from failure
        return False


def _call_in_thread(action: Callable[..., object], *args: Any) -> DoorbusterError | None:
    """Call in a native thread, or here if none can be started; the error is a value.

    gevent prints the traceback of every exception in a native thread.
    """
    try:
        failure: DoorbusterError | None = gevent.get_hub().threadpool.apply(_failure_of, (action, *args))
    except RuntimeError as error:
        if "new thread" not in str(error):
            raise
        return _failure_of(action, *args)
    return failure


def _failure_of(action: Callable[..., object], *args: Any) -> DoorbusterError | None:
    try:
        action(*args)
    except DoorbusterError as error:
        return error
    return None
