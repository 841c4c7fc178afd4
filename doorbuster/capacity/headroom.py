"""Headroom: capacity over expected peak demand, a ratio of two uncertain numbers.

    headroom = capacity / demand,   held = P(capacity >= demand)

Both are values with a 95 % interval and are treated as log-normal: rates are positive, errors of forecasts
and capacity searches are multiplicative, and the confidence set of a ratio of normals (Fieller) need not be
an interval. The half-widths of an interval may differ; each end of the ratio uses the halves that affect it:

    ln headroom = ln C - ln D
    low  = headroom / exp(z sqrt(s_C-^2 + s_D+^2)),   high = headroom * exp(z sqrt(s_C+^2 + s_D-^2))
    s- = ln(value / low) / z,   s+ = ln(high / value) / z

    P(capacity >= demand) = Phi(ln headroom / s), s the spread on the side towards 1: s_C-, s_D+ when the
    headroom is above 1, else s_C+, s_D-.

Rules of this module:
- Capacity and demand are independent: one is measured, the other forecast.
- A capacity that is only known to be "at least" gives a headroom and a probability that are "at least".
- Results that depend on a missing end are None.

Source: Goodman (1960), "On the exact variance of products", JASA 55; Limpert, Stahel and Abbt (2001),
"Log-normal distributions across the sciences", BioScience 51 (multiplicative errors); Wallis (2014),
"The two-piece normal", Statistical Science 29 (halves of different width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class PositiveEstimate:
    """A positive value and its 95 % interval; None is an unknown end. `at_least`: a lower bound only."""

    value: float
    low: float | None = None
    high: float | None = None
    at_least: bool = False

    def __post_init__(self) -> None:
        if not (self.value > 0 and math.isfinite(self.value)):
            raise ValueError(f"value must be above 0 (got {self.value})")
        if self.low is not None and not 0 < self.low <= self.value:
            raise ValueError(f"low must be above 0 and at most the value {self.value} (got {self.low})")
        if self.high is not None and not self.high >= self.value:
            raise ValueError(f"high must be at least the value {self.value} (got {self.high})")

    @property
    def spread_below(self) -> float | None:
        """Standard deviation of the logarithm below the value."""
        return None if self.low is None else math.log(self.value / self.low) / _Z

    @property
    def spread_above(self) -> float | None:
        """Standard deviation of the logarithm above the value."""
        return None if self.high is None else math.log(self.high / self.value) / _Z


@dataclass(frozen=True, slots=True)
class Headroom:
    """capacity / demand with its 95 % interval, and the probability (0..1) that capacity >= demand."""

    ratio: float
    low: float | None
    high: float | None
    held_probability: float | None
    at_least: bool


def headroom(capacity: PositiveEstimate, demand: PositiveEstimate) -> Headroom:
    """The ratio of the two in the same unit, such as customers per second."""
    ratio = capacity.value / demand.value
    downwards = _combined(capacity.spread_below, demand.spread_above)
    upwards = None if capacity.at_least else _combined(capacity.spread_above, demand.spread_below)
    return Headroom(
        ratio=ratio,
        low=None if downwards is None else ratio * math.exp(-_Z * downwards),
        high=None if upwards is None else ratio * math.exp(_Z * upwards),
        held_probability=_probability(ratio, downwards, upwards, at_least=capacity.at_least),
        at_least=capacity.at_least,
    )


def _probability(
    ratio: float, downwards: float | None, upwards: float | None, *, at_least: bool
) -> float | None:
    spread = downwards if ratio >= 1 else upwards
    if at_least and ratio < 1:
        return None  # the capacity may be any higher value
    if spread is None:
        return None
    if spread == 0:
        return 1.0 if ratio >= 1 else 0.0
    return 0.5 * math.erfc(-math.log(ratio) / spread / math.sqrt(2))


def _combined(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else math.hypot(one, other)
