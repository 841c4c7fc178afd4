"""Adds up the reports of a run for display. Pure: the time is an argument."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from doorbuster.live.recent import RecentSeconds, ReportedSecond, Share
from doorbuster.live.state import (
    ChannelView,
    ChartView,
    EventView,
    GeneratorView,
    Measure,
    StepView,
    Unit,
)
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.records.row_stream import NewRows

MAX_BUCKETS = 240  # of the chart
MAX_EVENTS, MAX_STEPS = 8, 12
NOT_ADMITTED = ("in_flight_ceiling", Cause.RATE_CEILING)  # causes of arrivals that were never started
_P95 = 0.95


class LiveTotals:
    """The sums of one run; `planned` holds the planned arrivals by channel and second."""

    def __init__(self, planned: Mapping[str, Mapping[int, int]], *, duration_s: float) -> None:
        self.recent = RecentSeconds()
        self.outcomes = Counter[str]()
        self.in_shop = 0
        self._interrupted = self._not_started = 0  # dropped because the run was stopped; of them, not started
        self._cut_off = 0  # dropped because the drain ended
        self._last_second = 0
        self.last_ended_s = 0.0
        self._width_s = max(1, math.ceil(duration_s / MAX_BUCKETS))
        self._planned = {
            channel: _dense(counts, math.ceil(duration_s)) for channel, counts in planned.items()
        }
        self._by_second = {name: np.zeros(0, np.int64) for name in ("started", "served", "lost", "gone")}
        self._channels: dict[str, Counter[str]] = {channel: Counter() for channel in planned}
        self._browse, self._order, self._requests = Share(), Share(), Share()
        self._times = Histogram.empty()
        self._bucket_times: dict[int, Histogram] = {}
        self._inside: dict[int, int] = {}  # customers in the shop, by worker
        self._states: dict[int, Any] = {}
        self._lateness = Histogram.empty()
        self._events: deque[EventView] = deque(maxlen=MAX_EVENTS)

    def add(self, rows: NewRows, *, at_s: float) -> None:
        """Add what was reported up to a moment."""
        second = self.recent.at(at_s)
        second.add(rows.reports)
        if rows.reports.requests:
            self.last_ended_s = at_s
        self._add_customers(rows)
        self._add_requests(rows, int(at_s) // self._width_s)
        for row in rows.health:
            self._inside[row.worker] = row.state.in_flight
            self._states[row.worker] = row.state
        if rows.health:
            late = Histogram.from_blobs(row.state.lateness for row in rows.health)
            self._lateness = self._lateness.merge(late)
        self.in_shop = second.in_shop = sum(self._inside.values())
        self._events.extend(EventView(row.at_s, row.kind, row.text) for row in rows.reports.events)

    @property
    def finished(self) -> int:
        """Customers whose visit has ended, without arrivals that never began."""
        return self.outcomes.total() - self.outcomes[Outcome.DROPPED]

    @property
    def dropped(self) -> int:
        """Customers whom the generator lost or never started; the end of the run sends home others."""
        return self.outcomes[Outcome.DROPPED] - self._interrupted - self._cut_off

    @property
    def sent_home(self) -> int:
        """Customers in the shop when the run was stopped; no fault of the shop or the generator."""
        return max(0, self._interrupted - self._not_started)

    @property
    def planned(self) -> int:
        """Arrivals of the whole schedule, and those so far of channels without one."""
        open_channels = sum(int(counts.sum()) for counts in self._planned.values())
        return open_channels + sum(
            of["started"] for name, of in self._channels.items() if name not in self._planned
        )

    def shown_outcomes(self) -> dict[str, int]:
        """Customers by outcome, with those whom the end of the run sent home apart from the dropped ones."""
        found = {one.label: self.outcomes[one] for one in Outcome}
        found[Outcome.DROPPED.label] = self.dropped
        found["sent home"] = self.sent_home
        found["still there at the end"] = self._cut_off
        found["not started"] = self._interrupted - self.sent_home
        return {name: n for name, n in found.items() if n}

    def measures(self, *, at_s: float, has_customers: bool) -> tuple[Measure, ...]:
        """The figures in the order of display."""
        recent = self.recent
        span_s = max(1, len(recent.last()))
        run_s = max(1.0, at_s)
        started = int(self._by_second["started"].sum())

        def per_s(seconds: Sequence[ReportedSecond], pick: Any) -> float:
            return float(sum(pick(one) for one in seconds)) / max(1, len(seconds))

        def measure(name: str, unit: Unit, now: Share, whole: Share, pick: Any) -> Measure:
            def bar(seconds: list[ReportedSecond]) -> float | None:
                n = sum(pick(one).n for one in seconds)
                return sum(pick(one).k for one in seconds) / n if n else None

            return Measure(name, unit, now.ratio, now.n, whole.ratio, whole.n, recent.bars(bar))

        arrived = sum(one.started for one in recent.last())
        ended, all_times = recent.times(), self._times
        arrivals = Measure(
            "arrivals", "per_s", arrived / span_s, arrived, started / run_s, started,
            recent.bars(lambda seconds: per_s(seconds, lambda one: one.started)),
        )  # fmt: skip
        inside = Measure(
            "in the shop" if has_customers else "users", "count", float(self.in_shop), self.in_shop, None, 0,
            recent.bars(lambda seconds: float(seconds[-1].in_shop)),
        )  # fmt: skip
        p95 = Measure(
            "p95", "s", _seconds(ended.quantile_us(_P95)) if ended.n else None, ended.n,
            _seconds(all_times.quantile_us(_P95)) if all_times.n else None, all_times.n,
            recent.bars(_p95_of),
        )  # fmt: skip
        sent = recent.share(lambda one: one.requests)
        requests = Measure(
            "requests", "per_s", sent.n / span_s, sent.n, self._requests.n / run_s, self._requests.n,
            recent.bars(lambda seconds: per_s(seconds, lambda one: one.requests.n)),
        )  # fmt: skip
        failed = measure("failed", "ratio", sent, self._requests, lambda one: one.requests)
        if not has_customers:
            return (inside, requests, failed, p95)
        order = measure(
            "could order", "ratio", recent.share(lambda one: one.order), self._order, lambda one: one.order
        )
        browse = measure(
            "could browse",
            "ratio",
            recent.share(lambda one: one.browse),
            self._browse,
            lambda one: one.browse,
        )
        return (arrivals, inside, order, browse, p95, requests)

    def steps(self) -> tuple[StepView, ...]:
        """The worst steps: most failed or abandoned requests first, then the slowest."""
        found = []
        for (channel, step), of in self.recent.steps():
            times = Histogram.from_blobs(of.times) if of.times else None
            p95_s = _seconds(times.quantile_us(_P95)) if times is not None else None
            found.append(StepView(channel, step, of.n, of.failed, of.abandoned, p95_s))
        found.sort(
            key=lambda one: (-(one.failed + one.abandoned), -(one.p95_s or 0.0), one.channel, one.step)
        )
        return tuple(found[:MAX_STEPS])

    def channels(self, *, at_s: float) -> tuple[ChannelView, ...]:
        """Every channel, by name."""
        recent = self.recent.last()
        views = []
        for name, of in sorted(self._channels.items()):
            planned = self._planned.get(name)
            inside = max(0, of["started"] - of["gone"]) if self.in_shop else 0
            due = None if planned is None else int(planned[: int(at_s) + 1].sum())
            views.append(
                ChannelView(
                    name, due, of["started"], inside, of["served"], of["lost"],
                    of["could_order"], of["wanted_order"],
                    sum(one.lost[name] for one in recent), sum(one.left[name] for one in recent),
                )
            )  # fmt: skip
        return tuple(views)

    def generator(self) -> GeneratorView:
        """The health of the generator; CPU and timer delay are those of the busiest worker."""
        states = list(self._states.values())
        return GeneratorView(
            len(states),
            max((one.cpu_ratio for one in states), default=None),
            _seconds(self._lateness.quantile_us(0.99)) if self._lateness.n else None,
            max((one.loop_lag_ms / 1e3 for one in states), default=None),
            self.dropped,
        )

    def chart(self) -> ChartView:
        """Customers per second by time of arrival, and the p95 of the requests that ended then."""
        width_s = self._width_s
        planned_s = max((row.size for row in self._planned.values()), default=0)
        buckets = max(
            math.ceil(max(self._last_second + 1, planned_s) / width_s),
            max(self._bucket_times, default=-1) + 1,
        )
        rows = {name: _bucketed(row, width_s, buckets) for name, row in self._by_second.items()}
        planned = np.zeros(planned_s, np.int64)
        for counts in self._planned.values():
            planned[: counts.size] += counts
        times = self._bucket_times
        return ChartView(
            width_s,
            _listed(_bucketed(planned, width_s, buckets)),
            _listed(rows["served"]),
            _listed(rows["lost"]),
            _listed(np.maximum(rows["started"] - rows["gone"], 0)),
            tuple(_seconds(times[at].quantile_us(_P95)) if at in times else None for at in range(buckets)),
        )

    def events(self) -> tuple[EventView, ...]:
        """The last events."""
        return tuple(self._events)

    def _add_customers(self, rows: NewRows) -> None:
        for arrived in rows.reports.arrivals:
            self._count("started", arrived.second, arrived.started)
            self._of(arrived.channel)["started"] += arrived.started
            self._not_started += arrived.dropped
        for row in rows.reports.customers:
            self.outcomes[row.outcome] += row.n
            if row.outcome == Outcome.DROPPED:
                if row.cause == Cause.INTERRUPTED:
                    self._interrupted += row.n
                elif row.cause == Cause.DRAIN_LIMIT:
                    self._cut_off += row.n
                elif row.cause in NOT_ADMITTED:
                    self._not_started -= row.n
                else:
                    self._gone(row.channel, row.second, row.n)
                continue
            served = row.outcome == Outcome.SERVED
            self._gone(row.channel, row.second, row.n)
            self._count("served" if served else "lost", row.second, row.n)
            of = self._of(row.channel)
            of["served" if served else "lost"] += row.n
            if row.browse is not None:
                self._browse.add(row.n if row.browse else 0, row.n)
            if row.order is not None:
                self._order.add(row.n if row.order else 0, row.n)
                of["wanted_order"] += row.n
                of["could_order"] += row.n if row.order else 0

    def _gone(self, channel: str, second: int, n: int) -> None:
        self._count("gone", second, n)
        self._of(channel)["gone"] += n

    def _add_requests(self, rows: NewRows, bucket: int) -> None:
        blobs: list[bytes] = []
        for row in rows.reports.requests:
            if row.series.is_asset:
                continue
            self._requests.add(0 if row.series.succeeded else row.n, row.n)
            if row.series.has_latency:
                blobs.append(row.response)
        if blobs:
            times = Histogram.from_blobs(blobs)
            self._times = self._times.merge(times)
            known = self._bucket_times.get(bucket)
            self._bucket_times[bucket] = times if known is None else known.merge(times)

    def _of(self, channel: str) -> Counter[str]:
        return self._channels.setdefault(channel, Counter())

    def _count(self, name: str, second: int, n: int) -> None:
        counts, second = self._by_second[name], max(0, second)
        self._last_second = max(self._last_second, second)
        if second >= counts.size:
            longer = np.zeros(max(64, 2 * second), np.int64)
            longer[: counts.size] = counts
            counts = self._by_second[name] = longer
        counts[second] += n


def _dense(counts: Mapping[int, int], length: int) -> np.ndarray:
    row = np.zeros(max(length, max(counts, default=0) + 1), np.int64)
    row[list(counts)] = list(counts.values())
    return row


def _bucketed(row: np.ndarray, width_s: int, buckets: int) -> np.ndarray:
    """Events per second in each bucket."""
    padded = np.zeros(buckets * width_s)
    padded[: min(row.size, padded.size)] = row[: padded.size]
    return np.asarray(padded.reshape(buckets, width_s).sum(axis=1) / width_s)


def _listed(row: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 3) for value in row)


def _seconds(time_us: int | None) -> float | None:
    return None if time_us is None else time_us / 1e6


def _p95_of(seconds: list[ReportedSecond]) -> float | None:
    times = Histogram.empty().merge(*(one.times for one in seconds))
    return _seconds(times.quantile_us(_P95)) if times.n else None
