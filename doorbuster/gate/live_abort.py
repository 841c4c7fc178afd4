"""Live abort rules: takes the workers' reports once a second and decides when the run must end.

Rules:
- `safety.abort` covers customers who left (or requests that ended) in the last `for_s` seconds, by the time
  their report arrived; it needs a full window and at least ten of them.
- A threshold with abortOnFail covers the whole run so far, as in k6, and is evaluated after delayAbortEval.
- Metrics are counted and evaluated as after the run, so the final result agrees with the abort.
- An abort is final, so failing is not enough: the whole 95 % interval must be on the failing side.
- A lower bound on a count can only be evaluated at the end of the run.
- A threshold on an observed metric is final as it is measured, without an interval; rules of `safety.abort`
  on one are in `observed_abort`.
- Pure: the time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from doorbuster.gate.accumulate import MetricAccumulator, Selector
from doorbuster.gate.observed_abort import ObservedWindow
from doorbuster.gate.observed_metrics import UP, observed_data
from doorbuster.gate.threshold_decision import decide
from doorbuster.gate.threshold_result import MetricData, NoData, RateCounts, ThresholdResult
from doorbuster.records.batch import Batch, ObservedValue
from doorbuster.records.observed_reader import ObservedSeries, read_labels
from doorbuster.scenario import METRICS, AbortRule, LocustScenario, Phase, Scenario, Threshold, find_phases
from doorbuster.scenario.abort_rules import ObservedAbortRule
from doorbuster.scenario.observation.observe import Limit, SeriesSelector
from doorbuster.scenario.thresholds.metrics import OBSERVED, find_metric
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_duration, format_ratio

_MIN_SAMPLES = 10


class AbortWatch:
    """Decides once a second whether a run of this scenario must end early."""

    def __init__(self, scenario: Scenario | LocustScenario) -> None:
        rules = scenario.safety.abort
        phases = find_phases(scenario.demand.rate_curve) if scenario.demand is not None else ()
        self._windows = [_Window(name, rule) for name, rule in rules.items() if isinstance(rule, AbortRule)]
        self._observed_windows = [
            ObservedWindow(key, rule, phases, scenario.observe)
            for key, rule in rules.items()
            if isinstance(rule, ObservedAbortRule)
        ]
        watched = [one for one in scenario.thresholds if one.abort_on_fail and not _needs_the_end(one)]
        self._thresholds = [
            LiveThreshold(threshold, phases) for threshold in watched if is_known_live(threshold)
        ]
        limits = scenario.observe.limits if scenario.observe is not None else {}
        self._observed = [
            LiveObserved(threshold, phases, limits)
            for threshold in watched
            if threshold.metric.startswith(OBSERVED)
        ]
        if self._thresholds:
            # Imports scipy before the run: the import takes longer than the interval between reports.
            clopper_pearson(1, 2)

    def feed(
        self, batches: Iterable[Batch], observed: Iterable[ObservedValue] = (), *, at_s: float
    ) -> str | None:
        """Add the reports of one second.

        Args:
            batches: new reports, each given once. observed: new values of the target, each given once.
            at_s: seconds since the start of the run.

        Returns: the reason to end the run, or None.
        """
        reports = tuple(batches)
        reasons = [window.feed(reports, at_s) for window in self._windows]
        reasons += [threshold.feed(reports, at_s) for threshold in self._thresholds]
        values = tuple(observed)
        reasons += [threshold.feed(values, at_s) for threshold in self._observed]
        reasons += [window.feed(values) for window in self._observed_windows]
        return next((reason for reason in reasons if reason is not None), None)

    def problems(self) -> tuple[str, ...]:
        """At the end of a run: one sentence for each rule that could never be evaluated."""
        return tuple(window.problem for window in self._observed_windows if window.problem)


def is_known_live(threshold: Threshold) -> bool:
    """Whether workers' reports suffice: no ledger, no section of the report and no baseline is needed."""
    metric = METRICS.get(threshold.metric)
    return metric is not None and metric.known_live and not threshold.relative


def _needs_the_end(threshold: Threshold) -> bool:
    """A count or a maximum can still reach a lower bound until the run ends, a minimum an upper one."""
    metric = find_metric(threshold.metric)
    assert metric is not None, "thresholds name known metrics"
    if metric.kind == "gauge":
        far = {"max": (">", ">="), "min": ("<", "<=")}.get(threshold.aggregation, ())
        return threshold.operator in far
    return metric.audited or (metric.kind == "counter" and threshold.operator in (">", ">="))


