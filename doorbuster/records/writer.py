"""Writes a run file: one SQLite file in write-ahead mode, one transaction a second.

Rules of this module:
- A reader in another process may open the file at any moment and never blocks the writer.
- A killed process loses at most what was not yet passed to `write`; the file stays consistent.
- A report counts once, however often and in whatever order it arrives: (worker, seq) is unique.
- An error leaves the file unchanged, and the call may be repeated.
"""

from __future__ import annotations

import contextlib
import heapq
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
from doorbuster.records.batch import Batch, Event, Exemplar, SeriesKey
from doorbuster.records.ledger import Ledger
from doorbuster.records.metadata import RunMeta, RunStatus
from doorbuster.records.request_reader import RequestReader
from doorbuster.records.rollup_table import MIN_WIDTH_S, write_rollups
from doorbuster.records.schema import APPLICATION_ID, FILE_NAME, SCHEMA_VERSION, TABLES, wrap_errors

SLOWEST_PER_SERIES = 5
ERRORS_PER_SERIES = 3  # the first with distinct texts
MINUTE_S = 60


class RunWriter:
    """Writes one run file. Use as a context manager, or call `finish` and `close`."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, meta: RunMeta, clock_ns: Callable[[], int]
    ) -> None:
        self.path = path
        self._db = connection
        self._meta = meta
        self._clock_ns = clock_ns
        self._worker_ids: dict[str, int] = {}
        self._series_ids: dict[SeriesKey, int] = {}
        self._slowest_us: dict[SeriesKey, list[int]] = {}
        self._error_details: dict[SeriesKey, set[str]] = {}

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
            connection.execute("PRAGMA busy_timeout = 5000")
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

    def write(self, batches: Iterable[Batch]) -> int:
        """Record reports of workers in one transaction; returns the number of new ones."""
        new = 0
        with self._transaction("record a second of the run"):
            for batch in batches:
                worker = self._worker_id(batch.worker)
                if self._is_new(worker, batch):
                    new += 1
                    self._insert(worker, batch)
        return new

    def record_event(self, event: Event) -> None:
        """Record a single event."""
        with self._transaction("record an event"):
            row = event._replace(text=masked(event.text))
            self._db.execute("INSERT INTO events VALUES (?, NULL, ?, ?)", row)

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
                "DELETE FROM exemplars WHERE kind = 'slow' AND rowid NOT IN (SELECT rowid FROM (SELECT rowid,"
                " row_number() OVER (PARTITION BY series ORDER BY response_us DESC, rowid) AS place"
                " FROM exemplars WHERE kind = 'slow') WHERE place <= ?)",
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
                self._clear_caches()
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _clear_caches(self) -> None:
        """Discard ids that the rolled-back transaction may have assigned."""
        self._worker_ids.clear()
        self._series_ids.clear()
        self._slowest_us.clear()
        self._error_details.clear()

    def _worker_id(self, name: str) -> int:
        known = self._worker_ids.get(name)
        if known is None:
            self._db.execute(
                "INSERT OR IGNORE INTO workers (name, last_seq, final) VALUES (?, -1, 0)", [name]
            )
            (known,) = self._db.execute("SELECT id FROM workers WHERE name = ?", [name]).fetchone()
            self._worker_ids[name] = known
        return int(known)

    def _series_id(self, series: SeriesKey) -> int:
        known = self._series_ids.get(series)
        if known is None:
            self._db.execute(
                "INSERT OR IGNORE INTO series (channel, journey, step, outcome, cause)"
                " VALUES (?, ?, ?, ?, ?)",
                series,
            )
            (known,) = self._db.execute(
                "SELECT id FROM series WHERE (channel, journey, step, outcome, cause) = (?, ?, ?, ?, ?)",
                series,
            ).fetchone()
            self._series_ids[series] = known
        return int(known)

    def _is_new(self, worker: int, batch: Batch) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?)", [worker, batch.seq])
        if cursor.rowcount == 0:
            return False
        self._db.execute(
            "UPDATE workers SET last_seq = max(last_seq, ?), final = max(final, ?) WHERE id = ?",
            [batch.seq, int(batch.final), worker],
        )
        return True

    def _insert(self, worker: int, batch: Batch) -> None:
        many = self._db.executemany
        many(
            "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.second, self._series_id(row.series), worker, *row[2:]) for row in batch.requests],
        )
        many(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.second, worker, *row[1:]) for row in batch.customers],
        )
        many(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?)",
            [(row.second, worker, *row[1:]) for row in batch.arrivals],
        )
        many(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.idempotency_key, worker, *row[1:9], json.dumps(row.lines)) for row in batch.orders],
        )
        many(
            "INSERT INTO exemplars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (row.kind, row.second, self._series_id(row.series), worker, *row[3:])
                for row in batch.exemplars
                if self._is_worth_keeping(row)
            ],
        )
        many(
            "INSERT INTO health VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.second, worker, *row[1:]) for row in batch.health],
        )
        many("INSERT INTO events VALUES (?, ?, ?, ?)", [(row.at_s, worker, *row[1:]) for row in batch.events])
        self._insert_secondary_metrics(worker, batch)

    def _insert_secondary_metrics(self, worker: int, batch: Batch) -> None:
        """Secondary metrics, added up by minute, so that those of a day stay small."""
        many = self._db.executemany
        many(
            "INSERT INTO counters VALUES (?, ?, ?, ?, ?)",
            [(row.second, worker, *row[1:]) for row in batch.counters],
        )
        for table, rows in (("think_times", batch.think_times), ("visit_durations", batch.visit_durations)):
            many(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"  # noqa: S608 -- constants
                " SET durations = CAST(durations || excluded.durations AS BLOB)",  # bins add up by joining
                [(row[0] // MINUTE_S, worker, *row[1:]) for row in rows],
            )
        many(
            "INSERT INTO connect_times VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, total_us = total_us + excluded.total_us, "
            " longest_us = max(longest_us, excluded.longest_us),"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            [(row[0] // MINUTE_S, self._series_id(row[1]), worker, *row[2:]) for row in batch.connect_times],
        )
        many(
            "INSERT INTO subsequent_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, requests = requests + excluded.requests,"
            " connect_us = connect_us + excluded.connect_us, wait_us = wait_us + excluded.wait_us,"
            " body_us = body_us + excluded.body_us,"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            [
                (row[0] // MINUTE_S, self._series_id(row[1]), worker, *row[2:])
                for row in batch.subsequent_requests
            ],
        )
        many(
            "INSERT INTO server_timings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, weight = weight + excluded.weight, total_us = total_us + excluded.total_us,"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            [(row[0] // MINUTE_S, self._series_id(row[1]), worker, *row[2:]) for row in batch.server_timings],
        )
        many(
            "INSERT INTO freshness VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(row.at_s, worker, *row[1:]) for row in batch.freshness],
        )

    def _is_worth_keeping(self, exemplar: Exemplar) -> bool:
        """Whether it is among the slowest of its series so far, or among the first distinct errors."""
        if exemplar.kind == "error":
            details = self._error_details.setdefault(exemplar.series, set())
            if exemplar.detail in details or len(details) >= ERRORS_PER_SERIES:
                return False
            details.add(exemplar.detail)
            return True
        slowest = self._slowest_us.setdefault(exemplar.series, [])
        if len(slowest) < SLOWEST_PER_SERIES:
            heapq.heappush(slowest, exemplar.response_us)
            return True
        return exemplar.response_us > heapq.heappushpop(slowest, exemplar.response_us)


def _create_tables(
    path: Path, meta: RunMeta, planned: Mapping[str, NDArray[np.integer]], at_unix_ns: int
) -> None:
    """Create a file with all tables, the metadata, this process as the writer, and the plan."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("BEGIN")
        for statement in TABLES.split(";"):
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
