"""The database workers: a fixed number of threads, each with its own connections, and their queue.

Several merchants share the workers: a worker has a connection to each merchant's database.

A worker is held for a whole piece of work, waits included. The oldest work of the highest priority is next.
With a limit, work is refused at once (Busy) if too many others wait. Work whose future is cancelled before a
worker takes it is dropped.
"""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from doorbuster.shop.http_errors import Busy
from doorbuster.shop.infrastructure.busy_time import BusyTime
from doorbuster.shop.infrastructure.database import Database, Session

Work = Callable[[Session], Any]


@dataclass(slots=True)
class Timing:
    """The time of one request by cause, filled in by the worker that served it."""

    queue_s: float = 0.0
    database_s: float = 0.0
    queries: int = 0
    services_s: float = 0.0  # waits for other services, in the design that holds no worker meanwhile
    cache: str = ""


@dataclass(slots=True, order=True)
class _Job:
    priority: int
    number: int
    work: Work = field(compare=False)
    database: Database = field(compare=False)
    timing: Timing = field(compare=False)
    enqueued_s: float = field(compare=False)
    future: Future[Any] = field(compare=False, default_factory=Future)


class DatabaseWorkers:
    """Threads that run work on database sessions; starting and stopping twice is harmless."""

    def __init__(self, *, count: int, query_time_s: float) -> None:
        self.count = count
        self.query_time_s = query_time_s
        self.busy = BusyTime()  # at work on the database, without waits for anything else
        self.held = BusyTime()  # with those waits
        self.refused = 0
        self.queries = 0
        self._heap: list[_Job] = []
        self._ready = threading.Condition()
        self._stopping = threading.Event()
        self._number = 0
        self._waiting = 0
        self._threads = [
            threading.Thread(target=self._serve, name=f"shop-database-{index}", daemon=True)
            for index in range(count)
        ]

    @property
    def waiting(self) -> int:
        """Pieces of work that wait for a worker, without cancelled ones."""
        return self._waiting

    def start(self) -> None:
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def stop(self) -> None:
        """Drop waiting work, let the workers finish their current work, and join their threads."""
        with self._ready:
            self._stopping.set()
            abandoned, self._heap = self._heap, []
            self._ready.notify_all()
        for job in abandoned:
            job.future.cancel()
        for thread in self._threads:
            thread.join()

    def submit(
        self, work: Work, database: Database, timing: Timing, *, priority: int, limit: int | None
    ) -> Future[Any]:
        """Queue `work` on a database; raises Busy if `limit` others wait already, for any database."""
        with self._ready:
            if limit is not None and self._waiting >= limit:
                self.refused += 1
                raise Busy(self.wait_estimate_s())
            self._number += 1
            job = _Job(priority, self._number, work, database, timing, time.monotonic())
            if self._stopping.is_set():
                job.future.cancel()
                return job.future
            heapq.heappush(self._heap, job)
            self._waiting += 1
            self._ready.notify()
        job.future.add_done_callback(self._uncount_cancelled)
        return job.future

    def wait_estimate_s(self) -> int:
        """The estimated wait in whole seconds, assuming two queries for each piece of work."""
        return 1 + math.ceil(self._waiting * 2 * self.query_time_s / self.count)

    def _uncount_cancelled(self, future: Future[Any]) -> None:
        if future.cancelled():
            with self._ready:
                self._waiting -= 1

    def _next(self) -> _Job | None:
        with self._ready:
            while True:
                while not self._heap:
                    if self._stopping.is_set():
                        return None
                    self._ready.wait()
                job = heapq.heappop(self._heap)
                if job.future.set_running_or_notify_cancel():
                    self._waiting -= 1
                    return job

    def _serve(self) -> None:
        sessions: dict[Database, Session] = {}
        try:
            while (job := self._next()) is not None:
                if job.database not in sessions:
                    sessions[job.database] = job.database.session(
                        query_time_s=self.query_time_s, stopping=self._stopping, busy=self.busy
                    )
                self._run(job, sessions[job.database])
        finally:
            for session in sessions.values():
                session.close()

    def _run(self, job: _Job, session: Session) -> None:
        started_s = time.monotonic()
        job.timing.queue_s += started_s - job.enqueued_s
        session.begin()
        outcome: Any = None
        failure: BaseException | None = None
        with self.held.used(), self.busy.used():
            try:
                outcome = job.work(session)
            except BaseException as error:  # noqa: BLE001  raised by the future
                failure = error
        job.timing.database_s += time.monotonic() - started_s
        job.timing.queries += session.queries
        self.queries += session.queries
        if failure is None:
            job.future.set_result(outcome)
        else:
            job.future.set_exception(failure)
