"""Reading the requests of a run file: histograms by any grouping of series and time.

Rules of this module:
- Read-only. A group function maps a series to what it belongs to, or to None to leave it out.
- Histograms are read once, from the sums in the file if it has them (see sums.py): sums per grain of time are
  kept (see grain.py) until the file grows. `grain_s` says which buckets are cheap; finer ones, and stretches
  of time, are read from the file unless sums that can answer are there already.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram, Ints
from doorbuster.records.rollup import WHOLE_RUN_S, Rollup, RollupBuilder, grain_s
from doorbuster.records.scan import Chunk, scan
from doorbuster.records.schema import wrap_errors
from doorbuster.records.sums import read_sums
from doorbuster.records.tally import Tally

Kind = Literal["response", "service", "first_byte"]
KINDS: tuple[Kind, ...] = ("response", "service", "first_byte")
K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class RequestReader:
    """The requests of one run file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._memory: dict[str, tuple[int, Any]] = {}

    @property
    def series(self) -> tuple[SeriesKey, ...]:
        """Every request series seen so far, sorted."""
        return tuple(sorted(self._series().values()))

    @property
    def recorded_s(self) -> int:
        """Seconds up to the last in which somebody arrived or was to be answered.

        Those who never came, because the run was ended before, are in later seconds of the plan.
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
        """The width, in s, of the buckets whose sums are kept; multiples of it are as cheap."""
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
        group_of = np.full(max(self._series(), default=0) + 1, -1, np.int64)
        for series, key in members.items():
            group_of[series] = place[key]
        if self._kept_covers(kind, bucket_s, seconds):
            return self._from_kept(kind, group_of, keys, bucket_s, seconds)
        width_s = bucket_s or 1
        buckets = (self.recorded_s - 1) // width_s + 1 if bucket_s else 1
        tally = Tally(len(keys) * buckets)
        for chunk in self._chunks((kind,), members, seconds):
            slots = group_of[chunk.series]
            if bucket_s:
                slots = slots * buckets + chunk.second // width_s
            tally.add(slots, chunk.columns[0])
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
        if bucket_s > 1 and self._kept_covers("response", bucket_s, None):
            grains = self._grains("response")
            n, bucket = grains.n, grains.grain * grains.grain_s // bucket_s
            for number, key in members.items():
                of = grains.series == number
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

    def _members(self, group: Callable[[SeriesKey], K | None]) -> dict[int, K]:
        """Group of each series that has one."""
        grouped = {number: group(series) for number, series in self._series().items()}
        return {number: key for number, key in grouped.items() if key is not None}

    def _kept_covers(self, kind: Kind, bucket_s: int | None, seconds: tuple[int, int] | None) -> bool:
        """Whether the kept sums can answer: buckets and stretches are whole grains.

        A question about a stretch alone is no reason to read all: a live view asks it once a second.
        """
        width_s = self._kept_width_s(kind)
        within = seconds is None or (
            "grains" in self._memory
            and seconds[0] % width_s == 0
            and (seconds[1] % width_s == 0 or seconds[1] >= self._length_s())
        )
        return within and (bucket_s or width_s) % width_s == 0

    def _kept_width_s(self, kind: Kind) -> int:
        """Of a long run, service times and first bytes are kept for the whole: no section asks for more."""
        return self.grain_s if kind == "response" or self.grain_s == 1 else WHOLE_RUN_S

    def _grains(self, kind: Kind) -> Rollup:
        """The kept sums, read when they were not yet or when the file has grown since."""
        return self._once("grains", self._read_grains)[kind]

    def _read_grains(self) -> Mapping[str, Rollup]:
        """As the file has them since the end of the run, or else added up."""
        with wrap_errors(self.path, "read the run"):
            kept = read_sums(self._db, {kind: self._kept_width_s(kind) for kind in KINDS})
        return self.add_up() if kept is None else kept

    def add_up(self) -> dict[str, Rollup]:
        """Sums of all requests by kind of time, series and stretch.

        All kinds in one pass: going through the table costs more than adding up another kind.
        """
        builders = {kind: RollupBuilder(self._kept_width_s(kind)) for kind in KINDS}
        for chunk in self._chunks(KINDS, self._series(), None):
            for builder, entries in zip(builders.values(), chunk.columns, strict=True):
                builder.add(chunk.series, chunk.second, entries)
        return {str(kind): builder.finished() for kind, builder in builders.items()}

    def _once(self, name: str, read: Callable[[], T]) -> T:
        """What `read` gives, kept until another connection has written to the file."""
        ((version,),) = self._select("PRAGMA data_version")
        found = self._memory.get(name)
        if found is None or found[0] != version:
            found = self._memory[name] = (version, read())
        value: T = found[1]
        return value

    def _from_kept(
        self,
        kind: Kind,
        group_of: Ints,
        keys: list[K],
        bucket_s: int | None,
        seconds: tuple[int, int] | None,
    ) -> dict[K, Histogram] | dict[tuple[K, int], Histogram]:
        grains = self._grains(kind)
        starts_s = grains.grain * grains.grain_s
        targets = group_of[grains.series]
        if seconds is not None:
            targets[(starts_s < seconds[0]) | (starts_s >= seconds[1])] = -1
        if bucket_s is None:
            return {keys[slot]: found for slot, found in grains.summed(targets)}
        buckets = int(starts_s.max(initial=0)) // bucket_s + 1
        targets = np.where(targets < 0, -1, targets * buckets + starts_s // bucket_s)
        return {(keys[slot // buckets], slot % buckets): found for slot, found in grains.summed(targets)}

    def _chunks(
        self, kinds: Sequence[Kind], members: Mapping[int, object], seconds: tuple[int, int] | None
    ) -> Iterator[Chunk]:
        """The rows of the wanted series, some megabytes at a time."""
        series = members if len(members) < len(self._series()) else None
        with wrap_errors(self.path, "read the run"):
            yield from scan(self._db, kinds, series=series, seconds=seconds)

    def _length_s(self) -> int:
        """Whole seconds that cover the plan and everything recorded."""
        return self._once("length", self._read_length_s)

    def _read_length_s(self) -> int:
        ((planned_s, duration),) = self._select(
            "SELECT (SELECT ifnull(max(second), -1) + 1 FROM plan),"
            " (SELECT value FROM meta WHERE key = 'duration_s')"
        )
        return max(math.ceil(float(json.loads(duration or "0"))), self.recorded_s, int(planned_s))


def _sums(buckets: Ints, n: Ints, length: int) -> Ints:
    """The sum of n in each bucket 0..length-1."""
    return np.bincount(buckets, weights=n, minlength=length).astype(np.int64)  # whole numbers below 2 ** 53
