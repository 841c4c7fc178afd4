"""Writes reports to the run file in a native thread, so that a slow disk never delays the load."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import DoorbusterError
from doorbuster.load.coordination.worker_registry import WorkerRegistry
from doorbuster.records.batch import Batch, Event
from doorbuster.records.writer import RunWriter


class RunLog:
    """Queue, file and acknowledgements of one run.

    acknowledge: called with worker and number of each report that is on disk.
    """

    def __init__(
        self, writer: RunWriter, registry: WorkerRegistry, acknowledge: Callable[[str, int], None]
    ) -> None:
        self.writer = writer
        self._registry = registry
        self._acknowledge = acknowledge
        self._queue: list[Batch] = []
        self._final_report = Flag()

    def receive(self, batch: Batch) -> None:
        """Queue a worker's report; called from Locust's message loop."""
        self._queue.append(batch)
        if batch.final:
            self._final_report.set()

    def wait(self, timeout_s: float) -> None:
        """Wait for a last report."""
        self._final_report.wait(timeout=timeout_s)
        self._final_report.clear()

    def write_queue(self, now_s: float) -> list[Batch]:
        """Write the queued reports and return the new ones."""
        queue, self._queue = self._queue, []
        batches = [batch for batch in queue if self._registry.register(batch, now_s=now_s)]
        if batches:
            failure = gevent.get_hub().threadpool.apply(_failure_of, (self.writer.write, batches))
            if failure is not None:
                raise failure
        for batch in queue:
            self._acknowledge(batch.worker, batch.seq)
        return batches

    def record(self, at_s: float, kind: str, text: str) -> None:
        """Record an event."""
        self.writer.record_event(Event(at_s, kind, text))


def _failure_of(write: Callable[[list[Batch]], object], batches: list[Batch]) -> DoorbusterError | None:
    """The error as a value: gevent prints the traceback of every exception in a native thread."""
    try:
        write(batches)
    except DoorbusterError as error:
        return error
    return None
