"""The shop's database on disk, and the sessions through which workers use it.

The modelled hardware lives here. Every query really runs on SQLite, and holds its worker for at least
`query_time_s`, the disk of the day; a write counts as two (the log and the page). The time owed is reckoned
from the start of the work, so a slow moment is made up by the next wait and n queries take n x
query_time_s. SQLite admits one writer at a time for the whole file, which the modelled database would not:
writers take turns on a lock for the real statement only, and the modelled time of a transaction passes
after its commit.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

QUERIES_PER_WRITE = 2


class Session:
    """One worker's connection, counting the queries of the work at hand and holding the worker for them."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        write_turn: threading.Lock,
        query_time_s: float,
        stopping: threading.Event,
    ) -> None:
        self.queries = 0
        self._connection = connection
        self._write_turn = write_turn
        self._query_time_s = query_time_s
        self._stopping = stopping
        self._started_s = 0.0

    def begin(self) -> None:
        """Start a piece of work: its queries and the time it owes are counted from here."""
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
        """One statement, committed by itself; returns the row id it made."""
        with self._write_turn:
            made = self._connection.execute(sql, parameters).lastrowid
        self._hold(QUERIES_PER_WRITE)
        return made or 0

    @contextmanager
    def transaction(self, *, queries: int) -> Iterator[sqlite3.Connection]:
        """All or nothing on the raw connection; the round trips in it are charged as `queries`."""
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
        """Hold the worker for something that is not the database, on top of what its queries owe."""
        if seconds > 0:
            self._stopping.wait(seconds)
            self._started_s += seconds

    def close(self) -> None:
        self._connection.close()

    def _hold(self, queries: int) -> None:
        self.queries += queries
        owed_s = self._started_s + self.queries * self._query_time_s - time.monotonic()
        if owed_s > 0:
            self._stopping.wait(owed_s)


class Database:
    """One database file; hands out sessions to workers and connections to the ledger and the warehouse."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write_turn = threading.Lock()

    def session(self, *, query_time_s: float, stopping: threading.Event) -> Session:
        return Session(
            self.connect(), write_turn=self.write_turn, query_time_s=query_time_s, stopping=stopping
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
