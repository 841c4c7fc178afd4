"""Reads a run file, during the run or afterwards.

Rules of this module:
- Read-only; never blocks the writer. Each call sees the file as of the last committed second.
- A file with status "running" whose writer has ended reads as "interrupted".
- request_reader.py reads requests, secondary_metrics.py the secondary metrics.
"""

from __future__ import annotations

import json
import socket
import time
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Self

import numpy as np
import psutil

from doorbuster.errors import RecordError
from doorbuster.records.batch import CustomerCount, Event, Exemplar, HealthSecond, OrderAttempt
from doorbuster.records.browser_reader import BrowserReader
from doorbuster.records.histogram import Histogram
from doorbuster.records.ledger import Audit, Ledger, LedgerLine, LedgerOrder, LedgerStock, audit
from doorbuster.records.metadata import WRITER_ENDED, ArrivalSeries, OutcomeTotals, RunMeta, WorkerReports
from doorbuster.records.request_reader import KINDS, Kind
from doorbuster.records.row_inserter import ERRORS_PER_SERIES, SLOWEST_PER_SERIES
from doorbuster.records.schema import FILE_NAME, open_for_reading, wrap_errors

__all__ = ["KINDS", "Kind", "Run"]

HEARTBEAT_LIMIT_S = 30.0  # a writer on another machine without a heartbeat for longer counts as dead


