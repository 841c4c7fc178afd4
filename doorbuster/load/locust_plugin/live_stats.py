"""Feeds Locust's own statistics once a second, so that its web UI and console show the run live.

- Locust's numbers have about two digits and are for display only; the run file has the exact ones.
- Locust's chart shows percentiles of the requests that ended within the last ten seconds, and 0 ms when none
  did: in a collapse it would show the fastest shop of the run. So the requests that are still waiting count
  with their age, where that raises the percentile. Their number and the other columns stay Locust's.
- Locust counts one user for each worker, the generator's. So a master shows the customers in the shop.
- Workers send both with Locust's report to the master (`report_to_master`, `worker_report`).
- Requests that the end of the run cut off are not failures of the shop, and are not shown.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np
from locust.stats import StatsEntry, StatsError, bucket_response_time

from doorbuster.load.recording.recorder import Ints, StepColumns
from doorbuster.records.batch import SeriesKey
from doorbuster.records.outcome import Cause, RequestOutcome

WAITING = "doorbuster_waiting"  # in a worker's report to the master: {age in ms: requests}
IN_SHOP = "doorbuster_in_shop"  # likewise: customers
OUTDATED_S = 10.0  # a report of waiting requests that old is ignored: its worker is lost or has ended

Ages = Mapping[int, int]


class WaitingRequests:
    """By worker: ages of waiting requests, in Locust's buckets of milliseconds, and customers inside."""

    def __init__(self) -> None:
        self._reported: dict[str, tuple[float, Ages, int]] = {}

    def report(self, worker: str, ages_ms: Ages, in_shop: int) -> None:
        self._reported[worker] = time.monotonic(), ages_ms, in_shop

    def ages_ms(self) -> Counter[int]:
        """The ages of all workers."""
        found: Counter[int] = Counter()
        for ages_ms, _ in self._current():
            found.update(ages_ms)
        return found

    def in_shop(self) -> int:
        """Customers in the shop, of all workers."""
        return sum(n for _, n in self._current())

    def _current(self) -> Iterator[tuple[Ages, int]]:
        for at, ages_ms, in_shop in self._reported.values():
            if time.monotonic() - at < OUTDATED_S:
                yield ages_ms, in_shop


class LiveTotal(StatsEntry):
    """Locust's entry of all requests; its current percentiles include the requests that still wait."""

    waiting: WaitingRequests

    def get_current_response_time_percentile(self, percent: float) -> int | None:
        """The percentile in the last ten seconds; at least that of the requests that have ended."""
        ended: int | None = super().get_current_response_time_percentile(percent)
        waiting = self.waiting.ages_ms()
        if not waiting:
            return ended
        times, n = self.response_times, self.num_requests
        self.response_times = Counter(times) + waiting
        self.num_requests = n + waiting.total()
        try:
            both: int | None = super().get_current_response_time_percentile(percent)
        finally:
            self.response_times, self.num_requests = times, n
        return max((found for found in (ended, both) if found is not None), default=None)


class LiveStats:
    """Locust's statistics in one process: of its own steps, or of its workers'."""

    def __init__(self, environment: Any) -> None:
        self._stats = environment.stats
        self._own: Ages = {}
        self._own_in_shop = 0
        self._shown = 0  # entries of Locust's history with the customers in the shop
        self._waiting = WaitingRequests()
        environment.events.report_to_master.add_listener(self._on_report_to_master)
        environment.events.worker_report.add_listener(self._on_worker_report)

    def customers_in_shop(self) -> int:
        """Customers in the shop now, as last reported."""
        return self._waiting.in_shop()

    def show(self, keys: list[SeriesKey], steps: StepColumns, waiting_ms: Ages, in_shop: int) -> None:
        """Add finished steps to Locust's entries (Type = channel, Name = step), and show what waits."""
        now = time.time()
        total = self._total()
        for number in np.unique(steps.series).tolist():
            series, own = keys[number], steps.series == number
            if series.cause == Cause.INTERRUPTED:
                continue
            times_us, received = steps.response_us[own], int(steps.bytes_received[own].sum())
            failed = series.outcome != RequestOutcome.OK
            for entry in (self._stats.entries[series.step, series.channel], total):
                second = StatsEntry(self._stats, entry.name, entry.method)
                _fill(second, times_us, received, now, failed=failed)
                entry.extend(second)
            if failed:
                self._count_error(series, len(times_us))
        # Without requests as well, so that rates fall to 0 and the window of the percentiles moves on.
        idle = StatsEntry(self._stats, total.name, total.method)
        idle.last_request_timestamp = now
        total.extend(idle)
        self._own = {}
        for age_ms, n in waiting_ms.items():
            bucket = bucket_response_time(age_ms)
            self._own[bucket] = self._own.get(bucket, 0) + n
        self._own_in_shop = in_shop
        self._waiting.report("", self._own, in_shop)

    def _total(self) -> LiveTotal:
        """Locust's entry of all requests, which it makes anew for each test."""
        total: Any = self._stats.total
        if not isinstance(total, LiveTotal):
            total.__class__ = LiveTotal
            total.waiting = self._waiting
        return cast(LiveTotal, total)

    def _on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        data[WAITING], data[IN_SHOP] = list(self._own.items()), self._own_in_shop

    def _on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        self._total()
        self._waiting.report(client_id, dict(data.get(WAITING, ())), int(data.get(IN_SHOP, 0)))
        history = self._stats.history
        self._shown = min(self._shown, len(history))  # a new test begins a new history
        for entry in history[self._shown :]:
            entry["user_count"] = [entry["user_count"][0], self._waiting.in_shop()]
        self._shown = len(history)

    def _count_error(self, series: SeriesKey, n: int) -> None:
        key = StatsError.create_key(series.channel, series.step, series.cause)
        error = self._stats.errors.get(key)
        if error is None:
            error = self._stats.errors[key] = StatsError(series.channel, series.step, series.cause)
        now = time.time()
        error.first_seen = now if error.first_seen is None else error.first_seen
        error.last_seen = now
        error.occurrences += n


def _fill(entry: Any, times_us: Ints, received: int, now: float, *, failed: bool) -> None:
    second, n = int(now), len(times_us)
    entry.last_request_timestamp = now
    entry.num_requests = n
    entry.num_reqs_per_sec[second] = n
    if failed:
        entry.num_failures = n
        entry.num_fail_per_sec[second] = n
    entry.total_response_time = int(times_us.sum()) / 1e3
    entry.total_content_length = received
    entry.min_response_time = int(times_us.min()) / 1e3
    entry.max_response_time = int(times_us.max()) / 1e3
    # Locust's buckets are not finer than whole milliseconds.
    whole_ms, counts = np.unique(np.rint(times_us / 1e3).astype(np.int64), return_counts=True)
    for time_ms, count in zip(whole_ms.tolist(), counts.tolist(), strict=True):
        bucket = bucket_response_time(time_ms)
        entry.response_times[bucket] = entry.response_times.get(bucket, 0) + count
