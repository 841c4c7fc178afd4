"""Reads the requests of a run file: histograms by any grouping of series and time.

Rules of this module:
- Read-only. A group function maps a series to its group, or to None to leave it out.
- Requests for static assets of pages are left out, unless `assets` asks for them alone.
- Rollups of the requests (see rollup.py) are computed once, or read from the file (see rollup_table.py), and
  cached until the file grows. Buckets that are multiples of `grain_s` are answered from them; finer buckets
  and other ranges of seconds are read from the table of requests.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram, Ints
from doorbuster.records.request_table_scan import RowChunk, scan
from doorbuster.records.rollup import WHOLE_RUN_S, Rollup, RollupBuilder, grain_s
from doorbuster.records.rollup_table import read_rollups
from doorbuster.records.schema import wrap_errors

Kind = Literal["response", "service", "first_byte"]
KINDS: tuple[Kind, ...] = ("response", "service", "first_byte")
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class Traffic(NamedTuple):
    """Requests of one second, static assets included, and their bytes as sent and received."""

    requests: int
    bytes_sent: int
    bytes_received: int


class RequestReader:
    """The requests of one run file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._memory: dict[str, tuple[int, Any]] = {}

    @property
    def series(self) -> tuple[SeriesKey, ...]:
        """Every request series seen so far, sorted; without static assets."""
        return tuple(sorted(key for key in self._series().values() if not key.is_asset))

    @property
    def asset_series(self) -> tuple[SeriesKey, ...]:
        """Every series of static assets of pages, sorted."""
        return tuple(sorted(key for key in self._series().values() if key.is_asset))

    def traffic(self) -> dict[int, Traffic]:
        """Requests and bytes by second of the intended start."""
        rows = self._select(
            "SELECT second, sum(n), sum(bytes_sent), sum(bytes_received) FROM requests GROUP BY second"
        )
        return {second: Traffic(*sums) for second, *sums in rows}

    @property
    def recorded_s(self) -> int:
        """Seconds up to the last in which a customer started or a request was due.

        Arrivals dropped because the run ended early are in later seconds of the plan.
        """
        return self._once("recorded", self._read_recorded_s)

    def _read_recorded_s(self) -> int:
        (row,) = self._select(
            "SELECT max((SELECT ifnull(max(second), -1) FROM arrivals WHERE started > 0),"
            " (SELECT ifnull(max(second), -1) FROM requests))"
        )
        return int(row[0]) + 1

    @property
    def grain_s(self) -> int:
        """Width, in s, of the cached rollups; buckets of a multiple of it are cheap."""
        return grain_s(self._length_s())

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
        bucket_s: None = None,
        *,
        seconds: tuple[int, int] | None = None,
        assets: bool = False,
    ) -> dict[K, Histogram]: ...

    @overload
    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        bucket_s: int = ...,
        *,
        seconds: tuple[int, int] | None = None,
        assets: bool = False,
    ) -> dict[tuple[K, int], Histogram]: ...

    def histograms_by(
        self,
        group: Callable[[SeriesKey], K | None],
        kind: Kind = "response",
        bucket_s: int | None = None,
        *,
        seconds: tuple[int, int] | None = None,
        assets: bool = False,
    ) -> dict[K, Histogram] | dict[tuple[K, int], Histogram]:
        """Requests added up by group, or by (group, second // bucket_s).

        Groups and buckets without requests are absent.
        """
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)} (got {kind!r})")
        members = self._members(group, assets=assets)
        keys = list(dict.fromkeys(members.values()))
        place = {key: number for number, key in enumerate(keys)}
        group_of = np.full(max(self._series(), default=0) + 1, -1, np.int64)
        for series, key in members.items():
            group_of[series] = place[key]
        if self._cache_covers(kind, bucket_s, seconds):
            return _grouped(self._rollup(kind), group_of, keys, bucket_s, seconds)
        builder = RollupBuilder(bucket_s or WHOLE_RUN_S)
        for chunk in self._chunks((kind,), members, seconds):
            builder.add(group_of[chunk.series], chunk.second, chunk.columns[0])
        return _grouped(builder.finished(), np.arange(len(keys)), keys, bucket_s, None)

    def request_counts(
        self, group: Callable[[SeriesKey], K | None], bucket_s: int = 1, *, assets: bool = False
    ) -> dict[K, NDArray[np.int64]]:
        """Requests per bucket of `bucket_s` seconds for each group; all arrays cover the whole run."""
        members = self._members(group, assets=assets)
        length = max(0, math.ceil(self._length_s() / bucket_s))
        counts: dict[K, NDArray[np.int64]] = {key: np.zeros(length, np.int64) for key in members.values()}
        if bucket_s > 1 and self._cache_covers("response", bucket_s, None):
            rollup = self._rollup("response")
            n, bucket = rollup.n, rollup.grain * rollup.grain_s // bucket_s
            for number, key in members.items():
                of = rollup.series == number
                counts[key] += _sums(bucket[of], n[of], length)
            return counts
        for chunk in self._chunks((), members, None):
            for series in np.unique(chunk.series).tolist():
                of = chunk.series == series
                counts[members[series]] += _sums(chunk.second[of] // bucket_s, chunk.n[of], length)
        return counts

    def _select(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with wrap_errors(self.path, "read the run"):
            return self._db.execute(sql, values).fetchall()

    def _series(self) -> dict[int, SeriesKey]:
        rows = self._select("SELECT id, channel, journey, step, outcome, cause FROM series")
        return {row[0]: SeriesKey(*row[1:]) for row in rows}

    def _members(self, group: Callable[[SeriesKey], K | None], *, assets: bool) -> dict[int, K]:
        """Group of each series that has one."""
        series = {number: key for number, key in self._series().items() if key.is_asset == assets}
        grouped = {number: group(key) for number, key in series.items()}
        return {number: key for number, key in grouped.items() if key is not None}

    def _cache_covers(self, kind: Kind, bucket_s: int | None, seconds: tuple[int, int] | None) -> bool:
        """Whether the cached rollups can answer: buckets and ranges are multiples of their width.

        A range alone does not fill the cache: the live view asks for one every second.
        """
        width_s = self._rollup_width_s(kind)
        within = seconds is None or (
            "rollups" in self._memory
            and seconds[0] % width_s == 0
            and (seconds[1] % width_s == 0 or seconds[1] >= self._length_s())
        )
        return within and (bucket_s or width_s) % width_s == 0

    def _rollup_width_s(self, kind: Kind) -> int:
        """Of a long run, service times and first bytes are only needed for the whole run."""
        return self.grain_s if kind == "response" or self.grain_s == 1 else WHOLE_RUN_S

    def _rollup(self, kind: Kind) -> Rollup:
        """The cached rollup, read again when the file has grown."""
        return self._once("rollups", self._read_rollups)[kind]

    def _read_rollups(self) -> Mapping[str, Rollup]:
        """From the file, which has them after a long run, or else computed."""
        with wrap_errors(self.path, "read the run"):
            stored = read_rollups(self._db, {kind: self._rollup_width_s(kind) for kind in KINDS})
        return self.roll_up() if stored is None else stored

    def roll_up(self) -> dict[str, Rollup]:
        """Rollups of all requests by kind of time.

        All kinds in one pass: reading the table costs more than adding up another kind.
        """
        builders = {kind: RollupBuilder(self._rollup_width_s(kind)) for kind in KINDS}
        for chunk in self._chunks(KINDS, self._series(), None):
            for builder, entries in zip(builders.values(), chunk.columns, strict=True):
                builder.add(chunk.series, chunk.second, entries)
        return {str(kind): builder.finished() for kind, builder in builders.items()}

    def _once(self, name: str, read: Callable[[], T]) -> T:
        """The result of `read`, cached until another connection has written to the file."""
        ((version,),) = self._select("PRAGMA data_version")
        found = self._memory.get(name)
        if found is None or found[0] != version:
            found = self._memory[name] = (version, read())
        value: T = found[1]
        return value

    def _chunks(
        self, kinds: Sequence[Kind], members: Mapping[int, object], seconds: tuple[int, int] | None
    ) -> Iterator[RowChunk]:
        """The rows of the wanted series, some megabytes at a time."""
        series = members if len(members) < len(self._series()) else None
        with wrap_errors(self.path, "read the run"):
            yield from scan(self._db, kinds, series=series, seconds=seconds)

    def _length_s(self) -> int:
        """Whole seconds that cover the plan and all recorded data."""
        return self._once("length", self._read_length_s)

    def _read_length_s(self) -> int:
        ((planned_s, duration),) = self._select(
            "SELECT (SELECT ifnull(max(second), -1) + 1 FROM plan),"
            " (SELECT value FROM meta WHERE key = 'duration_s')"
        )
        return max(math.ceil(float(json.loads(duration or "0"))), self.recorded_s, int(planned_s))


def _grouped(
    rollup: Rollup,
    group_of: Ints,
    keys: list[K],
    bucket_s: int | None,
    seconds: tuple[int, int] | None,
) -> dict[K, Histogram] | dict[tuple[K, int], Histogram]:
    """Histograms by group, or by group and bucket; `group_of` maps a series to an index of `keys`."""
    starts_s = rollup.grain * rollup.grain_s
    targets = group_of[rollup.series]
    if seconds is not None:
        targets[(starts_s < seconds[0]) | (starts_s >= seconds[1])] = -1
    if bucket_s is None:
        return {keys[slot]: found for slot, found in rollup.summed(targets)}
    buckets = int(starts_s.max(initial=0)) // bucket_s + 1
    targets = np.where(targets < 0, -1, targets * buckets + starts_s // bucket_s)
    return {(keys[slot // buckets], slot % buckets): found for slot, found in rollup.summed(targets)}


def _sums(buckets: Ints, n: Ints, length: int) -> Ints:
    """The sum of n in each bucket 0..length-1.

    Later buckets belong to rows that were written since the length was read, or to damaged rollups.
    """
    sums = np.bincount(buckets, weights=n, minlength=length)[:length]
    return sums.astype(np.int64)  # whole numbers below 2 ** 53
