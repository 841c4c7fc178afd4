"""Demand and capacity of the busiest hour, both uncertain: headroom, probability, and what is lost if not.

    headroom     capacity / demand, and P(capacity >= demand): doorbuster/capacity/headroom.py
    lost orders  sum over the hours h of the peak day of E[(D w_h - C)+] x 3600 s x orders per visit

w_h: the demand of the hour over that of the busiest one. The loss counts customers above the capacity only,
so it is a lower bound: an overloaded shop often serves fewer than its capacity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.capacity.headroom import Headroom, PositiveEstimate, headroom
from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.season.shortfall import expected_shortfall

_HOUR_S = 3600.0
_CERTAIN = 0.999
_NEVER = 0.02  # of the busiest hour: less cannot exceed a capacity that is not far below the forecast


@dataclass(frozen=True, slots=True)
class Reserve:
    """The reserve of the busiest hour. Rates in customers per second; losses on the peak day, None: unknown.

    lost_per_minute: orders above the capacity in a minute of the busiest hour, expected. lost_orders: on the
    whole day, expected. lost_orders_worse: with the demand that one year in ten exceeds, `worse_per_s`.
    """

    demand: PositiveEstimate
    capacity: PositiveEstimate
    headroom: Headroom
    lost_per_minute: float | None
    lost_orders: float | None
    lost_orders_worse: float
    worse_per_s: float
    orders: float
    orders_per_visit: float

    @property
    def lost_if_not(self) -> float | None:
        """Lost orders on the peak day if it does not hold: E[lost | D > C] = E[lost] / P(D > C).

        No hour has more demand than the busiest one, so orders are lost only if that is above the capacity.
        """
        probability = self.headroom.held_probability
        if self.lost_orders is None or probability is None or self.headroom.at_least:
            return None
        return self.lost_orders / (1 - probability) if probability < _CERTAIN else 0.0


def forecast_demand(found: ForecastResult, *, factor: float = 1.0) -> PositiveEstimate:
    """Customers per second of the busiest hour, with the 95 % interval."""
    rate = found.rate
    return PositiveEstimate(rate.median * factor, rate.low95 * factor, rate.high95 * factor)


def reserve(found: ForecastResult, capacity: PositiveEstimate, *, factor: float = 1.0) -> Reserve:
    """The reserve of a capacity; `factor` multiplies the demand, 1.2 for 20 % more."""
    demand = forecast_demand(found, factor=factor)
    per_visit = found.conversion.median
    hours = _hours(found.curve)
    short = [expected_shortfall(_scaled(demand, share), capacity) for share in hours]
    known = [value for value in short if value is not None]
    lost = sum(known) * _HOUR_S * per_visit if len(known) == len(hours) else None
    worse = found.rate.one_in_ten * factor
    above = sum(max(worse * share - capacity.value, 0.0) for share in hours)
    busiest = expected_shortfall(demand, capacity)
    return Reserve(
        demand=demand,
        capacity=capacity,
        headroom=headroom(capacity, demand),
        lost_per_minute=None if busiest is None else busiest * 60 * per_visit,
        lost_orders=lost,
        lost_orders_worse=above * _HOUR_S * per_visit,
        worse_per_s=worse,
        orders=found.count("day", "orders").median * factor,
        orders_per_visit=per_visit,
    )


def _hours(curve: Sequence[float]) -> list[float]:
    """The hours of the day as shares of the busiest one."""
    highest = max(curve)
    return [weight / highest for weight in curve if weight / highest > _NEVER]


def _scaled(estimate: PositiveEstimate, factor: float) -> PositiveEstimate:
    low, high = (None if end is None else end * factor for end in (estimate.low, estimate.high))
    return PositiveEstimate(estimate.value * factor, low, high)
