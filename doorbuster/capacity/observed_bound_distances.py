"""Thresholds on observed metrics as bound distances of the capacity search.

Rules of this module:
- "max<90%" and "min>=100" are counts: one reading on the wrong side violates them. "p(95)<90%" allows 5 % of
  the readings on the wrong side. An average is compared with its bound.
- Of several series, the one furthest on the wrong side in a load step counts.
- An abort rule on an observed metric binds like a threshold: a load step that it ended has failed.
- A load step with readings in less than 90 % of the turns of the source has no verdict, unless it violates
  the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from doorbuster.capacity.bound_distance import BoundDistance, Count, Ratio
from doorbuster.gate.accumulate import Selector
from doorbuster.gate.observed_metrics import (
    MIN_COVERAGE_RATIO,
    Readings,
    observed_coverage,
    observed_readings,
)
from doorbuster.gate.recorded_metrics import RecordedMetrics
from doorbuster.gate.threshold_result import NoData
from doorbuster.records.reader import Run
from doorbuster.scenario.abort_rules import ObservedAbortRule
from doorbuster.scenario.demand.phases import Seconds
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import OBSERVED

_UPPER, _LOWER = ("<", "<="), (">", ">=")
_EXTREMES = {"max": _UPPER, "min": _LOWER}


def why_not_searchable(threshold: Threshold) -> str:
    """Why a search cannot use a threshold on an observed metric; "" if it can."""
    if threshold.aggregation in ("p", "med"):
        usable = threshold.operator in (*_UPPER, *_LOWER)
    elif threshold.aggregation == "avg":
        usable = threshold.operator in _UPPER and threshold.bound > 0
    else:
        usable = threshold.operator in _EXTREMES.get(threshold.aggregation, ())
    if usable:
        return ""
    return (
        "of an observed metric, a search uses max, avg, med and p(N) with an upper bound, and min, med and "
        "p(N) with a lower one"
    )


def observed_bound_distance(
    metrics: RecordedMetrics, threshold: Threshold, first: int, seconds: int
) -> BoundDistance:
    """The distance in `seconds` from second `first` on."""
    tags = {tag.name: tag.value for tag in threshold.tags}
    select = Selector(tags, Seconds(first, first + seconds))
    series = metrics.run.observed()
    found = observed_readings(threshold, select, series, metrics.observed_limits)
    readings = [] if isinstance(found, NoData) else found
    distances = [_distance(threshold, one, first, seconds) for one in readings]
    worst = max(distances, key=_size, default=None)
    if worst is not None:
        source = readings[distances.index(worst)].series.source
        is_known = observed_coverage(source, select, series, first + seconds) >= MIN_COVERAGE_RATIO
        if is_known or _size(worst) > 1.0:
            return worst
    nothing = np.zeros(seconds)
    limit = _allowed_ratio(threshold)
    if limit is None:
        return Count(str(threshold), 0.0, 0.0, is_known=False)
    return Ratio(str(threshold), limit, nothing, nothing, is_level=threshold.aggregation == "avg")


def observed_abort_keys(scenario: Scenario) -> tuple[str, ...]:
    """The rules of `safety.abort` on observed metrics, without those on a phase, which load steps lack."""
    return tuple(
        key
        for key, rule in scenario.safety.abort.items()
        if isinstance(rule, ObservedAbortRule) and all(tag.name != "phase" for tag in rule.tags)
    )


def abort_distances(run: Run, keys: Sequence[str], *, after_overload: bool) -> tuple[Count, ...]:
    """One count for each abort rule: whether it ended the load step.

    Args: after_overload: the step began with an overload, whose end says nothing about the rate after it.
    """
    is_aborted = run.meta.status == "aborted"
    return tuple(
        Count(
            f"safety.abort {key}",
            0.0,
            float(is_aborted and run.meta.status_reason.startswith(f"safety.abort {key}: ")),
            is_known=not (is_aborted and after_overload),
        )
        for key in keys
    )


def missing_values(run: Run, thresholds: Sequence[Threshold]) -> tuple[str, ...]:
    """Thresholds on observed metrics for which a run has no value at all, with the reason."""
    metrics = RecordedMetrics(run)
    found = []
    for threshold in thresholds:
        if threshold.metric.startswith(OBSERVED):
            select = Selector({tag.name: tag.value for tag in threshold.tags})
            readings = observed_readings(threshold, select, run.observed(), metrics.observed_limits)
            if isinstance(readings, NoData):
                found.append(f"{threshold}: {readings.reason}")
    return tuple(found)


def _allowed_ratio(threshold: Threshold) -> float | None:
    """The limit of the sums over the counts; None when a single reading violates the threshold."""
    if threshold.aggregation == "avg":
        return threshold.bound
    if threshold.percentile is None:
        return None
    share = threshold.percentile / 100
    ratio = 1 - share if threshold.operator in _UPPER else share
    return ratio if 0 < ratio < 1 else None


def _distance(threshold: Threshold, one: Readings, first: int, seconds: int) -> Ratio | Count:
    at = one.seconds - first
    counts = np.bincount(at, minlength=seconds).astype(np.float64)
    limit = _allowed_ratio(threshold)
    if threshold.aggregation == "avg":
        sums = np.bincount(at, weights=one.values, minlength=seconds).astype(np.float64)
        return Ratio(str(threshold), threshold.bound, sums, counts, is_level=True)
    wrong = np.array([not threshold.holds(float(value)) for value in one.values])
    if limit is None:
        return Count(str(threshold), 0.0, float(wrong.sum()))
    violations = np.bincount(at, weights=wrong, minlength=seconds).astype(np.float64)
    return Ratio(str(threshold), limit, violations, counts)


def _size(distance: Ratio | Count) -> float:
    """Observed over allowed; above 1 the threshold is violated."""
    if isinstance(distance, Count):
        return 1.0 + distance.count if distance.count else 0.0
    return float(distance.sums.sum() / distance.counts.sum()) / distance.limit
