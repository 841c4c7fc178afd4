"""Orders to visits to page requests, with the conversion of the peak itself.

Conversion rises in a peak: visitors of the sale came to buy. In the visits of one shop it was 25 % in
November and 10 % in March (Sakar et al., 2018, "Online shoppers purchasing intention"). A mix from an average
day therefore tests too few checkouts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from doorbuster.forecast.demand_series import DemandSeries
from doorbuster.forecast.quantiles import Draws, log_normal_draws
from doorbuster.forecast.within_day import BUSY_DAYS
from doorbuster.scenario.parsing.value_range import ValueRange

# IMRG, British shops, 2016 to 2017: 2.3 % on phones, 4.7 % on desktop computers.
ASSUMED_CONVERSION = ValueRange(0.023, 0.047)
# SimilarWeb, Britain, 2016: 7.6 pages in a visit by phone, 13.6 by desktop computer.
ASSUMED_PAGES = ValueRange(7.6, 13.6)
_MIN_DAYS = 5


@dataclass(frozen=True, slots=True, eq=False)
class PeakConversion:
    """Orders per visit on the busiest days. `other_days`: on all other days, if measured."""

    draws: Draws
    source: str
    other_days: float | None = None


def peak_conversion(
    orders: DemandSeries | None,
    visits: DemandSeries | None,
    stated: ValueRange | None,
    rng: np.random.Generator,
    n: int,
) -> PeakConversion:
    """The stated conversion, else that of the busiest days, else an assumption."""
    if stated is not None:
        return PeakConversion(log_normal_draws(stated, rng, n), "stated")
    measured = _measured(orders, visits, rng, n) if orders and visits else None
    if measured is not None:
        return measured
    return PeakConversion(
        log_normal_draws(ASSUMED_CONVERSION, rng, n),
        "assumed, 2.3 % on phones to 4.7 % on desktop computers (IMRG, Britain, 2016 to 2017)",
    )


def _measured(
    orders: DemandSeries, visits: DemandSeries, rng: np.random.Generator, n: int
) -> PeakConversion | None:
    of_orders, of_visits = orders.daily(), visits.daily()
    days, at, here = np.intersect1d(of_orders.days, of_visits.days, return_indices=True)
    if len(days) < _MIN_DAYS:
        return None
    ordered, visited = of_orders.counts[at], of_visits.counts[here]
    order = np.argsort(visited)
    busy, other = order[-BUSY_DAYS:], order[:-BUSY_DAYS]
    chosen = busy[rng.integers(len(busy), size=(n, len(busy)))]
    draws = ordered[chosen].sum(axis=1) / visited[chosen].sum(axis=1)
    other_days = float(ordered[other].sum() / visited[other].sum()) if len(other) else None
    return PeakConversion(draws, f"measured on the {len(busy)} busiest days", other_days)
