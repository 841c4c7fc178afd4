"""Distribution-free intervals from backtest errors: split conformal prediction.

With errors e_1 <= … <= e_n of past forecasts, exchangeable with the next one, the next error lies below e_k
with probability k / (n + 1). A two-sided interval of confidence c from e_k to e_(n+1-k),
k = floor((n + 1) (1 - c) / 2), therefore covers at least c, whatever the distribution. k must be at least 1:
90 % needs 19 errors.

Source: Vovk, Gammerman and Shafer (2005), "Algorithmic learning in a random world", chapter 2; Lei et al.
(2018), "Distribution-free predictive inference for regression", JASA 113.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIN_ERRORS = 19  # for 90 %


@dataclass(frozen=True, slots=True, eq=False)
class ConformalErrors:
    """Errors ln(forecast / actual) of past forecasts, in order, shape (n,)."""

    errors: NDArray[np.float64]

    @classmethod
    def of(cls, errors: NDArray[np.float64]) -> ConformalErrors | None:
        """None if they are too few for 90 %."""
        return cls(np.sort(errors)) if len(errors) >= MIN_ERRORS else None

    def interval(self, forecast: float, confidence: float) -> tuple[float, float]:
        """Where the actual value lies.

        Raises: ValueError for a confidence that needs more errors.
        """
        n = len(self.errors)
        k = math.floor((n + 1) * (1 - confidence) / 2 + 1e-9)
        if k < 1:
            raise ValueError(f"{confidence:.0%} needs {math.ceil(2 / (1 - confidence)) - 1} errors (got {n})")
        return forecast * math.exp(-self.errors[n - k]), forecast * math.exp(-self.errors[k - 1])

    def draws(self, forecast: float, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values whose quantiles are those of the intervals; `uniform`: shape (n,), 0..1."""
        n = len(self.errors)
        places = np.arange(1, n + 1) / (n + 1)
        error = np.interp(uniform, places, self.errors)
        drawn: NDArray[np.float64] = forecast * np.exp(-error)
        return drawn
