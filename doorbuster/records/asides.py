"""Reading what is noted beside the requests: counters, think times, stays, connecting, Server-Timing, prices.

Rules of this module:
- Read-only. A run file of format 1 has none of these tables and reads as if nothing had been noted.
- Summed over workers; each call sees the file as of the last committed second.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of steps that were measured apart.

    connect: per series, opening the first connection: name, TCP, proxy and TLS, of those steps that opened
    one; a part of their time to the first byte. server: per entry of Server-Timing.
    """

    connect: dict[SeriesKey, Connecting]
    server: dict[ServerEntry, ServerTimes]


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
        )

    def freshness(self) -> tuple[FreshnessReading, ...]:
        """How long each channel took to show each change, in the order of the changes."""
        columns = "at_s, sku, channel, outcome, took_s, old_until_s, looks, unread"
        if self._select("SELECT 1 FROM pragma_table_info('freshness') WHERE name = 'what'"):
            columns += ", what"
        return tuple(
            FreshnessReading(*row) for row in self._rows("freshness", columns, "ORDER BY at_s, channel")
        )

    def _histograms_per_channel(self, table: str, column: str) -> dict[str, Histogram]:
        blobs: defaultdict[str, list[bytes]] = defaultdict(list)
        for channel, blob in self._rows(table, f"channel, {column}", "ORDER BY channel"):
            blobs[channel].append(blob)
        return {channel: Histogram.from_blobs(found) for channel, found in blobs.items()}

    def _rows(self, table: str, columns: str, rest: str = "") -> list[Any]:
        """Rows of a table that format 1 does not have."""
        if not self._select("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", [table]):
            return []
        return self._select(f"SELECT {columns} FROM {table} {rest}")  # noqa: S608 -- constants of this file
