"""The phases of a rate curve: baseline, ramp, peak, after. Pure.

peak      from the first to the last moment at 90 % of the maximum rate or more, including any dip.
ramp      before the peak: from the start of the segment in which the rate rises above 33 %.
baseline  everything before the ramp.
after     everything after the peak, including the requests that follow the last arrival.

A phase that the curve does not have is absent: a plateau is all peak, a ramp from zero has no baseline.
A run file counts whole seconds; a second belongs to the phase that contains its middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from doorbuster.scenario.demand.rate_curve import RateCurve

PHASES = ("baseline", "ramp", "peak", "after")
PEAK_RATIO = 0.9
BASELINE_RATIO = 1 / 3
MIN_PHASE_S = 1e-6
_ALWAYS_S = 2**31


class Phase(NamedTuple):
    """One phase of a run, in seconds since its start."""

    name: str
    from_s: float
    to_s: float


class Seconds(NamedTuple):
    """Whole seconds from `first` up to, not including, `end`."""

    first: int
    end: int


def find_phases(curve: RateCurve) -> tuple[Phase, ...]:
    """The phases of a curve in time order, without gaps from 0 to its end."""
    high = PEAK_RATIO * curve.peak_per_s
    peak_from_s, peak_to_s = _first_at(curve, high), _last_at(curve, high)
    ramp_from_s = _ramp_start(curve, peak_from_s)
    edges_s = (0.0, ramp_from_s, peak_from_s, peak_to_s, curve.duration_s)
    found = zip(PHASES, edges_s[:-1], edges_s[1:], strict=True)
    return tuple(Phase(*phase) for phase in found if phase[2] - phase[1] > MIN_PHASE_S)


def phase_seconds(name: str, found: Sequence[Phase]) -> Seconds | None:
    """The whole seconds of one phase; None when it is absent. The last phase has no end."""
    for place, phase in enumerate(found):
        if phase.name == name:
            first = max(0, math.ceil(phase.from_s - 0.5))
            last = place == len(found) - 1
            return Seconds(first, _ALWAYS_S if last else max(0, math.ceil(phase.to_s - 0.5)))
    return None


def _first_at(curve: RateCurve, level_per_s: float) -> float:
    """The first moment at which the rate is at least this."""
    for start, end, first, last in _segments(curve):
        if first >= level_per_s:
            return start
        if last >= level_per_s:
            return start + (end - start) * (level_per_s - first) / (last - first)
    raise AssertionError("a curve reaches 90 % of its own peak")


def _last_at(curve: RateCurve, level_per_s: float) -> float:
    backwards = RateCurve(
        curve.duration_s - curve.edges_s[::-1], curve.last_per_s[::-1], curve.first_per_s[::-1]
    )
    return curve.duration_s - _first_at(backwards, level_per_s)


def _ramp_start(curve: RateCurve, peak_from_s: float) -> float:
    """The start of the last segment before the peak that is at baseline level."""
    low = BASELINE_RATIO * curve.peak_per_s
    start_s = 0.0
    for start, end, first, last in _segments(curve):
        if start >= peak_from_s:
            break
        if min(first, last) <= low:
            # A segment that ends low is baseline to its end; one that leaves the level is all ramp.
            start_s = min(end, peak_from_s) if last <= low else start
    return start_s


def _segments(curve: RateCurve) -> list[tuple[float, float, float, float]]:
    columns = (curve.edges_s[:-1], curve.edges_s[1:], curve.first_per_s, curve.last_per_s)
    rows: list[tuple[float, float, float, float]] = np.column_stack(columns).tolist()
    return rows
