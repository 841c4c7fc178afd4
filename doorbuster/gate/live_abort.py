"""Live abort rules: fed once a second with what the workers report, tells when the run must end.

Rules:
- `safety.abort` looks at the customers who left (or requests that ended) during the last `for_s` seconds, by
  the time their report arrived; it needs a full window and at least ten of them.
- A threshold with abortOnFail looks at everything since the start, as in k6, not before delayAbortEval.
- To end a run is final, so it takes more than to fail one: the whole 95 % interval must be on the wrong side.
- A count that must reach a number is left to the end of the run, where it belongs.
- Pure: no clock of its own; the time comes with the reports.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from doorbuster.gate.accumulate import AUDITED, KINDS, Selector, customer_rate
from doorbuster.gate.decide import decide
from doorbuster.gate.threshold_result import CounterTotal, MetricData, NoData, RateCounts, TrendCounts
from doorbuster.records.batch import Batch, HealthSecond, RequestSecond
from doorbuster.records.histogram import BINS, Histogram, unpack
from doorbuster.records.outcome import RequestOutcome
from doorbuster.scenario import METRICS, AbortRule, Phase, Scenario, Threshold, find_phases
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_duration, format_ratio

_FEWEST = 10


class AbortWatch:
    """Decides once a second whether a run of this scenario must end early."""

    def __init__(self, scenario: Scenario) -> None:
        self._windows = [_Window(name, rule) for name, rule in scenario.safety.abort.items()]
        self._thresholds = [
            _Running(threshold, find_phases(scenario.demand.rate_curve))
            for threshold in scenario.thresholds
            if threshold.abort_on_fail and threshold.metric not in AUDITED and not _needs_the_end(threshold)
        ]
        if self._thresholds:
            # The first interval loads scipy, which takes longer than a customer should ever have to wait.
            clopper_pearson(1, 2)

    def feed(self, batches: Iterable[Batch], *, at_s: float) -> str | None:
        """Take the reports of one second.

        Args: batches: new reports, each given once; at_s: seconds since the start of the run.
        Returns: why the run must end, or None.
        """
        reports = tuple(batches)
        reasons = [window.feed(reports, at_s) for window in self._windows]
        reasons += [running.feed(reports, at_s) for running in self._thresholds]
        return next((reason for reason in reasons if reason is not None), None)


def _needs_the_end(threshold: Threshold) -> bool:
    """A growing count says nothing about a lower bound before the end."""
    return METRICS[threshold.metric].kind == "counter" and threshold.operator in (">", ">=")


@dataclass
class _Window:
    """One rule of safety.abort over the last seconds."""

    name: str
    rule: AbortRule
    seconds: deque[tuple[float, RateCounts]] = field(default_factory=deque)
    began_at_s: float | None = None

    def feed(self, batches: tuple[Batch, ...], at_s: float) -> str | None:
        self.began_at_s = at_s if self.began_at_s is None else self.began_at_s
        self.seconds.append((at_s, rate_of(self.name, batches, Selector({}))))
        while self.seconds[0][0] <= at_s - self.rule.for_s:
            self.seconds.popleft()
        if at_s - self.began_at_s < self.rule.for_s:
            return None
        k = sum(tally.k for _, tally in self.seconds)
        n = sum(tally.n for _, tally in self.seconds)
        if n < _FEWEST or k / n < self.rule.ratio:
            return None
        share, limit, span = (
            format_ratio(k / n),
            format_ratio(self.rule.ratio),
            format_duration(self.rule.for_s),
        )
        seen = f"{share} ({k:,} of {n:,}) in the last {span}"
        return f"safety.abort {self.name}: {seen}; the rule ends a run at {limit}"


class _Running:
    """Running totals of one threshold with abortOnFail."""

    def __init__(self, threshold: Threshold, known: Sequence[Phase]) -> None:
        self._threshold = threshold
        self._select = Selector.of(threshold, known)
        self._kind = METRICS[threshold.metric].kind
        self._answered = np.zeros(BINS if self._kind == "trend" else 0, np.int64)
        self._given_up = np.zeros(BINS if self._kind == "trend" else 0, np.int64)
        self._k = self._n = 0
        self._keys: set[str] = set()

    def feed(self, batches: tuple[Batch, ...], at_s: float) -> str | None:
        """Add reports; why the run must end, or None."""
        for batch in batches:
            if self._kind == "trend":
                self._add_times(batch)
            elif self._kind == "counter":
                self._add_counts(batch)
        if self._kind == "rate":
            tally = rate_of(self._threshold.metric, batches, self._select)
            self._k, self._n = self._k + tally.k, self._n + tally.n
        if at_s < self._threshold.delay_abort_eval_s:
            return None
        judged = decide(self._threshold, self._tally(at_s))
        if judged.status != "fail" or not judged.certain or self._may_still_be_reached(judged.observed):
            return None
        return f"threshold {self._threshold}: {judged.sentence}"

    def _may_still_be_reached(self, observed: float | None) -> bool:
        threshold = self._threshold
        return (
            self._kind == "counter"
            and threshold.operator in ("==", "!=")
            and (observed or 0.0) <= threshold.bound
        )

    def _tally(self, at_s: float) -> MetricData:
        if self._kind == "trend":
            return TrendCounts(Histogram.from_counts(self._answered), Histogram.from_counts(self._given_up))
        if self._kind == "rate":
            return RateCounts(self._k, self._n)
        begun_s = at_s - (self._select.seconds.first if self._select.seconds else 0.0)
        return CounterTotal(self._k, self._n, begun_s) if begun_s > 0 else NoData("it has not begun")

    def _add_times(self, batch: Batch) -> None:
        if self._threshold.metric == "lateness":
            for second in batch.health:
                _count(self._answered, _lateness(second))
            return
        for row in batch.requests:
            if row.series.outcome in self._select.timed_outcomes and self._select.matches_request(row):
                totals = self._given_up if row.series.outcome == RequestOutcome.ABANDONED else self._answered
                _count(totals, _times(row, KINDS[self._threshold.metric]))

    def _add_counts(self, batch: Batch) -> None:
        metric, channel = self._threshold.metric, self._select.channel
        if metric == "http_reqs":
            for row in batch.requests:
                if row.series.outcome in self._select.counted_outcomes and self._select.matches_request(row):
                    self._k += row.n
        elif metric == "customers":
            self._k += sum(row.n for row in batch.customers if self._select.matches_customer(row))
        else:
            answer = metric.removeprefix("orders_")
            for attempt in batch.orders:
                if channel in (None, attempt.channel):
                    self._n += 1
                    if attempt.answer == answer:
                        self._keys.add(attempt.idempotency_key)
            self._k = len(self._keys)
            return
        self._n = self._k


def rate_of(metric: str, batches: Iterable[Batch], select: Selector) -> RateCounts:
    """A rate over the customers or requests of some reports."""
    reports = tuple(batches)
    if metric != "http_req_failed":
        rows = (row for batch in reports for row in batch.customers if select.matches_customer(row))
        return customer_rate(metric, rows)
    outcomes = select.counted_outcomes
    requests = [
        row
        for batch in reports
        for row in batch.requests
        if row.series.outcome in outcomes and select.matches_request(row)
    ]
    total = sum(row.n for row in requests)
    return RateCounts(total - sum(row.n for row in requests if row.series.succeeded), total)


def _times(row: RequestSecond, kind: str) -> bytes:
    return {"response": row.response, "service": row.service, "first_byte": row.first_byte}[kind]


def _lateness(second: HealthSecond) -> bytes:
    return second.lateness


def _count(totals: np.ndarray[tuple[int], np.dtype[np.int64]], blob: bytes) -> None:
    packed = unpack(blob)
    np.add.at(totals, packed.bins, packed.counts)
