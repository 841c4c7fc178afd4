"""A distribution in the few numbers that people use: median, 50/80/90 % intervals, and one year in ten."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.scenario.parsing.value_range import ValueRange

Draws = NDArray[np.float64]
Z95 = 1.959963984540054
_LEVELS = (0.5, 0.25, 0.75, 0.1, 0.9, 0.05, 0.95, 0.025, 0.975)


@dataclass(frozen=True, slots=True)
class DemandQuantiles:
    """Quantiles of a demand; `high80`, the 90 % quantile, is exceeded in one year of ten."""

    median: float
    low50: float
    high50: float
    low80: float
    high80: float
    low90: float
    high90: float
    low95: float
    high95: float

    @classmethod
    def of(cls, draws: Draws) -> DemandQuantiles:
        """The quantiles of draws, shape (n,)."""
        return cls(*(float(value) for value in np.quantile(draws, _LEVELS)))

    @property
    def one_in_ten(self) -> float:
        """What one year in ten exceeds."""
        return self.high80


def log_normal_draws(stated: ValueRange, rng: np.random.Generator, n: int) -> Draws:
    """Draws of a stated range, whose ends are its 95 % interval: errors of such figures are factors."""
    middle = math.log(stated.low * stated.high) / 2
    spread = math.log(stated.high / stated.low) / 2 / Z95
    return np.exp(rng.normal(middle, spread, n)) if spread else np.full(n, math.exp(middle))
