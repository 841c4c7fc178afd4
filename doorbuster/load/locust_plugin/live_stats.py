"""Feeds Locust's own statistics in batches, so that its web UI and console show the run live.

Locust's numbers have about two digits and are for display only; the run file has the exact ones.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from locust.stats import StatsError, bucket_response_time

from doorbuster.load.recording.recorder import Ints, StepColumns
from doorbuster.records.batch import SeriesKey
from doorbuster.records.outcome import RequestOutcome


def feed_locust(stats: Any, keys: list[SeriesKey], steps: StepColumns) -> None:
    """Add finished steps to Locust's entries: Type = channel, Name = step."""
    now = time.time()
    for number in np.unique(steps.series).tolist():
        series, own = keys[number], steps.series == number
        times_us, received = steps.response_us[own], int(steps.bytes_received[own].sum())
        failed = series.outcome != RequestOutcome.OK
        for entry in (stats.entries[series.step, series.channel], stats.total):
            _extend(entry, times_us, received, now, failed=failed)
        if failed:
            _count_error(stats, series, len(times_us))


def _extend(entry: Any, times_us: Ints, received: int, now: float, *, failed: bool) -> None:
    second, n = int(now), len(times_us)
    entry.last_request_timestamp = now
    entry.num_requests += n
    entry.num_reqs_per_sec[second] = entry.num_reqs_per_sec.get(second, 0) + n
    if failed:
        entry.num_failures += n
        entry.num_fail_per_sec[second] = entry.num_fail_per_sec.get(second, 0) + n
    entry.total_response_time += int(times_us.sum()) / 1e3
    entry.total_content_length += received
    low, high = int(times_us.min()) / 1e3, int(times_us.max()) / 1e3
    entry.min_response_time = low if entry.min_response_time is None else min(entry.min_response_time, low)
    entry.max_response_time = max(entry.max_response_time, high)
    # Locust's buckets are not finer than whole milliseconds.
    whole_ms, counts = np.unique(np.rint(times_us / 1e3).astype(np.int64), return_counts=True)
    for time_ms, count in zip(whole_ms.tolist(), counts.tolist(), strict=True):
        bucket = bucket_response_time(time_ms)
        entry.response_times[bucket] = entry.response_times.get(bucket, 0) + count


def _count_error(stats: Any, series: SeriesKey, n: int) -> None:
    key = StatsError.create_key(series.channel, series.step, series.cause)
    error = stats.errors.get(key)
    if error is None:
        error = stats.errors[key] = StatsError(series.channel, series.step, series.cause)
    error.occurrences += n
