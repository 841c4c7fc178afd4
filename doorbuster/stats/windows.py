"""Response times in short windows, and when they became slow.

Rules of this module:
- Requests within a window are treated as independent.
- One slow window is ignored; two adjacent windows must exceed the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from doorbuster.stats.censored import SurvivalCurve, censored_quantile, survival_curve
from doorbuster.stats.latency_quantiles import LatencyQuantile, TimeBlock
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count

SLOW_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class SlowPeriod:
    """When the p95 exceeded its limit for two windows, in s since the start; the limit in ms and its name."""

    at_s: float | None
    limit_ms: float | None
    limit_name: str


def window_quantiles(window: TimeBlock, shares: Sequence[float]) -> tuple[LatencyQuantile, ...]:
    """Quantiles of the requests due in one window, with intervals; no value when there are too few."""
    curve = survival_curve(window.answered, window.abandoned) if window.abandoned.n else None
    return tuple(_quantile(window, curve, p) for p in shares)


def _quantile(window: TimeBlock, curve: SurvivalCurve | None, p: float) -> LatencyQuantile:
    n, abandoned = window.answered.n + window.abandoned.n, window.abandoned.n
    needed = minimum_n(p)
    if n < needed:
        reason = f"needs {format_count(needed)} requests, there were {format_count(n)}"
        return LatencyQuantile(p, None, None, None, n, abandoned, False, 0.0, reason)
    if curve is not None:
        past = censored_quantile(curve, p)
        ends = (past.value_us, past.low_us, past.high_us)
        return LatencyQuantile(p, *ends, n, abandoned, past.at_least, float(n))
    found = quantile_estimate(window.answered, p)
    ends = (found.value_us, found.low_us, found.high_us)
    return LatencyQuantile(p, *ends, n, 0, False, float(n))


def find_slow(p95_ms: Sequence[float | None], width_s: float, *, bound_ms: float | None) -> SlowPeriod:
    """When response times became slow.

    Args:
        p95_ms: of each window, in order; windows with None (unknown) are skipped.
        width_s: length of a window.
        bound_ms: the limit; None for three times the baseline, the p95 of the fastest window.
    """
    known = [(window, value) for window, value in enumerate(p95_ms) if value is not None]
    limit, name = bound_ms, "the tightest threshold"
    if limit is None:
        fastest = min((value for _, value in known), default=None)
        limit = None if fastest is None else SLOW_FACTOR * fastest
        name = "three times the baseline"
    if limit is None:
        return SlowPeriod(None, None, name)
    over = (window for (window, value), (_, following) in pairwise(known) if value > limit < following)
    window = next(over, None)
    return SlowPeriod(None if window is None else float(window * width_s), limit, name)
