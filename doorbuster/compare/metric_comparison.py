"""One metric of a baseline and a candidate: the effect with its interval, the decision, and the runs needed.

Times, counts and rates per second are compared by their ratio, shares by their difference in points: a share
near 0 or 1 has no stable ratio. The interval of the other form is the same one, at the baseline's value.

Rules of this module:
- One run of each build: the effect and its interval come from the intervals within the runs. These allow for
  the correlation of the requests of a run, but not for the difference between runs of one build.
- More runs: the value of each run is one observation.
- `same` needs proof: the whole 95 % interval lies within the tolerance. Lack of significance is not "same".
- `worse` and `better` need an effect that is significant after adjustment for the number of metrics, and an
  interval that is not within the tolerance.
- A time is exact to its histogram bin, a share to its number of trials: no variance is smaller than that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from doorbuster.compare.run_metric import RunMetric
from doorbuster.gate.run_verdict import INTEGRITY_METRICS
from doorbuster.stats.design_effect import CONFIDENCE
from doorbuster.stats.difference import ValueWithInterval, difference
from doorbuster.stats.latency_quantiles import MAX_TIME_BLOCKS
from doorbuster.stats.run_comparison import (
    EffectEstimate,
    effect_of_pairs,
    effect_of_runs,
    runs_needed,
    t_quantile,
)

ALPHA = 1 - CONFIDENCE
DEFAULT_TOLERANCE = 0.05
DEFAULT_RATE_TOLERANCE = 0.01
_LOG_OF_BIN = 0.0005  # half the width of a histogram bin, relative
_BLOCKS_DF = 2 * (MAX_TIME_BLOCKS - 1) / 3  # of successive differences of the blocks of one run
_LEAST = 1e-9
_MOST_LOG = 50.0  # of a ratio that can be shown; an end beyond it counts as unknown

Basis = Literal["blocks", "runs", "pairs"]


class Decision(StrEnum):
    """What a comparison says of one metric; `different` of one that has no better direction."""

    WORSE = "worse"
    CANNOT_TELL = "cannot tell"
    DIFFERENT = "different"
    BETTER = "better"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Differences up to this do not matter: `ratio` of times and counts, `points` (0..1) of shares."""

    ratio: float = DEFAULT_TOLERANCE
    points: float = DEFAULT_RATE_TOLERANCE

    def of(self, metric: RunMetric) -> float:
        """The tolerance of this metric, in its own form."""
        return self.points if by_difference(metric) else self.ratio


DEFAULT = Tolerance()


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """A metric in both builds.

    `baseline` and `candidate` are means over runs (geometric ones for a ratio). `ratio` is candidate divided
    by baseline, None when that is undefined; `difference` is candidate minus baseline in the unit of the
    metric. `needed_runs` are the further runs of each build that decide it; None when unknown, too many, or
    not needed. `level` is that of significance and interval: 5 %, or less at one of several looks. `effect`
    is on the scale of the comparison. `p_value` is two-sided; `adjusted_p_value` takes
    the number of metrics into account.
    """

    metric: RunMetric
    baseline: float | None
    candidate: float | None
    baseline_runs: int
    candidate_runs: int
    ratio: ValueWithInterval | None
    difference: ValueWithInterval | None
    decision: Decision
    tolerance: float
    basis: Basis
    effect: EffectEstimate | None = None
    p_value: float = 1.0
    adjusted_p_value: float = 1.0
    needed_runs: int | None = None
    reason: str = ""
    metrics: int = 1
    level: float = ALPHA


def by_difference(metric: RunMetric) -> bool:
    """Whether a metric is compared by its difference in points instead of its ratio."""
    return metric.unit == "ratio"


