"""Reads the rows of a run file in the order of recording: new ones during a run, all of them for a replay.

Rules of this module:
- Reading what is new costs as much in the tenth hour of a run as in its first minute.
- The file keeps no time of recording. A replay derives it to about a second: a request ended its response
  time after its intended start, and as many customers have left as started and are no longer in the shop.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CounterSecond,
    CustomerCount,
    Event,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import highest_us, unpack
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.records.schema import wrap_errors

_COLUMNS = {
    "requests": "second, series, n, bytes_sent, bytes_received, response, service, first_byte",
    "customers": "second, channel, journey, outcome, step, cause, could_browse, could_order, n",
    "arrivals": "second, channel, started, dropped",
    "orders": "idempotency_key, channel, journey, intended_s, answered_s, answer, cause, order_ref, "
    "total_pence",
    "health": "worker, second, cpu_ratio, loop_lag_ms, in_flight, connections_opened, reconnects, rss_bytes, "
    "lateness, pool_wait_ms",
    "events": "at_s, kind, text",
    "counters": "second, channel, name, n",
}


class WorkerHealth(NamedTuple):
    """The state of one worker in one second; `worker` is its number in the run file."""

    worker: int
    state: HealthSecond


@dataclass(frozen=True, slots=True)
class NewRows:
    """Rows of a run file as one report of all workers; orders come without their lines."""

    reports: Batch
    health: tuple[WorkerHealth, ...]


@dataclass(slots=True)
class RowPosition:
    """Up to which row each table was read; and how much of each row that grows by appended bins."""

    last: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COLUMNS, 0))
    visit_bytes: dict[tuple[int, int, str], int] = field(default_factory=dict)


class StreamedRun(Run):
    """A run file that is read in the order of recording."""

    def planned(self) -> dict[str, dict[int, int]]:
        """Planned arrivals by channel and second; closed channels plan none."""
        found: dict[str, dict[int, int]] = {}
        for channel, second, n in self._select("SELECT channel, second, n FROM plan"):
            found.setdefault(channel, {})[second] = n
        return found

    def new_rows(self, position: RowPosition) -> NewRows:
        """The rows after a position, which moves to the last row read."""
        rows: dict[str, list[Any]] = {}
        for table, columns in _COLUMNS.items():
            sql = f"SELECT rowid, {columns} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608  constants
            found = self._select(sql, [position.last[table]])
            if found:
                position.last[table] = found[-1][0]
            rows[table] = [row[1:] for row in found]
        return _as_rows(rows, self._series())

    def new_visits(self, position: RowPosition) -> Iterator[tuple[str, bytes]]:
        """(channel, packed durations in us) of the visits recorded after a position, which moves."""
        for *key, size in self._select(
            "SELECT minute, worker, channel, length(durations) FROM visit_durations"
        ):
            known = position.visit_bytes.get((key[0], key[1], key[2]), 0)
            if size > known:
                ((new,),) = self._select(
                    "SELECT substr(durations, ?) FROM visit_durations"
                    " WHERE (minute, worker, channel) = (?, ?, ?)",
                    [known + 1, *key],
                )
                position.visit_bytes[key[0], key[1], key[2]] = known + len(new)
                yield key[2], new

    def worker_names(self) -> dict[int, str]:
        """The names of the workers by their numbers."""
        return dict(self._select("SELECT id, name FROM workers"))

    def replay(self) -> Iterator[tuple[float, NewRows]]:
        """(end in s since the start, rows recorded in the second before it), for seconds with rows."""
        series = self._series()
        streams = [self._timed(table, time_of) for table, time_of in self._times().items()]
        end_s, rows = 1.0, defaultdict[str, list[Any]](list)
        for at_s, table, row in heapq.merge(*streams, key=lambda one: one[0]):
            if at_s > end_s:
                yield end_s, _as_rows(rows, series)
                end_s, rows = float(math.ceil(at_s)), defaultdict(list)
            rows[table].append(row)
        yield end_s, _as_rows(rows, series)

    def _timed(self, table: str, time_of: Callable[[Any], float]) -> Iterator[tuple[float, str, Any]]:
        """The rows of a table with their times, which never fall."""
        with wrap_errors(self.path, "read the run"):
            rows = self._db.execute(f"SELECT {_COLUMNS[table]} FROM {table} ORDER BY rowid")  # noqa: S608
            latest_s = 0.0
            for row in rows:
                latest_s = max(latest_s, time_of(row))
                yield latest_s, table, row

    def _times(self) -> Mapping[str, Callable[[Any], float]]:
        """When a row of each table was recorded, in s since the start."""
        return {
            "requests": lambda row: row[0] + _longest_s(row[5]),
            "customers": self._leaving_times(),
            "arrivals": lambda row: row[0] + 1.0,
            "orders": lambda row: row[4],
            "health": lambda row: row[1] + 1.0,
            "events": lambda row: row[0],
        }

    def _leaving_times(self) -> Callable[[Any], float]:
        """The second in which the customers of the next row had left."""
        started = np.zeros(self._length_s() + 1, np.int64)
        for second, n in self._select("SELECT second, sum(started) FROM arrivals GROUP BY second"):
            started[second] = n
        inside = self.customers_in_shop().astype(np.int64).tolist()
        left = [total - at for total, at in zip(accumulate(started.tolist()), inside, strict=False)]
        highest = np.maximum.accumulate(np.array(left or [0], np.int64))
        count = 0

        def time_of(row: Any) -> float:
            nonlocal count
            if row[3] == Outcome.DROPPED:
                return float(row[0] + 1)
            count += row[8]
            return max(float(row[0]), float(np.searchsorted(highest, count)) + 1.0)

        return time_of


def _longest_s(response: bytes) -> float:
    bins = unpack(response).bins
    return float(highest_us(bins).max()) / 1e6 if bins.size else 0.0


def _as_rows(rows: Mapping[str, Iterable[Any]], series: Mapping[int, SeriesKey]) -> NewRows:
    health = tuple(WorkerHealth(row[0], HealthSecond(*row[1:])) for row in rows.get("health", ()))
    reports = Batch(
        worker="",
        seq=0,
        requests=tuple(RequestSecond(row[0], series[row[1]], *row[2:]) for row in rows.get("requests", ())),
        customers=tuple(map(CustomerCount._make, rows.get("customers", ()))),
        arrivals=tuple(map(ArrivalCount._make, rows.get("arrivals", ()))),
        orders=tuple(OrderAttempt._make((*row, ())) for row in rows.get("orders", ())),
        health=tuple(row.state for row in health),
        events=tuple(map(Event._make, rows.get("events", ()))),
        counters=tuple(map(CounterSecond._make, rows.get("counters", ()))),
    )
    return NewRows(reports, health)
