"""How a peak day's demand spreads over its hours and minutes: measured on the busiest days, or assumed.

Rules of this module:
- Shares come from the busiest days, because a peak day differs from an ordinary one.
- What the history cannot show, since it counts days or hours only, is assumed from published figures, which
  the result names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.forecast.burst import index_of_dispersion
from doorbuster.forecast.demand_series import HOURS, DailyDemand, DemandSeries

BUSY_DAYS = 20
_BUSY_HOURS = 40
_Z = 1.959963984540054
_MIN_HOURS_OPEN = 3
# Published shares of a day's demand in its busiest hour: 6.5 % from a British daily curve (Hitwise, 2017;
# Summit; Wunderman), 10 % by Capacitas (Huffington Post, 27 November 2015).
ASSUMED_HOUR_SHARE = (0.065, 0.10)
ASSUMED_DISPERSION = 1.67  # requests per second of NASA's web servers, July and August 1995
# A British Black Friday, hour by hour; its sources are in scenarios/black-friday-uk.yaml.
ASSUMED_CURVE = (
    1.10, 0.75, 0.40, 0.28, 0.30, 0.50, 0.95, 1.50, 1.55, 1.50, 1.43, 1.38,
    1.38, 1.28, 1.10, 1.00, 0.95, 0.92, 0.95, 1.03, 1.15, 1.12, 0.88, 0.60,
)  # fmt: skip
Draws = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WithinDay:
    """`hour_shares`: draws of the busiest hour's share of its day. `curve`: 24 weights, highest first hour 0.

    `assumptions`: sentences, one for each part that is not measured.
    """

    hour_shares: Draws
    curve: tuple[float, ...]
    dispersion: float
    measured_days: int
    assumptions: tuple[str, ...]


def within_day(series: DemandSeries, daily: DailyDemand, rng: np.random.Generator, draws: int) -> WithinDay:
    """The shares within a peak day, by draws."""
    if series.grain == "day":
        low, high = ASSUMED_HOUR_SHARE
        middle, spread = math.log(math.sqrt(low * high)), math.log(high / low) / 2 / _Z
        return WithinDay(
            np.exp(rng.normal(middle, spread, draws)),
            ASSUMED_CURVE,
            ASSUMED_DISPERSION,
            0,
            (
                (
                    "The history counts days, so the busiest hour is assumed to have 6.5 % to 10 % of its "
                    "day (a British Black Friday; Capacitas, 2015)."
                ),
                _ASSUMED_BURSTS,
            ),
        )
    busiest = np.sort(daily.days[np.argsort(daily.counts)[-BUSY_DAYS:]])
    table = series.by_hour(busiest)
    table = table[(table > 0).sum(axis=1) >= _MIN_HOURS_OPEN]
    if not len(table):
        table = series.by_hour(busiest)
    shares = table.max(axis=1) / table.sum(axis=1)
    curve = (table / table.sum(axis=1, keepdims=True)).mean(axis=0)
    dispersion = _dispersion(series) if series.grain == "minute" else None
    assumptions = () if dispersion is not None else (_ASSUMED_BURSTS,)
    return WithinDay(
        shares[rng.integers(len(shares), size=draws)],
        tuple(float(weight) for weight in curve / curve.mean()),
        ASSUMED_DISPERSION if dispersion is None else dispersion,
        len(table),
        assumptions,
    )


_ASSUMED_BURSTS = (
    "Within an hour, counts are assumed to vary as much as the requests of NASA's web servers in 1995 "
    f"(index of dispersion {ASSUMED_DISPERSION})."
)


def _dispersion(series: DemandSeries) -> float | None:
    """The index of dispersion of minutes in the busiest hours."""
    hours, place = np.unique(series.moments.astype("datetime64[h]"), return_inverse=True)
    totals = np.bincount(place, weights=series.counts)
    busiest = hours[np.argsort(totals)[-_BUSY_HOURS:]]
    return index_of_dispersion(np.stack([series.minutes_of(hour) for hour in busiest]))


assert len(ASSUMED_CURVE) == HOURS
