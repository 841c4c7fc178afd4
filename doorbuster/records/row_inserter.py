"""Inserts the rows of reports into a run file, within the transaction of the writer.

A row that SQLite refuses is tried again with its texts escaped; if that fails, it is left out and counted
with its reason: it never keeps others from being stored.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from doorbuster.records.batch import Batch, Event, Exemplar, ObservedValue, SeriesKey
from doorbuster.records.storable import ROW_REFUSED, storable_row

SLOWEST_PER_SERIES = 5
ERRORS_PER_SERIES = 3  # the first with distinct texts
MINUTE_S = 60
# Errors of one row: a broken text, a number too large, a value or object that the column does not take.
_OF_A_ROW = (
    UnicodeError, OverflowError, TypeError, ValueError, RecursionError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError, sqlite3.ProgrammingError,
)  # fmt: skip


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.IntegrityError) and "CHECK" in str(error):
        return "a value is out of range"  # instead of the text of the constraint
    return f"{type(error).__name__}: {error}"


class RowInserter:
    """Inserts reports; `forget` discards what a rolled-back transaction may have assigned."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._worker_ids: dict[str, int] = {}
        self._series_ids: dict[SeriesKey, int] = {}
        self._observed_ids: dict[tuple[str, str, str], int] = {}
        self._slowest_us: dict[tuple[str, SeriesKey], list[int]] = {}
        self._error_details: dict[SeriesKey, set[str]] = {}
        self._refused: Counter[str] = Counter()

    def forget(self) -> None:
        """Discard ids, exemplars and refused rows of a transaction that was rolled back."""
        self._worker_ids.clear()
        self._series_ids.clear()
        self._observed_ids.clear()
        self._slowest_us.clear()
        self._error_details.clear()
        self._refused.clear()

    def insert_events(self, events: Iterable[Event], worker: int | None = None) -> None:
        """Insert events of a worker, or of the run."""
        self._many("INSERT INTO events VALUES (?, ?, ?, ?)", events, lambda row: (row[0], worker, *row[1:]))

    def insert_observed(self, values: Iterable[ObservedValue]) -> None:
        """Insert what the sources of `observe` read; a later value of a second replaces the earlier one."""
        self._many(
            "INSERT OR REPLACE INTO observed VALUES (?, ?, ?)",
            values,
            lambda row: (self._observed_id(row[1:4]), row.second, row.value),
        )

    def insert_browsers(self, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert what browser probes recorded into one of their tables."""
        places = ", ".join("?" * len(rows[0])) if rows else ""
        self._many(f"INSERT INTO {table} VALUES ({places})", rows, tuple)  # noqa: S608  constants

    def insert_refusals(self) -> None:
        """Insert an event for each reason why rows were left out since the last call."""
        for reason, n in self._refused.items():
            text = f"{n} × {reason}" if n > 1 else reason
            self._db.execute("INSERT INTO events VALUES (0, NULL, ?, ?)", [ROW_REFUSED, text])
        self._refused.clear()

    def _many(self, sql: str, rows: Iterable[Any], values: Callable[[Any], tuple[Any, ...]]) -> None:
        """Insert rows; if one is refused, all are tried again one by one."""
        rows = tuple(rows)
        if not rows:
            return
        self._db.execute("SAVEPOINT rows")
        try:
            self._db.executemany(sql, [values(row) for row in rows])
        except _OF_A_ROW:
            self._db.execute("ROLLBACK TO rows")
            self._series_ids.clear()  # some may have been assigned since
            self._observed_ids.clear()
            self._one_by_one(sql, rows, values)
        self._db.execute("RELEASE rows")

    def _one_by_one(self, sql: str, rows: Iterable[Any], values: Callable[[Any], tuple[Any, ...]]) -> None:
        table = sql.partition(" INTO ")[2].split()[0]
        for row in rows:
            try:
                self._db.execute(sql, values(storable_row(row)))
            except _OF_A_ROW as error:
                self._refused[f"{table}: {_reason(error)}"] += 1

    def worker_id(self, name: str) -> int:
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

    def _observed_id(self, series: tuple[str, str, str]) -> int:
        known = self._observed_ids.get(series)
        if known is None:
            self._db.execute(
                "INSERT OR IGNORE INTO observed_series (source, name, labels) VALUES (?, ?, ?)", series
            )
            (known,) = self._db.execute(
                "SELECT id FROM observed_series WHERE (source, name, labels) = (?, ?, ?)", series
            ).fetchone()
            self._observed_ids[series] = known
        return int(known)

    def is_new(self, worker: int, batch: Batch) -> bool:
        cursor = self._db.execute("INSERT OR IGNORE INTO batches VALUES (?, ?)", [worker, batch.seq])
        if cursor.rowcount == 0:
            return False
        self._db.execute(
            "UPDATE workers SET last_seq = max(last_seq, ?), final = max(final, ?) WHERE id = ?",
            [batch.seq, int(batch.final), worker],
        )
        return True

    def insert(self, worker: int, batch: Batch) -> None:
        """Insert all rows of a report."""
        many = self._many
        many(
            "INSERT INTO requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            batch.requests,
            lambda row: (row.second, self._series_id(row.series), worker, *row[2:]),
        )
        many(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            batch.customers,
            lambda row: (row.second, worker, *row[1:]),
        )
        many(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?)",
            batch.arrivals,
            lambda row: (row.second, worker, *row[1:]),
        )
        many(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            batch.orders,
            lambda row: (row.idempotency_key, worker, *row[1:9], json.dumps(row.lines)),
        )
        many(
            "INSERT INTO exemplars VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            filter(self._is_worth_keeping, batch.exemplars),
            lambda row: (row.kind, row.second, self._series_id(row.series), worker, *row[3:]),
        )
        many(
            "INSERT INTO health VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            batch.health,
            lambda row: (row.second, worker, *row[1:]),
        )
        self.insert_events(batch.events, worker)
        self._insert_secondary_metrics(worker, batch)

    def _insert_secondary_metrics(self, worker: int, batch: Batch) -> None:
        """Secondary metrics, added up by minute, so that those of a day stay small."""
        many = self._many

        def of_series(row: tuple[Any, ...]) -> tuple[Any, ...]:
            return (row[0] // MINUTE_S, self._series_id(row[1]), worker, *row[2:])

        many(
            "INSERT INTO counters VALUES (?, ?, ?, ?, ?)",
            batch.counters,
            lambda row: (row.second, worker, *row[1:]),
        )
        for table, rows in (("think_times", batch.think_times), ("visit_durations", batch.visit_durations)):
            many(
                f"INSERT INTO {table} VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"  # noqa: S608 -- constants
                " SET durations = CAST(durations || excluded.durations AS BLOB)",  # bins add up by joining
                rows,
                lambda row: (row[0] // MINUTE_S, worker, *row[1:]),
            )
        many(
            "INSERT INTO connect_times VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, total_us = total_us + excluded.total_us, "
            " longest_us = max(longest_us, excluded.longest_us),"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            batch.connect_times,
            of_series,
        )
        many(
            "INSERT INTO subsequent_requests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, requests = requests + excluded.requests,"
            " connect_us = connect_us + excluded.connect_us, wait_us = wait_us + excluded.wait_us,"
            " body_us = body_us + excluded.body_us,"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            batch.subsequent_requests,
            of_series,
        )
        many(
            "INSERT INTO server_timings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
            " n = n + excluded.n, weight = weight + excluded.weight, total_us = total_us + excluded.total_us,"
            " durations = CAST(durations || excluded.durations AS BLOB)",
            batch.server_timings,
            of_series,
        )
        many(
            "INSERT INTO freshness VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            batch.freshness,
            lambda row: (row.at_s, worker, *row[1:]),
        )

    def _is_worth_keeping(self, exemplar: Exemplar) -> bool:
        """Whether it is among the slowest of its series so far, or among the first distinct errors."""
        if exemplar.kind == "error":
            details = self._error_details.setdefault(exemplar.series, set())
            if exemplar.detail in details or len(details) >= ERRORS_PER_SERIES:
                return False
            details.add(exemplar.detail)
            return True
        slowest = self._slowest_us.setdefault((exemplar.kind, exemplar.series), [])
        if len(slowest) < SLOWEST_PER_SERIES:
            heapq.heappush(slowest, exemplar.response_us)
            return True
        return exemplar.response_us > heapq.heappushpop(slowest, exemplar.response_us)
