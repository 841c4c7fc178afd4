"""The last minute of a run, second by second: what ended, by the time at which its report arrived."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from doorbuster.live.state import RECENT_S, SPARK_S, SPARK_WIDTH_S, STEPS_S
from doorbuster.records.batch import Batch
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import Cause, Outcome, RequestOutcome

StepKey = tuple[str, str]  # channel, step


@dataclass(slots=True)
class Share:
    """`k` of `n`."""

    k: int = 0
    n: int = 0

    def add(self, k: int, n: int) -> None:
        """Count n more, k of which succeeded."""
        self.k += k
        self.n += n

    @property
    def ratio(self) -> float | None:
        """None without any."""
        return self.k / self.n if self.n else None


@dataclass(slots=True)
class StepSecond:
    """Requests of one step that ended in one second."""

    n: int = 0
    failed: int = 0
    abandoned: int = 0
    times: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class ReportedSecond:
    """What the reports of one second said."""

    second: int
    started: int = 0
    in_shop: int = 0
    requests: Share = field(default_factory=Share)  # failed of all
    browse: Share = field(default_factory=Share)
    order: Share = field(default_factory=Share)
    left: Counter[str] = field(default_factory=Counter)  # by channel
    lost: Counter[str] = field(default_factory=Counter)
    steps: dict[StepKey, StepSecond] = field(default_factory=dict)
    times: Histogram = field(default_factory=Histogram.empty)

    def add(self, reports: Batch) -> None:
        """Count one second's reports."""
        self.started += sum(row.started for row in reports.arrivals)
        for one in reports.customers:
            if one.outcome == Outcome.DROPPED:
                continue
            self.left[one.channel] += one.n
            if one.outcome != Outcome.SERVED:
                self.lost[one.channel] += one.n
            if one.browse is not None:
                self.browse.add(one.n if one.browse else 0, one.n)
            if one.order is not None:
                self.order.add(one.n if one.order else 0, one.n)
        timed: list[bytes] = []
        for row in reports.requests:
            if row.series.is_asset or row.series.cause == Cause.INTERRUPTED:
                continue
            failed = row.n if row.series.outcome == RequestOutcome.FAILED else 0
            abandoned = row.n if row.series.outcome == RequestOutcome.ABANDONED else 0
            self.requests.add(failed + abandoned, row.n)
            step = self.steps.setdefault((row.series.channel, row.series.step), StepSecond())
            step.n += row.n
            step.failed += failed
            step.abandoned += abandoned
            if row.series.has_latency:
                step.times.append(row.response)
                timed.append(row.response)
        if timed:
            self.times = self.times.merge(Histogram.from_blobs(timed))


class RecentSeconds:
    """The seconds of the last minute."""

    def __init__(self) -> None:
        self._seconds: deque[ReportedSecond] = deque([ReportedSecond(-1)], maxlen=SPARK_S + 2)

    def at(self, at_s: float) -> ReportedSecond:
        """The second of a moment, which is never before an earlier one."""
        second = max(int(at_s), self._seconds[-1].second)
        while self._seconds[-1].second < second:
            before = self._seconds[-1]
            if before.second + SPARK_S < second:  # after a pause, such as of a suspended machine
                self._seconds.clear()
                self._seconds.append(ReportedSecond(second, in_shop=before.in_shop))
                break
            self._seconds.append(ReportedSecond(before.second + 1, in_shop=before.in_shop))
        return self._seconds[-1]

    def last(self, span_s: int = RECENT_S) -> list[ReportedSecond]:
        """The seconds of a span up to now, without those before the start."""
        end = self._seconds[-1].second
        return [one for one in self._seconds if one.second > end - span_s and one.second >= 0]

    def share(self, pick: Callable[[ReportedSecond], Share], span_s: int = RECENT_S) -> Share:
        """A share over a span."""
        total = Share()
        for one in self.last(span_s):
            total.add(pick(one).k, pick(one).n)
        return total

    def times(self, span_s: int = RECENT_S) -> Histogram:
        """Response times of the requests that ended within a span."""
        return Histogram.empty().merge(*(one.times for one in self.last(span_s)))

    def steps(self) -> Iterator[tuple[StepKey, StepSecond]]:
        """Each step over the last `STEPS_S`."""
        total: dict[StepKey, StepSecond] = {}
        for second in self.last(STEPS_S):
            for key, one in second.steps.items():
                found = total.setdefault(key, StepSecond())
                found.n += one.n
                found.failed += one.failed
                found.abandoned += one.abandoned
                found.times += one.times
        yield from total.items()

    def bars(self, value: Callable[[list[ReportedSecond]], float | None]) -> tuple[float | None, ...]:
        """A value for each `SPARK_WIDTH_S` of the last minute, oldest first; None before the start."""
        by_bar: dict[int, list[ReportedSecond]] = {}
        for one in self.last(SPARK_S):
            by_bar.setdefault(one.second // SPARK_WIDTH_S, []).append(one)
        end = self._seconds[-1].second // SPARK_WIDTH_S
        bars = range(end - SPARK_S // SPARK_WIDTH_S + 1, end + 1)
        return tuple(value(by_bar[bar]) if bar in by_bar else None for bar in bars)
