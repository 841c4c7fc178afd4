"""Reading what is noted beside the requests: counters, think times, stays, connecting, Server-Timing, prices.

Rules of this module:
- Read-only. A run file of format 1 has none of these tables and reads as if nothing had been noted; one of
  format 2 has sums where later ones have the times of single steps.
- Summed over workers; each call sees the file as of the last committed second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.batch import FreshnessReading, SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.requests import RequestReader


class CounterKey(NamedTuple):
    """What was counted, where."""

    channel: str
    name: str


class ServerEntry(NamedTuple):
    """One entry of Server-Timing as answers of one series gave it; `description` only without a duration."""

    series: SeriesKey
    entry: str
    description: str


class Connecting(NamedTuple):
    """Opening connections: n steps opened one for their first request, which took total_us in all."""

    n: int
    total_us: int
    longest_us: int

    @property
    def mean_us(self) -> float | None:
        return self.total_us / self.n if self.n else None


class ServerTimes(NamedTuple):
    """What the answers of one series said in one entry.

    sampled: answers that were read and named the entry. steps: how many steps they stand for, and total_us:
    the time in all those steps together, both estimated; total_us is 0 for an entry without a duration.
    """

    sampled: int
    steps: float
    total_us: float

    @property
    def mean_us(self) -> float | None:
        """Mean over the steps that named the entry; None where there was nothing."""
        return self.total_us / self.steps if self.steps else None


class LaterRequests(NamedTuple):
    """n steps made `requests` more after their first: sums of those in us, elapsed times (us) per step."""

    n: int
    requests: int
    connect_us: int
    wait_us: int
    body_us: int
    times: Histogram


@dataclass(frozen=True, slots=True)
class WeightedTimes:
    """Times (us) of a sample, as minutes, each with how many values one of its values stands for."""

    minutes: tuple[tuple[Histogram, float], ...]

    @property
    def n(self) -> int:
        """Values in the sample."""
        return sum(times.n for times, _ in self.minutes)

    @property
    def effective_n(self) -> float:
        """Equally weighted values that are as informative: (sum of w)^2 / sum of w^2 (Kish)."""
        total = sum(times.n * weight for times, weight in self.minutes)
        return total**2 / sum(times.n * weight**2 for times, weight in self.minutes) if total else 0.0

    @property
    def times(self) -> Histogram:
        """The sample with each value counted as often as it stands for, in thousandths."""
        bins = [times.bins for times, _ in self.minutes]
        counts = [np.rint(times.bin_counts * weight * 1000) for times, weight in self.minutes]
        return (
            Histogram.from_bins(np.concatenate(bins), np.concatenate(counts)) if bins else Histogram.empty()
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of steps that were measured apart.

    connect: per series, opening the first connection: name, TCP, proxy and TLS, of those steps that opened
    one; a part of their time to the first byte. server: per entry of Server-Timing. later: per series, what
    came after the first request of steps that made several. Files before format 3 have no times of single
    steps (connect_times, server_times), and None for `later`: it was not recorded apart from the body.
    """

    connect: dict[SeriesKey, Connecting]
    server: dict[ServerEntry, ServerTimes]
    connect_times: dict[SeriesKey, Histogram] = field(default_factory=dict)
    server_times: dict[ServerEntry, WeightedTimes] = field(default_factory=dict)
    later: dict[SeriesKey, LaterRequests] | None = None


