"""Locust's own statistics, fed in batches, so that its web UI and console show the run live.

Locust's numbers are coarse (about two digits) and for watching only; the run file has the real ones.
"""

from __future__ import annotations

import time
from typing import Any

from locust.stats import StatsError, bucket_response_time

from doorbuster.load.recorder import SeriesSamples
from doorbuster.records.batch import SeriesKey


def feed_locust(stats: Any, samples: dict[tuple[int, SeriesKey], SeriesSamples]) -> None:
    """Add the samples of the last second to Locust's entries: Type = channel, Name = step."""
    now = time.time()
    for (_, series), rows in samples.items():
        entry = stats.entries[series.step, series.channel]
        n, failed = len(rows.response_us), series.outcome != "ok"
        for target in (entry, stats.total):
            _extend(target, rows, n if failed else 0, now)
        if failed:
            _count_error(stats, series, n)


def _extend(entry: Any, rows: SeriesSamples, failures: int, now: float) -> None:
    times_ms = [us / 1e3 for us in rows.response_us]
    second, n = int(now), len(times_ms)
    entry.last_request_timestamp = now
    entry.num_requests += n
    entry.num_reqs_per_sec[second] = entry.num_reqs_per_sec.get(second, 0) + n
    entry.num_failures += failures
    if failures:
        entry.num_fail_per_sec[second] = entry.num_fail_per_sec.get(second, 0) + failures
    entry.total_response_time += sum(times_ms)
    entry.total_content_length += rows.bytes_received
    low, high = min(times_ms), max(times_ms)
    entry.min_response_time = low if entry.min_response_time is None else min(entry.min_response_time, low)
    entry.max_response_time = max(entry.max_response_time, high)
    for time_ms in times_ms:
        bucket = bucket_response_time(time_ms)
        entry.response_times[bucket] = entry.response_times.get(bucket, 0) + 1


def _count_error(stats: Any, series: SeriesKey, n: int) -> None:
    key = StatsError.create_key(series.channel, series.step, series.cause)
    error = stats.errors.get(key)
    if error is None:
        error = stats.errors[key] = StatsError(series.channel, series.step, series.cause)
    error.occurrences += n
