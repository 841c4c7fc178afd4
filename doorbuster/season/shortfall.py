"""Expected demand above the capacity, when both are uncertain.

    E[(D - C)+] = integral over u, v in (0, 1) of max(D(u) - C(v), 0)

D(u), C(v): quantiles of demand and capacity, both log-normal with halves of different width, as in
doorbuster/capacity/headroom.py. With equal halves this is Margrabe's formula:

    E[(D - C)+] = E[D] Phi(d1) - E[C] Phi(d2)
    d1, d2 = (ln(E[D] / E[C]) +- s^2 / 2) / s,   s^2 = s_D^2 + s_C^2

It is a lower bound of the loss: an overloaded shop often serves fewer customers than its capacity.

Source: Margrabe (1978), "The value of an option to exchange one asset for another", Journal of Finance 33,
equation 7.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from doorbuster.capacity.headroom import PositiveEstimate

_POINTS = 500
_Z: NDArray[np.float64] = ndtri((np.arange(_POINTS) + 0.5) / _POINTS)


def expected_shortfall(demand: PositiveEstimate, capacity: PositiveEstimate) -> float | None:
    """Mean of the demand above the capacity, in their unit; None if an end of an interval is unknown."""
    of_demand, of_capacity = _quantiles(demand), _quantiles(capacity)
    if of_demand is None or of_capacity is None:
        return None
    return float(np.maximum(of_demand[:, None] - of_capacity[None, :], 0.0).mean())


def expected_value(estimate: PositiveEstimate) -> float | None:
    """The mean of the distribution; None if an end of its interval is unknown."""
    quantiles = _quantiles(estimate)
    return None if quantiles is None else float(quantiles.mean())


def _quantiles(estimate: PositiveEstimate) -> NDArray[np.float64] | None:
    below, above = estimate.spread_below, estimate.spread_above
    if below is None or above is None:
        return None
    log: NDArray[np.float64] = math.log(estimate.value) + _Z * np.where(_Z < 0, below, above)
    return np.exp(log)