def compare_metric(
    baseline: Sequence[RunMetric],
    candidate: Sequence[RunMetric],
    *,
    tolerance: Tolerance = DEFAULT,
    paired: bool = False,
    metrics: int = 1,
    level: float = ALPHA,
) -> MetricComparison:
    """Compare one metric, as if no other one were decided with it; see `adjusted`.

    Args:
        baseline, candidate: the metric in each run; all have the same key.
        paired: whether runs with the same index were made together, so that a drift cancels.
        metrics: how many metrics are decided together; it raises the runs needed.
        level: of significance, and of the interval; lower when this is one of several looks.
    """
    known = _measured(baseline, candidate, paired=paired)
    metric = next(iter((*known[0], *known[1], *baseline, *candidate)))
    runs = len(known[0]), len(known[1])
    found = MetricComparison(
        metric=metric, baseline=_mean(known[0]), candidate=_mean(known[1]),
        baseline_runs=runs[0], candidate_runs=runs[1], ratio=None, difference=None,
        decision=Decision.CANNOT_TELL, tolerance=tolerance.of(metric),
        basis="blocks" if runs == (1, 1) else "pairs" if paired else "runs", metrics=metrics, level=level,
    )  # fmt: skip
    reason = _why_not(metric, baseline, candidate, known)
    if reason:
        return replace(found, reason=reason)
    if metric.metric in INTEGRITY_METRICS and not found.baseline:
        return replace(
            found, difference=ValueWithInterval(found.candidate or 0.0, None, None), **_integrity(found)
        )
    effect = _effect(metric, known, found.basis)
    found = replace(found, effect=effect, p_value=effect.p_value, **_both_forms(found, effect))
    return adjusted(found, effect.p_value)


def adjusted(found: MetricComparison, p_value: float) -> MetricComparison:
    """The same comparison, decided with a p value that takes the number of metrics into account."""
    if found.effect is None:
        return found
    decision, reason = _decide(found, found.effect, p_value)
    needed = _further_runs(found, found.effect) if decision == Decision.CANNOT_TELL else None
    return replace(found, adjusted_p_value=p_value, decision=decision, reason=reason, needed_runs=needed)


def _integrity(found: MetricComparison) -> dict[str, Any]:
    """A correct shop loses or duplicates no order, so the first one is not chance."""
    if found.candidate:
        return {"decision": Decision.WORSE, "p_value": 0.0, "adjusted_p_value": 0.0, "reason": "none before"}
    return {"decision": Decision.SAME, "reason": "none in any run"}


def _measured(
    baseline: Sequence[RunMetric], candidate: Sequence[RunMetric], *, paired: bool
) -> tuple[list[RunMetric], list[RunMetric]]:
    """The runs, or pairs of runs, that measured the metric."""
    if not paired:
        return [of for of in baseline if of.value is not None], [
            of for of in candidate if of.value is not None
        ]
    both = [
        pair for pair in zip(baseline, candidate, strict=True) if None not in (pair[0].value, pair[1].value)
    ]
    return [pair[0] for pair in both], [pair[1] for pair in both]


def _why_not(
    metric: RunMetric,
    baseline: Sequence[RunMetric],
    candidate: Sequence[RunMetric],
    known: Sequence[Sequence[RunMetric]],
) -> str:
    """Why there is no effect; "" when there is one."""
    for name, all_runs, runs in (("baseline", baseline, known[0]), ("candidate", candidate, known[1])):
        if not runs:
            reason = next((of.reason for of in all_runs if of.reason), "it was not measured")
            return f"{name}: {reason}"
    values = [of.value or 0.0 for runs in known for of in runs]
    if not by_difference(metric) and metric.unit != "count" and min(values) <= 0:
        return "a ratio needs values above 0"
    return ""


def _effect(
    metric: RunMetric, known: tuple[list[RunMetric], list[RunMetric]], basis: Basis
) -> EffectEstimate:
    """Candidate minus baseline on the scale of the metric."""
    a, b = ([_scaled(metric, of.value or 0.0) for of in runs] for runs in known)
    if basis == "pairs":
        differences = [after - before for before, after in zip(a, b, strict=True)]
        effect = effect_of_pairs(differences, least_variance=2 * _least_variance(metric, known))
    elif basis == "runs":
        effect = effect_of_runs(a, b, least_variance=_least_variance(metric, known))
    else:
        effect = _effect_within_runs(metric, known[0][0], known[1][0])
    # The true value of a lower bound may be anything above it.
    unknown_below, unknown_above = (any(of.at_least for of in runs) for runs in known)
    return replace(
        effect,
        error_below=math.inf if unknown_below else effect.error_below,
        error_above=math.inf if unknown_above else effect.error_above,
    )


def _effect_within_runs(metric: RunMetric, baseline: RunMetric, candidate: RunMetric) -> EffectEstimate:
    """The effect of one run against one, with its errors from both intervals."""

    def scaled(of: RunMetric) -> ValueWithInterval:
        low, high = (None if end is None else _scaled(metric, end) for end in (of.low, of.high))
        return ValueWithInterval(_scaled(metric, of.value or 0.0), low, high)

    found = difference(scaled(candidate), scaled(baseline))
    reach = t_quantile((1 + CONFIDENCE) / 2, _BLOCKS_DF)
    below = math.inf if found.low is None else max(found.value - found.low, _LEAST) / reach
    above = math.inf if found.high is None else max(found.high - found.value, _LEAST) / reach
    variance = ((below + above) / 2) ** 2
    return EffectEstimate(found.value, below, above, _BLOCKS_DF, None if math.isinf(variance) else variance)


