"""The noise floor of a set-up: the smallest difference that it detects, by number and length of rehearsals.

Pairs of one target with itself differ by noise only. From its scatter between pairs follows the smallest
effect that n pairs find in four of five cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import ALPHA, MetricComparison, by_difference
from doorbuster.stats.run_comparison import smallest_effect

PAIR_COUNTS = (5, 10, 20, 40)


@dataclass(frozen=True, slots=True)
class MetricNoise:
    """The noise of one metric.

    `between_pairs` is the standard deviation of the difference of a pair; `visible` the smallest change that
    each number of pairs of `PAIR_COUNTS` finds. Both are ratios (0.05 is 5 %), of shares in points (0..1).
    """

    comparison: MetricComparison
    between_pairs: float
    visible: tuple[float, ...]


def noise_floor(comparison: BuildComparison) -> tuple[MetricNoise, ...]:
    """The noise of every gating metric that was measured, noisiest first."""
    metrics = max(1, len(comparison.gating))
    found = []
    for one in comparison.gating_metrics:
        if one.effect is None or one.effect.variance_per_run is None:
            continue
        variance = one.effect.variance_per_run
        effects = [smallest_effect(variance, n - 1.0, n, alpha=ALPHA / metrics) for n in PAIR_COUNTS]
        deviation = math.sqrt(variance)
        if not by_difference(one.metric):
            deviation, *effects = (math.expm1(min(value, 100.0)) for value in (deviation, *effects))
        found.append(MetricNoise(one, deviation, tuple(effects)))
    return tuple(sorted(found, key=lambda noise: -noise.between_pairs / (noise.comparison.tolerance or 1.0)))
