"""The reading side of a run file: everything an analysis asks of a run, while it is recorded or a year later.

Rules of this module:
- Read-only, and never in the writer's way. Each call sees the file as of the last committed second.
- A file that says "running" but has no living writer reads as "interrupted".
- A group function maps a series to what it belongs to, or to None to leave it out.
"""

from __future__ import annotations

import json
import math
import socket
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
import psutil
from numpy.typing import NDArray

from doorbuster.errors import RecordError
from doorbuster.records.batch import CustomerCount, Event, Exemplar, HealthSecond, OrderAttempt, SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.ledger import Audit, Ledger, LedgerLine, LedgerOrder, LedgerStock, audit
from doorbuster.records.meta import ArrivalSeries, Balance, GaugeSeries, RunMeta, WorkerReports
from doorbuster.records.runfile import ERRORS_PER_SERIES, SLOWEST_PER_SERIES
from doorbuster.records.schema import FILE_NAME, open_for_reading, told_as_record_error
from doorbuster.records.tally import Tally

Kind = Literal["response", "service", "first_byte"]
KINDS: tuple[Kind, ...] = ("response", "service", "first_byte")
K = TypeVar("K", bound=Hashable)

HEARTBEAT_LIMIT_S = 30.0  # a writer on another machine that was silent for longer is taken for dead
_CHUNK_ROWS = 20_000


