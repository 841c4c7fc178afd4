"""Reads the secondary metrics of a run file: counters, think times, visit durations, step timings, freshness.

All values are summed over workers; each call sees the file as of the last committed second.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.batch import FreshnessReading, SeriesKey
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import PROTOCOL
from doorbuster.records.request_reader import RequestReader


class CounterKey(NamedTuple):
    """A counter of one channel."""

    channel: str
    name: str


class ServerTimingEntry(NamedTuple):
    """A Server-Timing entry in responses of one series; `description` only if it has no duration."""

    series: SeriesKey
    entry: str
    description: str


class ConnectTotals(NamedTuple):
    """Connection set-up of n steps that opened a connection for their first request; total_us in all."""

    n: int
    total_us: int
    longest_us: int

    @property
    def mean_us(self) -> float | None:
        return self.total_us / self.n if self.n else None


class ServerTimingTotals(NamedTuple):
    """Totals of one Server-Timing entry.

    sampled: responses read that had the entry. steps: the steps they represent, and total_us: the total time
    in those steps, both estimated; total_us is 0 for an entry without a duration.
    """

    sampled: int
    steps: float
    total_us: float

    @property
    def mean_us(self) -> float | None:
        """Mean over the steps that had the entry; None without steps."""
        return self.total_us / self.steps if self.steps else None


class ServerTimingMinute(NamedTuple):
    """One Server-Timing entry with durations, in the answers of one series and minute of intended start.

    The sampled answers represent `weight` answers and `total_us` in total, both estimated.
    """

    minute: int
    series: SeriesKey
    entry: str
    weight: float
    total_us: float


class SubsequentRequests(NamedTuple):
    """`requests` that n steps made after their first: sums in us, and the elapsed time (us) of each step."""

    n: int
    requests: int
    connect_us: int
    wait_us: int
    body_us: int
    times: Histogram


@dataclass(frozen=True, slots=True)
class WeightedDurations:
    """Sampled times (us), one histogram per minute with the weight of its values."""

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
        """The sample with each value counted by its weight, in thousandths."""
        bins = [times.bins for times, _ in self.minutes]
        counts = [np.rint(times.bin_counts * weight * 1000) for times, weight in self.minutes]
        return (
            Histogram.from_bins(np.concatenate(bins), np.concatenate(counts)) if bins else Histogram.empty()
        )


@dataclass(frozen=True, slots=True)
class StepTimings:
    """The parts of the steps' times that were measured separately.

    connect: per series, opening the connection of the first request (DNS, TCP, proxy, TLS), of the steps that
    opened one; part of their time to the first byte. server: per Server-Timing entry. subsequent: per series,
    the requests that steps made after their first.
    """

    connect: dict[SeriesKey, ConnectTotals]
    server: dict[ServerTimingEntry, ServerTimingTotals]
    connect_times: dict[SeriesKey, Histogram]
    server_times: dict[ServerTimingEntry, WeightedDurations]
    subsequent: dict[SeriesKey, SubsequentRequests]


class SecondaryMetricsReader(RequestReader):
    """The secondary metrics of one run file."""

    def counters(self) -> dict[CounterKey, NDArray[np.int64]]:
        """Counts of each counter per second of the run; int64, all of the same length.

        Names in use: retries, reloads, queue_polls, offline_sales, degraded:<step> for a part of the shop
        that failed without ending the visit, lenient:<what> for answers that were odd but readable,
        protocol:<name> for connections; of customers let in, device:<name>, signed_in and cache_busting
        where the channel states their share. A counter that stayed at zero is absent.
        """
        return self._once("counters", self._read_counters)

    def connections_by_protocol(self) -> dict[str, int]:
        """Connections that customers opened and that answered, by protocol, the most frequent one first.

        Empty for a plain Locust file, imported results and runs of earlier versions.
        """
        found: Counter[str] = Counter()
        for key, n in self.counters().items():
            if key.name.startswith(PROTOCOL):
                found[key.name.removeprefix(PROTOCOL)] += int(n.sum())
        return dict(found.most_common())

    def _read_counters(self) -> dict[CounterKey, NDArray[np.int64]]:
        rows = self._select(
            "SELECT channel, name, second, sum(n) FROM counters GROUP BY channel, name, second"
        )
        length = max([self._length_s(), *(second + 1 for _, _, second, _ in rows)])
        found: defaultdict[CounterKey, NDArray[np.int64]] = defaultdict(lambda: np.zeros(length, np.int64))
        for channel, name, second, n in rows:
            found[CounterKey(channel, name)][max(second, 0)] += n
        return dict(found)

    def think_times(self) -> dict[str, Histogram]:
        """Think times (us) per channel, as drawn."""
        return self._once("think_times", lambda: self._histograms_by("think_times", "channel"))

    def visit_durations(self) -> dict[str, Histogram]:
        """Visit durations (us) per channel, from the intended arrival to the end of the visit.

        Every customer let in counts once, whatever the outcome; a customer dropped before does not.
        """
        return self._once("visit_durations", lambda: self._histograms_by("visit_durations", "channel"))

    def step_timings(self) -> StepTimings:
        """The parts of the steps' times that were measured separately.

        The mean time from sending to the first byte is that of `histogram("first_byte")` less `connect`; the
        mean time of the body is "service" less "first_byte".
        """
        return self._once("step_timings", self._read_step_timings)

    def server_timing_minutes(self) -> tuple[ServerTimingMinute, ...]:
        """Server-Timing entries with durations by minute, in order of time."""
        series = self._series()
        rows = self._select(
            "SELECT minute, series, entry, sum(weight), sum(total_us) FROM server_timings WHERE total_us > 0"
            " GROUP BY minute, series, entry ORDER BY minute, series, entry"
        )
        return tuple(ServerTimingMinute(row[0], series[row[1]], *row[2:]) for row in rows)

    def _read_step_timings(self) -> StepTimings:
        series = self._series()
        connects = self._select(
            "SELECT series, sum(n), sum(total_us), max(longest_us) FROM connect_times"
            " GROUP BY series ORDER BY series"
        )
        timings = self._select(
            "SELECT series, entry, description, sum(n), sum(weight), sum(total_us) FROM server_timings"
            " GROUP BY series, entry, description ORDER BY series, entry, description"
        )
        connect_times = self._histograms_by("connect_times", "series")
        return StepTimings(
            connect={series[row[0]]: ConnectTotals(*row[1:]) for row in connects},
            server={
                ServerTimingEntry(series[row[0]], *row[1:3]): ServerTimingTotals(*row[3:]) for row in timings
            },
            connect_times={series[number]: times for number, times in connect_times.items()},
            server_times=self._server_times(series),
            subsequent=self._subsequent_requests(series),
        )

    def _server_times(self, series: dict[int, SeriesKey]) -> dict[ServerTimingEntry, WeightedDurations]:
        found: defaultdict[ServerTimingEntry, list[tuple[Histogram, float]]] = defaultdict(list)
        for number, entry, description, weight, durations in self._select(
            "SELECT series, entry, description, weight / n, durations FROM server_timings WHERE total_us > 0"
        ):
            times = Histogram.from_blobs([durations])
            found[ServerTimingEntry(series[number], entry, description)].append((times, weight))
        return {entry: WeightedDurations(tuple(minutes)) for entry, minutes in found.items()}

    def _subsequent_requests(self, series: dict[int, SeriesKey]) -> dict[SeriesKey, SubsequentRequests]:
        times = self._histograms_by("subsequent_requests", "series")
        rows = self._select(
            "SELECT series, sum(n), sum(requests), sum(connect_us), sum(wait_us), sum(body_us)"
            " FROM subsequent_requests GROUP BY series ORDER BY series"
        )
        return {series[row[0]]: SubsequentRequests._make((*row[1:], times[row[0]])) for row in rows}

    def freshness(self) -> tuple[FreshnessReading, ...]:
        """Delays until each channel showed each change, in the order of the changes."""
        rows = self._select(
            "SELECT at_s, sku, channel, outcome, delay_s, last_stale_s, observations, not_seen, what"
            " FROM freshness ORDER BY at_s, channel"
        )
        return tuple(FreshnessReading(*row) for row in rows)

    def _histograms_by(self, table: str, key: str) -> dict[Any, Histogram]:
        """All durations of a table, by channel or by number of the series."""
        blobs: defaultdict[Any, list[bytes]] = defaultdict(list)
        query = f"SELECT {key}, durations FROM {table} ORDER BY {key}"  # noqa: S608 -- constants of this file
        for name, blob in self._select(query):
            blobs[name].append(blob)
        return {name: Histogram.from_blobs(found) for name, found in blobs.items()}