@dataclass
class _Window:
    """One rule of safety.abort over the last seconds."""

    name: str
    rule: AbortRule
    seconds: deque[tuple[float, RateCounts]] = field(default_factory=deque)
    began_at_s: float | None = None

    def feed(self, batches: tuple[Batch, ...], at_s: float) -> str | None:
        self.began_at_s = at_s if self.began_at_s is None else self.began_at_s
        found = MetricAccumulator(METRICS[self.name], Selector({}))
        for batch in batches:
            found.add_batch(batch)
        self.seconds.append((at_s, found.total()))
        while self.seconds[0][0] <= at_s - self.rule.for_s:
            self.seconds.popleft()
        if at_s - self.began_at_s < self.rule.for_s:
            return None
        k = sum(counts.k for _, counts in self.seconds)
        n = sum(counts.n for _, counts in self.seconds)
        if n < _MIN_SAMPLES or k / n < self.rule.ratio:
            return None
        share, limit, span = (
            format_ratio(k / n),
            format_ratio(self.rule.ratio),
            format_duration(self.rule.for_s),
        )
        seen = f"{share} ({k:,} of {n:,}) in the last {span}"
        return f"safety.abort {self.name}: {seen}; the rule ends a run at {limit}"


class LiveThreshold:
    """One threshold during the run; `is_known_live` says which can be evaluated then."""

    def __init__(self, threshold: Threshold, phases: Sequence[Phase]) -> None:
        self._threshold = threshold
        self._metric = METRICS[threshold.metric]
        self._counts = MetricAccumulator(self._metric, Selector.of(threshold, phases))
        self._recorded_s = 0

    def add(self, batch: Batch) -> None:
        """Add one report."""
        self._counts.add_batch(batch)
        seconds = [row.second for row in batch.requests]
        seconds += [row.second for row in batch.arrivals if row.started]
        self._recorded_s = max(self._recorded_s, *(second + 1 for second in seconds), 0)

    def feed(self, batches: tuple[Batch, ...], at_s: float) -> str | None:
        """Add reports; returns the reason to end the run, or None."""
        for batch in batches:
            self.add(batch)
        if at_s < self._threshold.delay_abort_eval_s:
            return None
        if self._metric.kind == "trend" and not self._is_broken(decide(self._threshold, self._quick_data())):
            return None  # skips the costly interval over time blocks, which is wider
        result = self.result(at_s)
        return f"threshold {self._threshold}: {result.sentence}" if self._is_broken(result) else None

    def result(self, at_s: float) -> ThresholdResult:
        """The result of everything reported so far."""
        return decide(self._threshold, self._data(at_s))

    def _is_broken(self, result: ThresholdResult) -> bool:
        return result.status == "fail" and result.certain and not self._may_still_be_reached(result.observed)

    def _may_still_be_reached(self, observed: float | None) -> bool:
        threshold = self._threshold
        return (
            self._metric.kind == "counter"
            and threshold.operator in ("==", "!=")
            and (observed or 0.0) <= threshold.bound
        )

    def _quick_data(self) -> MetricData:
        return self._counts.total_times()

    def _data(self, at_s: float) -> MetricData:
        over_s = self._counts.selector.length_s(at_s)
        if self._metric.kind == "counter" and over_s <= 0:
            return NoData("the phase has not begun")
        return self._counts.data(recorded_s=self._recorded_s, over_s=over_s)


class LiveObserved:
    """One threshold on an observed metric with abortOnFail during the run."""

    def __init__(self, threshold: Threshold, phases: Sequence[Phase], limits: Mapping[str, Limit]) -> None:
        self._threshold = threshold
        self._select = Selector.of(threshold, phases)
        self._limits = limits
        self._name = threshold.metric.removeprefix(OBSERVED)
        limit = limits.get(self._name)
        self._needed = {self._name, UP, *([limit.name] if isinstance(limit, SeriesSelector) else [])}
        self._values: dict[tuple[str, str, str], tuple[list[int], list[float]]] = {}
        self._is_new = False

    def feed(self, observed: tuple[ObservedValue, ...], at_s: float) -> str | None:
        """Add values; returns the reason to end the run, or None."""
        for row in observed:
            if row.name in self._needed:
                seconds, values = self._values.setdefault((row.source, row.name, row.labels), ([], []))
                seconds.append(row.second)
                values.append(row.value)
                self._is_new |= row.name == self._name
        if at_s < self._threshold.delay_abort_eval_s or not self._is_new:
            return None
        self._is_new = False
        data = observed_data(
            self._threshold, self._select, self._series(), self._limits, length_s=max(at_s, 1.0)
        )
        result = decide(self._threshold, data)
        return f"threshold {self._threshold}: {result.sentence}" if result.status == "fail" else None

    def _series(self) -> list[ObservedSeries]:
        return [
            ObservedSeries(source, name, read_labels(labels), np.array(seconds), np.array(values))
            for (source, name, labels), (seconds, values) in self._values.items()
        ]