def _scaled(metric: RunMetric, value: float) -> float:
    if by_difference(metric):
        return value
    return math.log(max(value, 0.5 if metric.unit == "count" else _LEAST))


def _mean(runs: Sequence[RunMetric]) -> float | None:
    """The mean over runs on the scale of the metric, in its unit."""
    if not runs:
        return None
    values = [of.value or 0.0 for of in runs]
    if by_difference(runs[0]) or min(values) <= 0:
        return sum(values) / len(values)
    return math.exp(sum(map(math.log, values)) / len(values))


def _least_variance(metric: RunMetric, known: Sequence[Sequence[RunMetric]]) -> float:
    """The variance of one run that the resolution of the metric implies.

    Of a share: p (1 - p) / n with p = (k + 1) / (n + 2), the rule of succession, so that runs without any
    failure do not count as exact.
    """
    runs = [of for arm in known for of in arm]
    if metric.unit == "ms":
        return _LOG_OF_BIN**2
    n = sum(of.n for of in runs)
    if not by_difference(metric) or not n:
        return _LEAST**2
    p = (sum((of.value or 0.0) * of.n for of in runs) + 1) / (n + 2)
    return p * (1 - p) / (n / len(runs))


def _decide(found: MetricComparison, effect: EffectEstimate, p_value: float) -> tuple[Decision, str]:
    metric, tolerance = found.metric, found.tolerance
    low, high = effect.low(1 - found.level), effect.high(1 - found.level)
    ends = (-tolerance, tolerance) if by_difference(metric) else (_log1p(-tolerance), _log1p(tolerance))
    if low is not None and high is not None and ends[0] <= low and high <= ends[1]:
        return Decision.SAME, ""
    if p_value <= found.level:
        if not metric.better:
            return Decision.DIFFERENT, ""
        rises = effect.value > 0
        return (Decision.WORSE if rises == (metric.better == "lower") else Decision.BETTER), ""
    if low is None or high is None:
        return Decision.CANNOT_TELL, "too little data for an interval"
    if effect.p_value <= found.level:
        return Decision.CANNOT_TELL, "not certain enough for one of several metrics"
    return Decision.CANNOT_TELL, ""


def _log1p(value: float) -> float:
    return math.log1p(value) if value > -1 else -math.inf


def _both_forms(found: MetricComparison, effect: EffectEstimate) -> dict[str, Any]:
    """The effect as a ratio and as a difference; the one that is derived holds at the baseline's value."""
    ends = effect.low(1 - found.level), effect.high(1 - found.level)
    at = found.baseline or 0.0
    if by_difference(found.metric):
        # Shares lie in 0..1, whatever the t quantile of few runs or customers says of their difference.
        low, high = (None if end is None else min(max(end, -1.0), 1.0) for end in ends)
        shown = ValueWithInterval(effect.value, low, high)
        if not at:
            return {"difference": shown, "ratio": None}
        low, high = (None if end is None else max(1 + end / at, 0.0) for end in (low, high))
        return {"difference": shown, "ratio": ValueWithInterval(1 + effect.value / at, low, high)}
    low, high = (None if end is None or end > _MOST_LOG else math.exp(end) for end in ends)
    ratio = ValueWithInterval(math.exp(effect.value), low, high)
    changes = (None if end is None else at * (end - 1) for end in (low, high))
    return {"ratio": ratio, "difference": ValueWithInterval(at * (ratio.value - 1), *changes)}


def _further_runs(found: MetricComparison, effect: EffectEstimate) -> int | None:
    """Runs of each build beyond those there are, at least one; None when no number of them helps."""
    if effect.variance_per_run is None:
        return None
    margin = found.tolerance if by_difference(found.metric) else _log1p(found.tolerance)
    needed = runs_needed(
        effect.variance_per_run, effect.df, margin,
        alpha=found.level / found.metrics, paired=found.basis == "pairs",
    )  # fmt: skip
    return None if needed is None else max(1, needed - min(found.baseline_runs, found.candidate_runs))
