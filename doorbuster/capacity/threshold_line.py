"""The fitted line of one threshold: which rates belong to it, and what of their violations is due to load.

Rules of this module:
- The distance on the fitted line, not the noisy level of a rate, decides which rates belong to the line:
  selecting rates that happen to look near would bend it.
- Violations that an unloaded shop shows too (long service times, a page that always fails) do not depend on
  load. They are subtracted before the fit, P' = (P - P0) / (limit - P0): otherwise the level is flat at first
  and then steep, and a straight line crosses the bound too early. P0 is the excess of the lowest rates over
  the prediction of the line; its error is part of that of a point.

Source: Abbott (1925), "A method of computing the effectiveness of an insecticide", Journal of Economic
Entomology 18; Finney (1971), "Probit Analysis", chapter 7 (natural mortality).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.capacity.load_step import RateEvidence
from doorbuster.capacity.threshold_crossing import WINDOW, Crossing, QueuePrior, RatePoint, find_crossing

UNLOADED_RATIO = 0.6  # of the crossing: rates below have no queues
MAX_BASE_RATIO = 0.6
IN_SIGHT = math.log(20.0)
EDGE = math.log(WINDOW)


@dataclass(frozen=True, slots=True)
class _Base:
    """The load-independent part of the allowed violations, with its standard error."""

    ratio: float = 0.0
    se: float = 0.0


_NO_BASE = _Base()


def fit_line(
    place: int, evidence: Sequence[RateEvidence], well_observed: Sequence[RateEvidence], prior: QueuePrior
) -> Crossing | None:
    """The line of the threshold at `place`; None with less than two usable rates.

    Args: evidence: all rates, for the violations without queues; well_observed: those that the line rests on.
    """
    points = _points(place, well_observed, _NO_BASE)
    used = [point for point in points if abs(point.level) < EDGE]
    if len(used) < 2:
        # Too steep for the rates tried so far: use the nearest rate on each side, if it is not too far.
        seen = [point for point in points if abs(point.level) < IN_SIGHT]
        used = [*[p for p in seen if p.level <= 0][-1:], *[p for p in seen if p.level > 0][:1]]
    crossing = find_crossing(used, prior)
    for _ in range(4):
        if crossing is None:
            return None
        points = _points(place, well_observed, _base(place, evidence, crossing))
        again = [point for point in points if abs(crossing.level_at(point.rate_per_s)) < EDGE]
        closer = find_crossing(again, prior)
        if again == used or closer is None:
            break
        used, crossing = again, closer
    return crossing


def _points(place: int, well_observed: Sequence[RateEvidence], base: _Base) -> list[RatePoint]:
    """The well observed rates, each without the load-independent part `base` of its violations.

    The error of the base is part of the error of a point: level = ln((observed - B) / (1 - B)).
    """
    found = []
    for at in well_observed:
        estimate = at.estimates[place]
        if at.growing or estimate.level is None or not math.isfinite(estimate.level):
            continue
        observed = math.exp(estimate.level)
        if observed <= base.ratio:
            continue
        above = observed - base.ratio
        level = math.log(above / (1 - base.ratio))
        of_base = base.se * abs(observed - 1) / (above * (1 - base.ratio))
        error = math.hypot(estimate.se * observed / above, of_base)
        found.append(RatePoint(at.rate_per_s, level, error, estimate.degrees_of_freedom, estimate.seconds))
    return found


def _base(place: int, evidence: Sequence[RateEvidence], line: Crossing) -> _Base:
    """Violations of an unloaded shop in excess of the fitted line, relative to the limit.

    Long service times and pages that always fail occur at any rate: the level is flat until queues form.
    """
    calm = [
        (at.estimates[place], math.exp(line.level_at(at.rate_per_s)))
        for at in evidence
        if at.rate_per_s < UNLOADED_RATIO * line.rate_per_s and at.estimates[place].n
    ]
    n = sum(estimate.n for estimate, _ in calm)
    if not n:
        return _NO_BASE
    seen = [
        (one.n / n, one.ratio, one.se if math.isfinite(one.se) else 1.0, by_line) for one, by_line in calm
    ]
    ratio = sum(weight * (observed - by_line) for weight, observed, _, by_line in seen)
    error = math.hypot(*(weight * observed * se for weight, observed, se, _ in seen))
    return _Base(min(max(ratio, 0.0), MAX_BASE_RATIO), error)
