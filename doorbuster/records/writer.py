"""Writes a run file: one SQLite file in write-ahead mode, one transaction a second.

Rules of this module:
- A reader in another process may open the file at any moment and never blocks the writer.
- A killed process loses at most what was not yet passed to `write`; the file stays consistent.
- A report counts once, however often and in whatever order it arrives: (worker, seq) is unique.
- An error leaves the file unchanged, and the call may be repeated.
- A row that cannot be stored is left out and named by an event; it never keeps others from being stored.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from doorbuster.errors import RecordError
from doorbuster.output import masked
from doorbuster.records.batch import Batch, Event, ObservedValue
from doorbuster.records.browser import BrowserRecords
from doorbuster.records.ledger import Ledger
from doorbuster.records.metadata import RunMeta, RunStatus
from doorbuster.records.request_reader import RequestReader
from doorbuster.records.rollup_table import MIN_WIDTH_S, write_rollups
from doorbuster.records.row_inserter import SLOWEST_PER_SERIES, RowInserter
from doorbuster.records.schema import APPLICATION_ID, FILE_NAME, SCHEMA_VERSION, TABLES, wrap_errors
from doorbuster.records.validation import with_checks

BUSY_MS = 500  # the caller tries again and supervises the run in between


class RunWriter:
    """Writes one run file. Use as a context manager, or call `finish` and `close`."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, meta: RunMeta, clock_ns: Callable[[], int]
    ) -> None:
        self.path = path
        self._db = connection
        self._meta = meta
        self._clock_ns = clock_ns
        self._rows = RowInserter(connection)

    @classmethod
    def create(
        cls,
        folder: Path,
        meta: RunMeta,
        planned: Mapping[str, NDArray[np.integer]],
        *,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> RunWriter:
        """Create a run file in a folder, which is created if missing.

        Args:
            planned: intended arrivals per second of the run, for each open channel.
            clock_ns: wall clock in ns since 1970, for the heartbeat.

        Raises: RecordError when the folder holds one already, or when it cannot be written.
        """
        path = folder / FILE_NAME
        if path.exists():
            raise RecordError(f"{path}: this folder holds a run already; name another folder or remove it")
        with wrap_errors(folder, "create the folder for the run"):
            folder.mkdir(parents=True, exist_ok=True)
        with wrap_errors(path, "create a run file"):
            # Created under another name, so that no reader sees a file without its tables.
            unfinished = folder / f"{FILE_NAME}.{os.getpid()}.part"
            try:
                _create_tables(unfinished, meta, planned, clock_ns())
                unfinished.rename(path)
            finally:
                unfinished.unlink(missing_ok=True)
            # Calls never overlap, but a master writes in a helper thread.
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        return cls(path, connection, meta, clock_ns)

    @classmethod
    def amend(cls, path: Path, *, clock_ns: Callable[[], int] = time.time_ns) -> RunWriter:
        """Open a recorded run to add data read after its end, such as the shop's ledger.

        Args: path: the run.sqlite of a run that no process records.
        Raises: RecordError when it cannot be written, or is of another format version.
        """
        with wrap_errors(path, "add to the run"):
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version != SCHEMA_VERSION:
                connection.close()
                raise RecordError(
                    f"{path}: recorded in format {version}, this doorbuster writes format {SCHEMA_VERSION};"
                    " use the doorbuster that recorded it"
                )
            meta = RunMeta.from_rows(dict(connection.execute("SELECT key, value FROM meta")))
        return cls(path, connection, meta, clock_ns)

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def meta(self) -> RunMeta:
        """The metadata as last written."""
        return self._meta

    def write(
        self,
        batches: Iterable[Batch],
        events: Iterable[Event] = (),
        observed: Iterable[ObservedValue] = (),
    ) -> int:
        """Record reports of workers, events, and values of the target, in one transaction.

        Returns: the number of new reports.
        """
        new = 0
        with self._transaction("record a second of the run"):
            for batch in batches:
                worker = self._rows.worker_id(batch.worker)
                if self._rows.is_new(worker, batch):
                    new += 1
                    self._rows.insert(worker, batch)
            self._rows.insert_events(event._replace(text=masked(event.text)) for event in events)
            self._rows.insert_observed(observed)
            self._rows.insert_refusals()
        return new

    def record_event(self, event: Event) -> None:
        """Record a single event."""
        self.write((), (event,))

    def write_ledger(self, ledger: Ledger) -> None:
        """Record the shop's ledger; replaces an earlier one."""
        with self._transaction("record the shop's ledger"):
            for table in ("ledger_orders", "ledger_lines", "ledger_stock"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 -- three constants
            self._db.executemany(
                "INSERT INTO ledger_orders VALUES (?, ?, ?, ?, ?, ?, ?)",
                ((number, *order[:6]) for number, order in enumerate(ledger.orders, start=1)),
            )
            self._db.executemany(
                "INSERT INTO ledger_lines VALUES (?, ?, ?, ?)",
                (
                    (number, *line)
                    for number, order in enumerate(ledger.orders, start=1)
                    for line in order.lines
                ),
            )
            self._db.executemany("INSERT INTO ledger_stock VALUES (?, ?, ?, ?)", ledger.stock)
            self._db.execute(
                "INSERT OR REPLACE INTO meta VALUES ('ledger_read_at_s', ?)", [json.dumps(ledger.read_at_s)]
            )

    def write_browsers(self, found: BrowserRecords) -> None:
        """Record what browser probes measured."""
        rows: dict[str, tuple[tuple[Any, ...], ...]] = {
            "browser_visits": found.visits,
            "browser_pages": found.pages,
            "browser_pictures": found.pictures,
        }
        with self._transaction("record the browser probes"):
            for table, values in rows.items():
                self._rows.insert_browsers(table, values)
            self._rows.insert_refusals()

    def shift_requests(self, by_s: int) -> None:
        """Move requests and exemplars earlier, for an import that learns the start of the run at its end."""
        with self._transaction("move the requests"):
            for table in ("requests", "exemplars"):
                self._db.execute(f"UPDATE {table} SET second = second - ?", [by_s])  # noqa: S608 -- constants

    def set_meta(self, **changes: Any) -> None:
        """Replace fields of the metadata; TypeError for a field that does not exist."""
        changed = self._meta.changed(**changes)
        with self._transaction("record the metadata"):
            self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", changed.to_rows())
        self._meta = changed

    def finish(self, status: RunStatus, reason: str = "") -> None:
        """Record how the run ended, prune exemplars, write the rollups, and merge the log into the file."""
        with self._transaction("finish the run"):
            self._db.execute(
                """DELETE FROM exemplars WHERE kind <> 'error' AND rowid NOT IN (SELECT rowid FROM (
                  SELECT rowid, row_number() OVER (
                    PARTITION BY kind, series ORDER BY response_us DESC, rowid
                  ) AS place FROM exemplars WHERE kind <> 'error'
                ) WHERE place <= ?)""",
                [SLOWEST_PER_SERIES],
            )
        self.set_meta(status=status, status_reason=reason, finished_at_unix_ns=self._clock_ns())
        with contextlib.suppress(RecordError):  # without rollups, reports only take longer
            self._write_rollups()
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.OperationalError as error:
            # A reader that has the file open keeps it in write-ahead mode: -wal and -shm then remain until
            # the last reader closes it. Nothing is lost.
            if error.sqlite_errorname not in ("SQLITE_BUSY", "SQLITE_LOCKED"):
                raise RecordError(f"{self.path}: cannot merge the log into the file: {error}") from error

    def _write_rollups(self) -> None:
        reader = RequestReader(self.path, self._db)
        if reader.grain_s >= MIN_WIDTH_S:
            rollups = reader.roll_up()
            with self._transaction("write the rollups"):
                write_rollups(self._db, rollups)

    def close(self) -> None:
        """Close the file. A run that was not finished then reads as interrupted."""
        try:
            if self._meta.status == "running":
                # Fails on a full disk; readers then detect it when this process has ended.
                with contextlib.suppress(RecordError), self._transaction("close the run file"):
                    self._db.execute("UPDATE writer SET pid = 0")
        finally:
            self._db.close()

    @contextlib.contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        """One transaction that also updates the heartbeat; on any error it is rolled back."""
        with wrap_errors(self.path, doing):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("UPDATE writer SET heartbeat_unix_ns = ?", [self._clock_ns()])
                self._db.execute("COMMIT")
            except BaseException:
                self._rows.forget()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


def _create_tables(
    path: Path, meta: RunMeta, planned: Mapping[str, NDArray[np.integer]], at_unix_ns: int
) -> None:
    """Create a file with all tables, the metadata, this process as the writer, and the plan."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("BEGIN")
        for statement in map(with_checks, TABLES.split(";")):
            db.execute(statement)
        db.executemany("INSERT INTO meta VALUES (?, ?)", meta.to_rows())
        db.execute(
            "INSERT INTO writer VALUES (1, ?, ?, ?, ?)",
            [socket.gethostname(), os.getpid(), psutil.Process().create_time(), at_unix_ns],
        )
        db.executemany(
            "INSERT INTO plan VALUES (?, ?, ?)",
            (
                (channel, second, n)
                for channel, per_second in planned.items()
                for second, n in enumerate(per_second.tolist())
                if n
            ),
        )
        db.execute("COMMIT")
