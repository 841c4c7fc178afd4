"""Difference and ratio of two independent estimates, each with an interval of its own.

Rules of this module:
- For any two estimates with intervals of the same confidence: percentiles, ratios, means. Intervals need not
  be symmetric; no distribution is assumed beyond what the intervals assume.
- A bound that depends on an unknown bound is None.

    low  = (a - b) - sqrt((a - a_low)^2 + (b_high - b)^2)
    high = (a - b) + sqrt((a_high - a)^2 + (b - b_low)^2)

Source: Zou and Donner (2008), "Construction of confidence intervals about effect measures: a general
approach", Statistics in Medicine 27, section 2 (MOVER); for proportions Newcombe (1998), Statistics in
Medicine 17, method 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValueWithInterval:
    """A value with its interval; an unknown bound is None."""

    value: float
    low: float | None
    high: float | None


def difference(a: ValueWithInterval, b: ValueWithInterval) -> ValueWithInterval:
    """a - b with its interval."""
    value = a.value - b.value
    low = high = None
    if a.low is not None and b.high is not None:
        low = value - math.hypot(a.value - a.low, b.high - b.value)
    if a.high is not None and b.low is not None:
        high = value + math.hypot(a.high - a.value, b.value - b.low)
    return ValueWithInterval(value, low, high)


def ratio(a: ValueWithInterval, b: ValueWithInterval) -> ValueWithInterval:
    """a / b with its interval, by the difference of logarithms; all values above 0."""
    found = difference(_log(a), _log(b))
    return ValueWithInterval(math.exp(found.value), _exp(found.low), _exp(found.high))


def _log(of: ValueWithInterval) -> ValueWithInterval:
    low, high = (None if bound is None or bound <= 0 else math.log(bound) for bound in (of.low, of.high))
    return ValueWithInterval(math.log(of.value), low, high)


def _exp(bound: float | None) -> float | None:
    return None if bound is None else math.exp(bound)