class AsideReader(RequestReader):
    """The notes of one run file."""

    def counters(self) -> dict[CounterKey, NDArray[np.int64]]:
        """Per (channel, name) how often it was counted in each second of the run; int64, one length for all.

        Names in use: retries, reloads, queue_polls, offline_sales, degraded:<step> for a part of the shop
        that failed without ending the visit; of those let in, device:<name>, signed_in and uncached where the
        channel says their share. None of a kind: the key is absent.
        """
        return self._once("counters", self._read_counters)

    def _read_counters(self) -> dict[CounterKey, NDArray[np.int64]]:
        rows = self._rows("counters", "channel, name, second, sum(n)", "GROUP BY channel, name, second")
        length = max([self._length_s(), *(second + 1 for _, _, second, _ in rows)])
        found: defaultdict[CounterKey, NDArray[np.int64]] = defaultdict(lambda: np.zeros(length, np.int64))
        for channel, name, second, n in rows:
            found[CounterKey(channel, name)][max(second, 0)] += n
        return dict(found)

    def thinks(self) -> dict[str, Histogram]:
        """Per channel, the think times (us) that its customers drew."""
        return self._once("thinks", lambda: self._histograms_per_channel("thinks", "think"))

    def stays(self) -> dict[str, Histogram]:
        """Per channel of arrival, how long (us) customers stayed: from their intended arrival to leaving.

        Every customer who was let in counts once, however they left; a dropped one who never got in does not.
        """
        return self._once("stays", lambda: self._histograms_per_channel("stays", "stay"))

    def parts(self) -> Parts:
        """What was measured of single parts of a step; nothing for a run file of format 1.

        The time to the first byte after sending is that of `histogram("first_byte")` less `connect`, the body
        is "service" less "first_byte": their means are differences of means.
        """
        return self._once("parts", self._read_parts)

    def _read_parts(self) -> Parts:
        series = self._series()
        connects = self._rows(
            "connects", "series, sum(n), sum(total_us), max(longest_us)", "GROUP BY series ORDER BY series"
        )
        timings = self._rows(
            "server_timings",
            "series, entry, description, sum(n), sum(stands_for), sum(total_us)",
            "GROUP BY series, entry, description ORDER BY series, entry, description",
        )
        return Parts(
            connect={series[row[0]]: Connecting(*row[1:]) for row in connects},
            server={ServerEntry(series[row[0]], *row[1:3]): ServerTimes(*row[3:]) for row in timings},
            connect_times={
                series[number]: Histogram.from_blobs(blobs)
                for number, blobs in self._blobs("connects", "series", "connect").items()
            },
            server_times=self._server_times(),
            later=self._later(),
        )

    def _server_times(self) -> dict[ServerEntry, WeightedTimes]:
        if not self._has("server_timings", "took"):
            return {}
        series = self._series()
        found: defaultdict[ServerEntry, list[tuple[Histogram, float]]] = defaultdict(list)
        for number, entry, description, weight, took in self._select(
            "SELECT series, entry, description, stands_for / n, took FROM server_timings WHERE total_us > 0"
        ):
            times = Histogram.from_blobs([took])
            found[ServerEntry(series[number], entry, description)].append((times, weight))
        return {entry: WeightedTimes(tuple(minutes)) for entry, minutes in found.items()}

    def _later(self) -> dict[SeriesKey, LaterRequests] | None:
        if not self._has("later_requests", "later"):
            return None
        series = self._series()
        times = self._blobs("later_requests", "series", "later")
        return {
            series[row[0]]: LaterRequests._make((*row[1:], Histogram.from_blobs(times[row[0]])))
            for row in self._rows(
                "later_requests",
                "series, sum(n), sum(requests), sum(connect_us), sum(wait_us), sum(body_us)",
                "GROUP BY series ORDER BY series",
            )
        }

    def freshness(self) -> tuple[FreshnessReading, ...]:
        """How long each channel took to show each change, in the order of the changes."""
        columns = "at_s, sku, channel, outcome, took_s, old_until_s, looks, unread"
        if self._has("freshness", "what"):
            columns += ", what"
        return tuple(
            FreshnessReading(*row) for row in self._rows("freshness", columns, "ORDER BY at_s, channel")
        )

    def _histograms_per_channel(self, table: str, column: str) -> dict[str, Histogram]:
        blobs = self._blobs(table, "channel", column)
        return {channel: Histogram.from_blobs(found) for channel, found in blobs.items()}

    def _blobs(self, table: str, key: str, column: str) -> dict[Any, list[bytes]]:
        blobs: defaultdict[Any, list[bytes]] = defaultdict(list)
        if self._has(table, column):
            for name, blob in self._rows(table, f"{key}, {column}", f"ORDER BY {key}"):
                blobs[name].append(blob)
        return blobs

    def _has(self, table: str, column: str) -> bool:
        """Whether the file has this column; those of older formats may not."""
        return bool(self._select("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", [table, column]))

    def _rows(self, table: str, columns: str, rest: str = "") -> list[Any]:
        """Rows of a table that format 1 does not have."""
        if not self._select("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", [table]):
            return []
        return self._select(f"SELECT {columns} FROM {table} {rest}")  # noqa: S608 -- constants of this file
