"""p values of several tests, adjusted so that more tests do not mean more false alarms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values, in the given order: rejecting those up to alpha keeps P(any false alarm) <= alpha.

    adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)),  p_(1) <= ... <= p_(m)

    Source: Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(np.arange(p.size, 0, -1) * p[order]))
    return tuple(adjusted.tolist())


def benjamini_hochberg(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p values, in the given order: of those up to alpha, a share of alpha is false on average.

    adjusted p_(i) = min over j >= i of min(1, m p_(j) / j),  p_(1) <= ... <= p_(m)

    Source: Benjamini and Hochberg (1995), "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57.
    """
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    ranked = p.size * p[order] / np.arange(1, p.size + 1)
    adjusted = np.empty(p.size)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(ranked[::-1])[::-1])
    return tuple(adjusted.tolist())
