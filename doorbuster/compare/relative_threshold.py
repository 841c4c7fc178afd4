"""Evaluates a threshold that refers to a baseline, such as "p(95)<baseline*1.1".

Rules, in this order:
1. No baseline, runs that may not be compared, or no values  -> inconclusive.
2. The whole 95 % interval of the change violates the bound   -> fail: noise alone never fails a build.
3. The estimate meets the bound, and the interval excludes
   twice the allowed change                                   -> pass.
4. Otherwise                                                  -> inconclusive, with the runs needed.

Rule 3 keeps a run that could not have seen a regression from passing. A bound that demands an improvement,
or allows no change, needs the whole interval on its good side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.compare.baseline_values import BaselineValues
from doorbuster.compare.metric_comparison import MetricComparison, Tolerance, compare_metric
from doorbuster.compare.run_metric import RunMetric, threshold_key
from doorbuster.compare.wording import metric_name
from doorbuster.gate import ThresholdResult, format_bound
from doorbuster.gate.threshold_decision import (
    relative_requirement,
    threshold_margin,
    without_baseline,
    without_value,
)
from doorbuster.gate.threshold_result import ThresholdStatus
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import METRICS
from doorbuster.stats.difference import ValueWithInterval
from doorbuster.units import format_counted


@dataclass(frozen=True, slots=True)
class _Change:
    """The change with its interval, the allowed one, and no change, in one form."""

    found: ValueWithInterval
    limit: float
    neutral: float
    is_upper: bool

    @property
    def violates(self) -> bool:
        """Whether the whole interval is on the bad side of the limit."""
        end = self.found.low if self.is_upper else self.found.high
        return end is not None and self._is_beyond(end, self.limit)

    @property
    def is_certain(self) -> bool:
        """Whether the whole interval is on the good side of the limit."""
        end = self.found.high if self.is_upper else self.found.low
        return end is not None and not self._is_beyond(end, self.limit)

    @property
    def is_fine_enough(self) -> bool:
        """Whether twice the allowed change can be ruled out."""
        allowed = self.limit - self.neutral
        end = self.found.high if self.is_upper else self.found.low
        is_tolerance = allowed > 0 if self.is_upper else allowed < 0
        return is_tolerance and end is not None and not self._is_beyond(end, self.neutral + 2 * allowed)

    def _is_beyond(self, value: float, limit: float) -> bool:
        return value > limit if self.is_upper else value < limit


def decide_relative(
    threshold: Threshold, candidate: Sequence[RunMetric], baseline: BaselineValues | None
) -> ThresholdResult:
    """The result of a relative threshold on one or more runs of the candidate."""
    if baseline is None:
        return without_baseline(threshold)
    required = relative_requirement(threshold)
    if baseline.issues:
        reason = f"the baseline {baseline.name} may not be compared: {'; '.join(baseline.issues)}"
        return without_value(threshold, reason, required)
    values = baseline.metrics.get(threshold_key(threshold), ())
    if not values:
        return without_value(threshold, f"the baseline {baseline.name} does not have this metric", required)
    comparison = compare_metric(values, candidate, tolerance=_tolerance(threshold))
    change = _change(threshold, comparison)
    if change is None or comparison.candidate is None or comparison.baseline is None:
        return without_value(threshold, comparison.reason, required)
    assert threshold.relative is not None
    bounded = threshold.model_copy(update={"bound": threshold.relative.bound(comparison.baseline)})
    holds = bounded.holds(comparison.candidate)
    ends = (candidate[0].low, candidate[0].high) if len(candidate) == 1 else (None, None)
    status, remark = _status(bounded, comparison, change, holds=holds)
    return ThresholdResult(
        bounded, status, comparison.candidate, *ends, sum(one.n for one in candidate), threshold.unit,
        threshold_margin(bounded, comparison.candidate), at_least=any(one.at_least for one in candidate),
        certain=change.is_certain or change.violates,
        sentence=_sentence(bounded, comparison, change, baseline, remark),
    )  # fmt: skip


def _tolerance(threshold: Threshold) -> Tolerance:
    """The allowed change, for the number of runs that would show it."""
    relative = threshold.relative
    assert relative is not None
    return Tolerance(
        ratio=abs(relative.factor - 1) or Tolerance().ratio,
        points=abs(relative.offset) if threshold.unit == "ratio" and relative.offset else Tolerance().points,
    )


def _change(threshold: Threshold, comparison: MetricComparison) -> _Change | None:
    relative = threshold.relative
    assert relative is not None
    upper = threshold.operator in ("<", "<=")
    if threshold.unit == "ratio" or relative.offset:
        found = comparison.difference
        return None if found is None else _Change(found, relative.offset, 0.0, upper)
    return None if comparison.ratio is None else _Change(comparison.ratio, relative.factor, 1.0, upper)


def _status(
    threshold: Threshold, comparison: MetricComparison, change: _Change, *, holds: bool
) -> tuple[ThresholdStatus, str]:
    if change.violates:
        return ("warn" if threshold.severity == "warn" else "fail"), ""
    if holds and (change.is_certain or change.is_fine_enough):
        return "pass", "" if change.is_certain else "not certain: the interval reaches across the bound"
    return "inconclusive", _more_runs(comparison, holds=holds)


def _more_runs(comparison: MetricComparison, *, holds: bool) -> str:
    why = "a regression of twice the allowed size would have gone unseen" if holds else "it may be noise"
    if comparison.reason:
        return f"{why}: {comparison.reason}"
    more = comparison.needed_runs
    if more is None:
        return f"{why}; run longer, or compare more runs"
    return f"{why}; about {format_counted(more, 'more run')} of each build would decide"


def _sentence(
    threshold: Threshold,
    comparison: MetricComparison,
    change: _Change,
    baseline: BaselineValues,
    remark: str,
) -> str:
    def text(value: float | None) -> str:
        return "?" if value is None else format_bound(threshold, value)

    runs = format_counted(comparison.baseline_runs, "run")
    found = change.found
    if change.neutral == 1.0:
        ends = ["?" if end is None else f"{end:.3g}" for end in (found.low, found.high)]
        size = f"{found.value:.3g} times (95 % interval {ends[0]} to {ends[1]})"
    else:
        scale, unit = (100, " points") if threshold.unit == "ratio" else (1, "")
        parts = [
            "?" if end is None else f"{end * scale:+.3g}".replace("-", "−")
            for end in (found.value, found.low, found.high)
        ]
        size = f"difference {parts[0]}{unit} (95 % interval {parts[1]} to {parts[2]})"
    end = f" {remark[:1].upper()}{remark[1:]}." if remark else ""
    return (
        f"{_subject(comparison.metric, text(comparison.candidate))}, against {text(comparison.baseline)} in "
        f"{runs} of the baseline {baseline.name}: {size}. Required: {relative_requirement(threshold)}.{end}"
    )


def _subject(metric: RunMetric, value: str) -> str:
    """ "The median response time, step checkout, was 273 ms"; "95 % of the customers ... could"."""
    definition = METRICS.get(metric.metric)
    if definition is None or definition.kind not in ("trend", "rate"):
        return f"{metric_name(metric)} was {value}"
    if definition.kind == "trend":
        return f"The {metric_name(metric)}{',' if metric.tags else ''} was {value}"
    where = "".join(f", {tag.name} {tag.value}" for tag in metric.tags)
    return f"{value} of the {definition.wording.noun} {definition.wording.events}{where}"