class Run:
    """One recorded run. Use as a context manager, or call `close`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a run folder or its run.sqlite.

        Raises: RecordError, in one line, when it is missing, damaged, no run file, or of a newer version.
        """
        path = Path(path)
        file = path / FILE_NAME if path.is_dir() else path
        if not file.is_file():
            raise RecordError(f"{file}: there is no run file; name a folder that `doorbuster run` wrote")
        return cls(file, open_for_reading(file))

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # What the run is

    @property
    def meta(self) -> RunMeta:
        """The title page, read afresh at each call."""
        rows = dict(self._select("SELECT key, value FROM meta"))
        try:
            meta = RunMeta.from_rows(rows)
        except (TypeError, ValueError) as error:
            raise RecordError(f"{self.path}: the table meta is damaged: {error}") from error
        if meta.status == "running" and not self._writer_is_alive():
            return meta.changed(
                status="interrupted", status_reason="the recording process ended without finishing"
            )
        return meta

    @property
    def series(self) -> tuple[SeriesKey, ...]:
        """Every request series seen so far, sorted."""
        return tuple(sorted(self._series().values()))

    @property
    def recorded_s(self) -> int:
        """Seconds for which there is any arrival or request."""
        (row,) = self._select(
            "SELECT max((SELECT ifnull(max(second), -1) FROM arrivals),"
            " (SELECT ifnull(max(second), -1) FROM requests))"
        )
        return int(row[0]) + 1

    # Requests

    def histogram(
        self,
        kind: Kind = "response",
        *,
        match: Callable[[SeriesKey], bool] | None = None,
        seconds: tuple[int, int] | None = None,
    ) -> Histogram:
        """All requests of the matching series with an intended start in seconds[0] <= second < seconds[1]."""
        found = self.histograms_by(
            lambda series: True if match is None or match(series) else None, kind, seconds=seconds
        )
        return found.get(True, Histogram.empty())

    @overload
    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        *,
        seconds: tuple[int, int] | None = None,
    ) -> dict[K, Histogram]: ...

    @overload
    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        bucket_s: None = None,
        *,
        seconds: tuple[int, int] | None = None,
    ) -> dict[K, Histogram]: ...

    @overload
    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        bucket_s: int = ...,
        *,
        seconds: tuple[int, int] | None = None,
    ) -> dict[tuple[K, int], Histogram]: ...

    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        bucket_s: int | None = None,
        *,
        seconds: tuple[int, int] | None = None,
    ) -> dict[K, Histogram] | dict[tuple[K, int], Histogram]:
        """Requests added up by group, or by (group, second // bucket_s).

        Groups and buckets without requests are absent.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)} (got {kind!r})")
        members = self._members(group)
        keys = list(dict.fromkeys(members.values()))
        place = {key: number for number, key in enumerate(keys)}
        group_of = np.zeros(max(members, default=0) + 1, np.int64)
        for series, key in members.items():
            group_of[series] = place[key]
        width_s = bucket_s or 1
        buckets = (self.recorded_s - 1) // width_s + 1 if bucket_s else 1
        tally = Tally(len(keys) * buckets)
        for rows in self._request_chunks(kind, members, seconds):
            ids, at_s, blobs = zip(*rows, strict=True)
            slots = group_of[np.array(ids)]
            if bucket_s:
                slots = slots * buckets + np.array(at_s) // width_s
            tally.add(slots, blobs)
        if bucket_s:
            return {(keys[slot // buckets], slot % buckets): found for slot, found in tally.histograms()}
        return {keys[slot]: found for slot, found in tally.histograms()}

    def over_time(
        self,
        kind: Kind = "response",
        bucket_s: int = 1,
        *,
        match: Callable[[SeriesKey], bool] | None = None,
    ) -> dict[int, Histogram]:
        """The matching requests by bucket (second // bucket_s): what `quantile_over_seconds` asks for."""
        found = self.histograms_by(
            lambda series: True if match is None or match(series) else None, kind, bucket_s
        )
        return {bucket: histogram for (_, bucket), histogram in found.items()}

    def request_counts(
        self, group: Callable[[SeriesKey], K | None], bucket_s: int = 1
    ) -> dict[K, NDArray[np.int64]]:
        """Requests per bucket of `bucket_s` seconds for each group; all arrays cover the whole run."""
        members = self._members(group)
        length = max(0, math.ceil(self._length_s() / bucket_s))
        counts: dict[K, NDArray[np.int64]] = {key: np.zeros(length, np.int64) for key in members.values()}
        for rows in self._request_chunks("n", members, None):
            ids, at_s, ns = np.array(rows, np.int64).T
            for series in np.unique(ids).tolist():
                of = ids == series
                np.add.at(counts[members[series]], at_s[of] // bucket_s, ns[of])
        return counts

    def exemplars(self) -> tuple[Exemplar, ...]:
        """The slowest requests of each series and its first distinct errors, slowest first."""
        series = self._series()
        rows = self._select(
            "SELECT kind, second, series, response_us, request_id, detail FROM (SELECT *, row_number() OVER"
            " (PARTITION BY kind, series ORDER BY CASE kind WHEN 'slow' THEN -response_us ELSE 0 END, rowid)"
            " AS place FROM exemplars) WHERE place <= CASE kind WHEN 'slow' THEN ? ELSE ? END"
            " ORDER BY kind, response_us DESC",
            [SLOWEST_PER_SERIES, ERRORS_PER_SERIES],
        )
        return tuple(Exemplar(row[0], row[1], series[row[2]], *row[3:]) for row in rows)

    # Customers

    def customers(self) -> tuple[CustomerCount, ...]:
        """How customers left, by second of their intended arrival, summed over workers."""
        columns = "second, channel, journey, outcome, step, cause, could_browse, could_order"
        rows = self._select(
            f"SELECT {columns}, sum(n) FROM customers GROUP BY {columns} ORDER BY {columns}"  # noqa: S608 -- constants
        )
        return tuple(CustomerCount(*row) for row in rows)

    def arrivals(self) -> dict[str, ArrivalSeries]:
        """Per channel and second: arrivals planned, started and dropped. Closed channels plan none."""
        length = self._length_s()
        found: dict[str, ArrivalSeries] = {}

        def of(channel: str) -> ArrivalSeries:
            return found.setdefault(channel, ArrivalSeries(*np.zeros((3, length), np.int64)))

        for channel, second, n in self._select("SELECT channel, second, n FROM plan"):
            of(channel).planned[second] += n
        for channel, second, started, dropped in self._select(
            "SELECT channel, second, sum(started), sum(dropped) FROM arrivals GROUP BY channel, second"
        ):
            of(channel).started[second] += started
            of(channel).dropped[second] += dropped
        return found

    def balances(self) -> dict[str, Balance]:
        """Where every arrival went, per channel."""
        arrived = self.arrivals()
        outcomes: dict[str, dict[str, int]] = {channel: {} for channel in arrived}
        for channel, outcome, n in self._select(
            "SELECT channel, outcome, sum(n) FROM customers GROUP BY channel, outcome"
        ):
            outcomes.setdefault(channel, {})[outcome] = n
        balances = {}
        for channel, counts in sorted(outcomes.items()):
            series = arrived.get(channel)
            planned = 0
            if series is not None:
                open_channel = bool(series.planned.any())
                planned = int(
                    series.planned.sum() if open_channel else series.started.sum() + series.dropped.sum()
                )
            balances[channel] = Balance(planned, **counts)
        return balances

    def balance(self) -> Balance:
        """Where every arrival went, over all channels."""
        total = Balance(0)
        for balance in self.balances().values():
            total = total.plus(balance)
        return total

    # Orders

    def orders(self) -> tuple[OrderAttempt, ...]:
        """Every order customers tried, in the order of recording."""
        rows = self._select(
            "SELECT idempotency_key, channel, journey, intended_s, answered_s, answer, cause, order_ref,"
            " total_pence, lines FROM orders ORDER BY rowid"
        )
        return tuple(
            OrderAttempt._make((*row[:9], tuple((sku, n, pence) for sku, n, pence in json.loads(row[9]))))
            for row in rows
        )

    def ledger(self) -> Ledger | None:
        """The shop's books, or None when they were not read."""
        read_at = self._select("SELECT value FROM meta WHERE key = 'ledger_read_at_s'")
        if not read_at:
            return None
        lines: dict[int, list[LedgerLine]] = {}
        for number, *line in self._select(
            "SELECT ledger_order, sku, quantity, unit_pence FROM ledger_lines ORDER BY rowid"
        ):
            lines.setdefault(number, []).append(LedgerLine(*line))
        orders = (
            LedgerOrder._make((*row[1:], tuple(lines.get(row[0], ()))))
            for row in self._select("SELECT * FROM ledger_orders ORDER BY id")
        )
        stock = (LedgerStock(*row) for row in self._select("SELECT * FROM ledger_stock ORDER BY sku"))
        return Ledger(tuple(orders), tuple(stock), float(json.loads(read_at[0][0])))

    def audit(self) -> Audit | None:
        """What customers were told, held against the books; None when the books were not read."""
        books = self.ledger()
        return None if books is None else audit(self.orders(), books, run_id=self.meta.run_id)

    # The generator and its surroundings

    def health(self) -> dict[str, tuple[HealthSecond, ...]]:
        """How each worker fared, second by second."""
        found: dict[str, list[HealthSecond]] = {}
        for worker, *row in self._select(
            "SELECT workers.name, second, cpu_ratio, loop_lag_ms, in_flight, connections_opened, reconnects,"
            " rss_bytes, lateness FROM health JOIN workers ON workers.id = health.worker"
            " ORDER BY workers.name, second"
        ):
            found.setdefault(worker, []).append(HealthSecond(*row))
        return {worker: tuple(seconds) for worker, seconds in found.items()}

    def lateness(self) -> Histogram:
        """Actual minus intended start of everything the generator started: its own fault."""
        return Histogram.from_blobs(row[0] for row in self._select("SELECT lateness FROM health"))

    def workers(self) -> tuple[WorkerReports, ...]:
        """Which reports arrived from whom."""
        rows = self._select(
            "SELECT name, (SELECT count(*) FROM batches WHERE worker = id), last_seq, final"
            " FROM workers ORDER BY name"
        )
        return tuple(WorkerReports(row[0], row[1], row[2] + 1 - row[1], bool(row[3])) for row in rows)

    def events(self) -> tuple[Event, ...]:
        """What happened once, in order of time."""
        return tuple(
            Event(*row) for row in self._select("SELECT at_s, kind, text FROM events ORDER BY at_s, rowid")
        )

    def gauges(self) -> dict[str, GaugeSeries]:
        """Readings from outside the generator, by name."""
        found: dict[str, list[tuple[int, float]]] = {}
        for name, second, value in self._select(
            "SELECT name, second, value FROM gauges ORDER BY name, second"
        ):
            found.setdefault(name, []).append((second, value))
        return {
            name: GaugeSeries(
                np.array([second for second, _ in rows], np.int64), np.array([value for _, value in rows])
            )
            for name, rows in found.items()
        }

    # How it is read

    def _select(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with told_as_record_error(self.path, "read the run"):
            return self._db.execute(sql, values).fetchall()

    def _series(self) -> dict[int, SeriesKey]:
        rows = self._select("SELECT id, channel, journey, step, outcome, cause FROM series")
        return {row[0]: SeriesKey(*row[1:]) for row in rows}

    def _members(self, group: Callable[[SeriesKey], K | None]) -> dict[int, K]:
        """Group of each series that has one."""
        grouped = {number: group(series) for number, series in self._series().items()}
        return {number: key for number, key in grouped.items() if key is not None}

    def _request_chunks(
        self, column: Kind | Literal["n"], members: dict[int, K], seconds: tuple[int, int] | None
    ) -> Iterator[list[tuple[int, int, Any]]]:
        """Rows (series, second, column) of the wanted series, some thousand at a time."""
        conditions = []
        if len(members) < len(self._series()):
            conditions.append(f"series IN ({', '.join(map(str, members))})")
        if seconds is not None:
            conditions.append(f"second >= {int(seconds[0])} AND second < {int(seconds[1])}")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        sql = f"SELECT series, second, {column} FROM requests{where}"  # noqa: S608 -- whole numbers only
        with told_as_record_error(self.path, "read the run"):
            cursor = self._db.execute(sql)
            while rows := cursor.fetchmany(_CHUNK_ROWS):
                yield rows

    def _length_s(self) -> int:
        """Whole seconds that cover the plan and everything recorded."""
        (row,) = self._select("SELECT ifnull(max(second), -1) + 1 FROM plan")
        return max(math.ceil(self.meta.duration_s), self.recorded_s, int(row[0]))

    def _writer_is_alive(self) -> bool:
        ((host, pid, started_s, heartbeat_ns),) = self._select(
            "SELECT host, pid, process_started_at_unix_s, heartbeat_unix_ns FROM writer"
        )
        if pid == 0:
            return False
        if host != socket.gethostname():
            return bool(time.time() - heartbeat_ns / 1e9 < HEARTBEAT_LIMIT_S)
        try:
            # The start time tells the writer from a later process that got the same number.
            return bool(abs(psutil.Process(pid).create_time() - started_s) < 2.0)
        except psutil.Error:
            return False
