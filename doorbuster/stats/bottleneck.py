"""Which resource of a target ran out: from utilisation, saturation and errors of each, second by second.

Rules:
- A resource is full from the first window in which its mean utilisation is FULL_RATIO or more; one without a
  known limit, from the first in which work waits for it all the time.
- Candidates were full when customers noticed, had not been full long before without harm, and do not move
  against the latency. The first to be full is named; of those within a window, the one that was fuller.
- Nothing is named when customers did not notice, or when no resource was full: then the cause is elsewhere.
- The correlation with the latency supports a candidate; its p value is adjusted for all resources looked at.

Sources: Gregg (2013), "Thinking methodically about performance", Communications of the ACM 56(2), for
utilisation, saturation and errors; Denning and Buzen (1978), ACM Computing Surveys 10, for the law.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from doorbuster.stats.lagged_correlation import LaggedCorrelation, lagged_rank_correlation
from doorbuster.stats.multiple_tests import holm

FULL_RATIO = 0.9
WINDOW_S = 5
SLOW_FACTOR = 3.0
MIN_SLOWER_MS = 100.0
FAILED_RATIO = 0.05
LAGS_S = (0, 1, 2, 4, 8)
HARMLESS_S = 30.0  # full for longer than this before customers noticed, and not tracking the latency
LATE_S = 2 * WINDOW_S  # a request is dated by its start, so its latency may show a moment that comes later
SIGNIFICANT = 0.05
MIN_LAW_SECONDS = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ResourceHistory:
    """One resource by second, shape (n,), NaN where it was not observed; None for a side nobody observes.

    utilisation: 0..1 of its limit. saturation: work that waits. errors: failures per second.
    """

    name: str
    utilisation: Floats | None = None
    saturation: Floats | None = None
    errors: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CustomerView:
    """What customers saw by second, shape (n,): mean latency of the requests due (NaN without any), share of
    them that failed or were abandoned, and requests answered.
    """

    latency_ms: Floats
    failed_ratio: Floats
    answered: Floats


@dataclass(frozen=True, slots=True)
class UtilisationLaw:
    """U = X D: the use of a resource below its limit against the requests answered.

    full_at_per_s: answered requests per second at which it is full, if use grows in proportion, with its 95 %
    interval. correlation: of use and requests; low when something else uses the resource.
    """

    full_at_per_s: float
    low_per_s: float
    high_per_s: float
    correlation: float
    seconds: int


@dataclass(frozen=True, slots=True)
class ResourceFinding:
    """One resource in one run. Times are seconds since the start; windows last WINDOW_S.

    highest: mean utilisation of its fullest window. full_from_s: when it was full first, None if never.
    in_trouble: mean utilisation while customers noticed. waiting: mean saturation of its worst window.
    """

    name: str
    highest: float | None
    full_from_s: int | None
    in_trouble: float | None
    waiting: float | None
    errors: float
    correlation: LaggedCorrelation | None
    p_adjusted: float | None
    law: UtilisationLaw | None

    @property
    def tracks(self) -> bool:
        """Whether it tracks the latency beyond chance, with all resources counted."""
        return self.p_adjusted is not None and self.p_adjusted <= SIGNIFICANT


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """The resources, fullest first; which one ran out, if any, and when customers noticed."""

    resources: tuple[ResourceFinding, ...]
    named: ResourceFinding | None
    noticed_s: int | None

    @property
    def warning_s(self) -> int | None:
        """Seconds from the moment the named resource was full until customers noticed; negative: after."""
        if self.named is None or self.named.full_from_s is None or self.noticed_s is None:
            return None
        return self.noticed_s - self.named.full_from_s


def find_bottleneck(resources: Sequence[ResourceHistory], view: CustomerView) -> Bottleneck:
    """The bottleneck of a run. Source: see the module."""
    noticed_s = when_noticed(view)
    found = [_finding(one, view, noticed_s) for one in resources]
    tested = [n for n, one in enumerate(found) if one.correlation is not None]
    p_values = [correlation.p_value for n in tested if (correlation := found[n].correlation) is not None]
    for n, p_adjusted in zip(tested, holm(p_values), strict=True):
        found[n] = replace(found[n], p_adjusted=p_adjusted)
    found.sort(key=lambda one: -(one.highest or 0.0))
    return Bottleneck(tuple(found), _named(found, noticed_s), noticed_s)


def when_noticed(view: CustomerView) -> int | None:
    """The first second of the first window in which customers waited much longer, or failed, than in calm.

    Calm is the quarter of the windows with the lowest latency.
    """
    latency = window_means(view.latency_ms)
    failed = window_means(view.failed_ratio)
    known = latency[~np.isnan(latency)]
    if not known.size:
        return None
    calm_ms = float(np.quantile(known, 0.25))
    limit_ms = max(SLOW_FACTOR * calm_ms, calm_ms + MIN_SLOWER_MS)
    bad = (np.nan_to_num(latency) > limit_ms) | (np.nan_to_num(failed) >= FAILED_RATIO)
    return int(np.argmax(bad)) if bad.any() else None


def window_means(values: Floats) -> Floats:
    """The mean of each window of WINDOW_S seconds, by its first second; NaN without values in half of it."""
    if values.size < WINDOW_S:
        return np.full(values.size, np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW_S)
    known = ~np.isnan(windows)
    n = known.sum(axis=1)
    sums = np.where(known, windows, 0.0).sum(axis=1)
    return np.where(2 * n >= WINDOW_S, sums / np.maximum(n, 1), np.nan)


def _finding(resource: ResourceHistory, view: CustomerView, noticed_s: int | None) -> ResourceFinding:
    used, waiting = resource.utilisation, resource.saturation
    means = None if used is None else window_means(used)
    queue = None if waiting is None else window_means(waiting)
    in_trouble = None
    if used is not None and noticed_s is not None:
        part = used[noticed_s : noticed_s + LATE_S]
        in_trouble = float(np.nanmean(part)) if (~np.isnan(part)).any() else None
    return ResourceFinding(
        resource.name,
        highest=_highest(means),
        full_from_s=_first(means, FULL_RATIO) if means is not None else _first_queue(waiting),
        in_trouble=in_trouble,
        waiting=_highest(queue),
        errors=0.0 if resource.errors is None else float(np.nansum(resource.errors)),
        correlation=_best_correlation(resource, view.latency_ms),
        p_adjusted=None,
        law=None if used is None else utilisation_law(used, view.answered),
    )


def _highest(means: Floats | None) -> float | None:
    return None if means is None or np.isnan(means).all() else float(np.nanmax(means))


def _first(means: Floats, limit: float) -> int | None:
    full = np.nan_to_num(means) >= limit
    return int(np.argmax(full)) if full.any() else None


def _first_queue(waiting: Floats | None) -> int | None:
    """The first window in which at least one piece of work waited in every second that was observed."""
    if waiting is None or waiting.size < WINDOW_S:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(waiting, WINDOW_S)
    always = (np.isnan(windows) | (windows >= 1.0)).all(axis=1) & (
        2 * (~np.isnan(windows)).sum(axis=1) >= WINDOW_S
    )
    return int(np.argmax(always)) if always.any() else None


def _best_correlation(resource: ResourceHistory, latency_ms: Floats) -> LaggedCorrelation | None:
    """Of its utilisation or its queue with the latency; the search over both counts as twice the lags."""
    sides = [side for side in (resource.utilisation, resource.saturation) if side is not None]
    found = [
        one for side in sides if (one := lagged_rank_correlation(side, latency_ms, lags=LAGS_S)) is not None
    ]
    if not found:
        return None
    best = min(found, key=lambda one: (one.p_value, -one.rho))
    return replace(best, p_value=min(1.0, best.p_value * len(found)))


def _named(found: Sequence[ResourceFinding], noticed_s: int | None) -> ResourceFinding | None:
    if noticed_s is None:
        return None
    candidates = [one for one in found if _is_candidate(one, noticed_s)]
    if not candidates:
        return None
    first_s = min(one.full_from_s for one in candidates if one.full_from_s is not None)
    near = [one for one in candidates if (one.full_from_s or 0) - first_s <= WINDOW_S]
    return max(near, key=lambda one: (one.in_trouble or 0.0, one.correlation.rho if one.correlation else 0.0))


def _is_candidate(one: ResourceFinding, noticed_s: int) -> bool:
    if one.full_from_s is None or one.full_from_s > noticed_s + LATE_S:
        return False
    if one.in_trouble is not None and one.in_trouble < FULL_RATIO - 0.1:  # it was full at another time
        return False
    if one.correlation is not None and one.correlation.rho <= 0:
        return False
    was_harmless = noticed_s - one.full_from_s > HARMLESS_S or one.full_from_s == 0
    return one.tracks or not was_harmless


def utilisation_law(utilisation: Floats, answered: Floats) -> UtilisationLaw | None:
    """Least squares through the origin over the seconds below the limit; None without enough of them."""
    known = ~np.isnan(utilisation) & ~np.isnan(answered) & (utilisation < FULL_RATIO)
    used, rate = utilisation[known], answered[known]
    if used.size < MIN_LAW_SECONDS or np.ptp(used) == 0 or np.ptp(rate) == 0:
        return None
    squares = float(rate @ rate)
    slope = float(rate @ used) / squares
    if slope <= 0:
        return None
    residual = used - slope * rate
    error = math.sqrt(float(residual @ residual) / (used.size - 1) / squares)
    low, high = slope - 1.96 * error, slope + 1.96 * error
    return UtilisationLaw(
        1.0 / slope,
        1.0 / high,
        1.0 / low if low > 0 else math.inf,
        float(np.corrcoef(used, rate)[0, 1]),
        int(used.size),
    )
