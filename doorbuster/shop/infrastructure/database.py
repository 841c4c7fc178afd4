"""The shop's database on disk, and the sessions through which workers use it.

This is the modelled hardware. Every query runs on SQLite and holds its worker for at least `query_time_s`,
the disk access of the time; a write counts as two (log and page). The time is counted from the start of the
work, so n queries take n x query_time_s even if one of them is slow. SQLite allows one writer per file, which
the modelled database would not: writers hold a lock for the real statement only, and the modelled time of a
transaction passes after its commit.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doorbuster.shop.infrastructure.busy_time import BusyTime

QUERIES_PER_WRITE = 2


class Session:
    """One worker's connection; counts the queries of the current work and holds the worker for them."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        write_turn: threading.Lock,
        query_time_s: float,
        stopping: threading.Event,
        busy: BusyTime,
    ) -> None:
        self.queries = 0
        self.busy = busy
        self._connection = connection
        self._write_turn = write_turn
        self._query_time_s = query_time_s
        self._stopping = stopping
        self._started_s = 0.0

    def begin(self) -> None:
        """Start a piece of work: its queries and its time are counted from now."""
        self.queries = 0
        self._started_s = time.monotonic()

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        found = self._connection.execute(sql, parameters).fetchall()
        self._hold(1)
        return found

    def row(self, sql: str, *parameters: Any) -> Any:
        """The first row, or None."""
        found = self._connection.execute(sql, parameters).fetchone()
        self._hold(1)
        return found

    def write(self, sql: str, *parameters: Any) -> int:
        """Run one statement in its own transaction; returns the id of the inserted row."""
        with self._write_turn:
            made = self._connection.execute(sql, parameters).lastrowid
        self._hold(QUERIES_PER_WRITE)
        return made or 0

    @contextmanager
    def transaction(self, *, queries: int) -> Iterator[sqlite3.Connection]:
        """A transaction on the raw connection; its round trips are charged as `queries`."""
        try:
            with self._write_turn:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                except BaseException:
                    self._connection.execute("ROLLBACK")
                    raise
                self._connection.execute("COMMIT")
        finally:
            self._hold(queries)

    def pause(self, seconds: float) -> None:
        """Hold the worker for something other than the database, in addition to its queries."""
        if seconds > 0:
            self.busy.change(-1)
            self._stopping.wait(seconds)
            self.busy.change(1)
            self._started_s += seconds

    @contextmanager
    def holding(
        self, lock: threading.Lock, held: BusyTime, waiting: BusyTime, seconds: float
    ) -> Iterator[None]:
        """Hold a lock for the block and for `seconds`, as long as the modelled transaction would."""
        began_s = time.monotonic()
        self.busy.change(-1)
        with waiting.used():
            lock.acquire()
        self.busy.change(1)
        self._started_s += time.monotonic() - began_s
        try:
            with held.used():
                yield
                self.pause(seconds)
        finally:
            lock.release()

    def close(self) -> None:
        self._connection.close()

    def _hold(self, queries: int) -> None:
        self.queries += queries
        remaining_s = self._started_s + self.queries * self._query_time_s - time.monotonic()
        if remaining_s > 0:
            self._stopping.wait(remaining_s)


class Database:
    """One database file; opens sessions for workers and connections for the ledger and the warehouse."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write_turn = threading.Lock()

    def session(self, *, query_time_s: float, stopping: threading.Event, busy: BusyTime) -> Session:
        return Session(
            self.connect(),
            write_turn=self.write_turn,
            query_time_s=query_time_s,
            stopping=stopping,
            busy=busy,
        )

    def connect(self, *, read_only: bool = False) -> sqlite3.Connection:
        mode = "ro" if read_only else "rw"
        connection = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30.0
        )
        connection.execute("PRAGMA cache_size = -16000")
        if not read_only:
            connection.execute("PRAGMA synchronous = NORMAL")
        return connection
