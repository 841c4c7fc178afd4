"""The metrics that are streamed, independent of protocol: names, labels and cumulative values.

Rules of this module:
- Counters and distributions count from the start of the run; each output derives what its protocol needs.
- A distribution keeps the counts of all bins of the run file, so that every output can state quantiles of
  merged requests instead of means of quantiles.
- Names follow the conventions of Prometheus: base units, `_total` for counters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from doorbuster.records.batch import Event
from doorbuster.records.histogram import BINS, Histogram, middle_us

MetricKind = Literal["counter", "gauge", "distribution"]
Labels = tuple[tuple[str, str], ...]
"""(name, value) pairs, sorted by name."""

# Upper edges of buckets, in s: a bin of the run file, which is at most 0.1 % wide, belongs to the bucket of
# its middle.
BUCKET_EDGES_S = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0,
    15.0, 20.0, 30.0, 60.0,
)  # fmt: skip
MIDDLE_S = middle_us(np.arange(BINS)) / 1e6
_BUCKET_OF_BIN = np.searchsorted(BUCKET_EDGES_S, MIDDLE_S)


@dataclass(frozen=True, eq=False)
class Distribution:
    """Durations counted since the start of the run, in the bins of the run file.

    Sparse: a receiver that does not answer makes many updates wait in memory.
    """

    histogram: Histogram

    @classmethod
    def of(cls, *parts: Histogram) -> Distribution:
        """All durations of several histograms together."""
        return cls(parts[0] if len(parts) == 1 else merged_histogram(parts))

    @cached_property
    def n(self) -> int:
        return self.histogram.n

    @cached_property
    def sum_s(self) -> float:
        """Sum of the bins' middles, in s."""
        return float(self.histogram.bin_counts @ MIDDLE_S[self.histogram.bins])

    @cached_property
    def cumulative_buckets(self) -> tuple[int, ...]:
        """How many durations are at most each edge of `BUCKET_EDGES_S`."""
        buckets = np.bincount(
            _BUCKET_OF_BIN[self.histogram.bins],
            weights=self.histogram.bin_counts,
            minlength=len(BUCKET_EDGES_S) + 1,
        )
        return tuple(np.cumsum(buckets[:-1]).astype(np.int64).tolist())

    def quantile_s(self, p: float) -> float | None:
        """The p-quantile in s; None without durations."""
        found = self.histogram.quantile_us(p)
        return None if found is None else found / 1e6


def merged_histogram(parts: Iterable[Histogram]) -> Histogram:
    """All values of several histograms together."""
    found = tuple(parts)
    bins = [part.bins for part in found] or [np.empty(0, np.int64)]
    counts = [part.bin_counts for part in found] or [np.empty(0, np.int64)]
    return Histogram.from_bins(np.concatenate(bins), np.concatenate(counts))


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One series of a metric: a number, or a distribution."""

    labels: Labels
    value: float | Distribution


@dataclass(frozen=True, slots=True)
class StreamedMetric:
    """One metric with all its series. `unit` is "" or a base unit such as "seconds"."""

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    points: tuple[MetricPoint, ...]


@dataclass(frozen=True, slots=True)
class Update:
    """All metrics at one moment; `events` are those since the last update."""

    at_unix_ns: int
    started_at_unix_ns: int
    metrics: tuple[StreamedMetric, ...]
    k6_metrics: tuple[StreamedMetric, ...] = ()
    k6_trends: tuple[StreamedMetric, ...] = ()
    events: tuple[Event, ...] = ()


def labels(**values: str) -> Labels:
    """Labels without the empty ones, sorted by name."""
    return tuple(sorted((name, value) for name, value in values.items() if value))