class Run(BrowserReader):
    """One recorded run. Use as a context manager, or call `close`."""

    @classmethod
    def open(cls, path: Path | str, *, own: bool = False) -> Self:
        """Open a run folder or its run.sqlite; everything in it is checked once (see `validation`).

        Args: own: this program is recording it right now, so that its content needs no check.
        Raises: RecordError when it is missing, damaged, not a run file, or of another format version.
        """
        path = Path(path)
        file = path / FILE_NAME if path.is_dir() else path
        if not file.is_file():
            raise RecordError(f"{file}: there is no run file; name a folder that `doorbuster run` wrote")
        return cls(file, open_for_reading(file, own=own))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # Metadata

    @property
    def meta(self) -> RunMeta:
        """The metadata, read at each call."""
        rows = dict(self._select("SELECT key, value FROM meta"))
        try:
            meta = RunMeta.from_rows(rows)
        except (TypeError, ValueError) as error:
            raise RecordError(f"{self.path}: the table meta is damaged: {error}") from error
        if meta.status == "running" and not self._writer_is_alive():
            return meta.changed(status="interrupted", status_reason=WRITER_ENDED)
        return meta

    # Exemplars

    def exemplars(self) -> tuple[Exemplar, ...]:
        """The slowest requests of each series and its first distinct errors, slowest first."""
        series = self._series()
        rows = self._select(
            "SELECT kind, second, series, response_us, request_id, detail, url, status, trace_id"
            " FROM (SELECT *, row_number() OVER (PARTITION BY kind, series"
            " ORDER BY CASE kind WHEN 'error' THEN 0 ELSE -response_us END, rowid) AS place"
            " FROM exemplars) WHERE place <= CASE kind WHEN 'error' THEN ? ELSE ? END"
            " ORDER BY kind, response_us DESC",
            [ERRORS_PER_SERIES, SLOWEST_PER_SERIES],
        )
        return tuple(Exemplar(row[0], row[1], series[row[2]], *row[3:]) for row in rows)

    # Customers

    def customers(self, bucket_s: int = 1) -> tuple[CustomerCount, ...]:
        """Outcomes of customers by second of intended arrival, summed over workers.

        With `bucket_s`, `second` is the start of the bucket: far fewer rows for a long run.
        """
        return self._once(f"customers {bucket_s}", lambda: self._read_customers(bucket_s))

    def _read_customers(self, bucket_s: int) -> tuple[CustomerCount, ...]:
        second = f"second / {int(bucket_s)} * {int(bucket_s)}"
        columns = "channel, journey, outcome, step, cause, could_browse, could_order"
        rows = self._select(
            f"SELECT {second}, {columns}, sum(n) FROM customers"  # noqa: S608 -- constants and a number
            f" GROUP BY {second}, {columns} ORDER BY {second}, {columns}"
        )
        return tuple(CustomerCount(*row) for row in rows)

    def arrivals(self) -> dict[str, ArrivalSeries]:
        """Per channel and second: arrivals planned, started and dropped. Closed channels plan none."""
        return self._once("arrivals", self._read_arrivals)

    def _read_arrivals(self) -> dict[str, ArrivalSeries]:
        length = self._length_s()
        found: dict[str, ArrivalSeries] = {}

        def add(columns: tuple[str, ...], sql: str) -> None:
            for channel, rows in groupby(self._select(sql), key=itemgetter(0)):
                series = found.setdefault(channel, ArrivalSeries(*np.zeros((3, length), np.int64)))
                second, *counts = np.array([row[1:] for row in rows], np.int64).T
                for column, n in zip(columns, counts, strict=True):
                    getattr(series, column)[second] += n

        add(("planned",), "SELECT channel, second, n FROM plan ORDER BY channel")
        add(
            ("started", "dropped"),
            "SELECT channel, second, sum(started), sum(dropped) FROM arrivals GROUP BY channel, second"
            " ORDER BY channel",
        )
        return found

    def outcome_totals_by_channel(self) -> dict[str, OutcomeTotals]:
        """Outcomes of all arrivals, per channel."""
        arrived = self.arrivals()
        outcomes: dict[str, dict[str, int]] = {channel: {} for channel in arrived}
        for row in self.customers(self.grain_s):
            of = outcomes.setdefault(row.channel, {})
            of[row.outcome] = of.get(row.outcome, 0) + row.n
        by_channel = {}
        for channel, counts in sorted(outcomes.items()):
            series = arrived.get(channel)
            planned = 0
            if series is not None:
                open_channel = bool(series.planned.any())
                planned = int(
                    series.planned.sum() if open_channel else series.started.sum() + series.dropped.sum()
                )
            by_channel[channel] = OutcomeTotals(planned, counts)
        return by_channel

    def outcome_totals(self) -> OutcomeTotals:
        """Outcomes of all arrivals, over all channels."""
        total = OutcomeTotals(0)
        for totals in self.outcome_totals_by_channel().values():
            total = total.plus(totals)
        return total

    # Orders

    def orders(self) -> tuple[OrderAttempt, ...]:
        """Every order attempt, in the order of recording."""
        return self._once("orders", self._read_orders)

    def _read_orders(self) -> tuple[OrderAttempt, ...]:
        found: list[OrderAttempt] = []
        strings: dict[str, str] = {}  # shares equal strings between orders
        shared = strings.setdefault
        with wrap_errors(self.path, "read the run"):
            cursor = self._db.execute(
                "SELECT idempotency_key, channel, journey, intended_s, answered_s, answer, cause, order_ref,"
                " total_pence, lines FROM orders ORDER BY rowid"
            )
            while rows := cursor.fetchmany(1000):
                # Decoding the lines of each order separately takes ten times as long.
                for row, lines in zip(rows, json.loads(f"[{','.join(row[9] for row in rows)}]"), strict=True):
                    key, channel, journey, intended_s, answered_s, answer, cause, ref, pence, _ = row
                    found.append(
                        OrderAttempt(
                            key, shared(channel, channel), shared(journey, journey), intended_s, answered_s,
                            shared(answer, answer), shared(cause, cause), ref, pence,
                            tuple((shared(sku, sku), n, unit_pence) for sku, n, unit_pence in lines),
                        )
                    )  # fmt: skip
        return tuple(found)

    def ledger(self) -> Ledger | None:
        """The shop's ledger, or None when it was not read."""
        return self._once("ledger", self._read_ledger)

    def _read_ledger(self) -> Ledger | None:
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
        """Comparison of the order attempts with the ledger; None when the ledger was not read."""
        ledger = self.ledger()
        return None if ledger is None else audit(self.orders(), ledger, run_id=self.meta.run_id)

    # The generator

    def health(self) -> dict[str, tuple[HealthSecond, ...]]:
        """Generator health of each worker, by second."""
        return self._once("health", self._read_health)

    def _read_health(self) -> dict[str, tuple[HealthSecond, ...]]:
        found: dict[str, list[HealthSecond]] = {}
        for worker, *row in self._select(
            "SELECT workers.name, second, cpu_ratio, loop_lag_ms, in_flight, connections_opened, reconnects,"
            " rss_bytes, lateness, pool_wait_ms FROM health JOIN workers ON workers.id = health.worker"
            " ORDER BY workers.name, second"
        ):
            found.setdefault(worker, []).append(HealthSecond(*row))
        return {worker: tuple(seconds) for worker, seconds in found.items()}

    def customers_in_shop(self) -> np.ndarray:
        """Customers in the shop at the end of each second, summed over workers.

        A second that a worker did not report has the value of the next one it reported.
        """
        health = self.health()
        last = max((row.second for rows in health.values() for row in rows), default=-1)
        total = np.zeros(last + 1)
        for rows in health.values():
            before = -1
            for row in rows:
                total[before + 1 : row.second + 1] += row.in_flight
                before = max(before, row.second)
        return total

    def lateness(self) -> Histogram:
        """Actual minus intended start of everything the generator started: the delay it caused itself."""
        return Histogram.from_blobs(row[0] for row in self._select("SELECT lateness FROM health"))

    def workers(self) -> tuple[WorkerReports, ...]:
        """Received and missing reports of each worker."""
        rows = self._select(
            "SELECT name, (SELECT count(*) FROM batches WHERE worker = id), last_seq, final"
            " FROM workers ORDER BY name"
        )
        return tuple(WorkerReports(row[0], row[1], row[2] + 1 - row[1], bool(row[3])) for row in rows)

    def events(self) -> tuple[Event, ...]:
        """Events in order of time."""
        return tuple(
            Event(*row) for row in self._select("SELECT at_s, kind, text FROM events ORDER BY at_s, rowid")
        )

    # The writer

    @property
    def generator_host(self) -> str:
        """Name of the machine that recorded the run; "localhost" if it has none."""
        ((host,),) = self._select("SELECT host FROM writer")
        return str(host) or "localhost"

    def _writer_is_alive(self) -> bool:
        ((host, pid, started_s, heartbeat_ns),) = self._select(
            "SELECT host, pid, process_started_at_unix_s, heartbeat_unix_ns FROM writer"
        )
        if pid == 0:
            return False
        if host != socket.gethostname():
            return bool(time.time() - heartbeat_ns / 1e9 < HEARTBEAT_LIMIT_S)
        try:
            writer = psutil.Process(pid)
            # The start time distinguishes the writer from a later process with the same PID. A killed process
            # stays a zombie until its parent reaps it, which in a container may never happen.
            same = abs(writer.create_time() - started_s) < 2.0
            return bool(same and writer.status() != psutil.STATUS_ZOMBIE)
        except psutil.Error:
            return False
