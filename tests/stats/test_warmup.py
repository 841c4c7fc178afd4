"""End of the warm-up: vectors computed by hand, and a naive implementation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.stats.warmup import mser

T = np.arange(1000)
NOISE = (7919 * T % 13) / 13
SETTLING = 100 * np.exp(-T / 20) + NOISE


def slow_spread(values: list[float], batch_size: int) -> list[float]:
    """What the rule minimises, by the number of batches cut, in a loop."""
    n = len(values) // batch_size
    z = [sum(values[i * batch_size : (i + 1) * batch_size]) / batch_size for i in range(n)]
    spread = []
    for d in range(n // 2 + 1):
        mean = sum(z[d:]) / (n - d)
        spread.append(sum((value - mean) ** 2 for value in z[d:]) / (n - d) ** 2)
    return spread


def test_a_decaying_transient_is_cut_where_mser_5_says():
    found = mser(SETTLING)
    assert (found.warm_up, found.batch) == (150, 30)


def test_batches_of_one_cut_at_117():
    assert mser(SETTLING, batch_size=1).warm_up == 117


def test_a_steady_series_loses_one_batch_at_most():
    assert mser(NOISE).warm_up == 5


def test_a_series_that_drifts_has_no_steady_state():
    found = mser(np.linspace(0, 50, 1000) + NOISE)
    assert (found.warm_up, found.batch) == (None, 100)


@given(st.lists(st.floats(0, 1e6), min_size=20, max_size=80), st.sampled_from([1, 5]))
def test_the_cut_equals_that_of_a_naive_loop(values: list[float], batch_size: int):
    rounded = [round(value) + index / 997 for index, value in enumerate(values)]
    spread = slow_spread(rounded, batch_size)
    # Two cuts may be equally good up to rounding, which is relative to the squares that were added up.
    tolerance = 1e-12 * max(rounded) ** 2
    assert spread[mser(rounded, batch_size=batch_size).batch] <= min(spread) + tolerance


def test_too_short_a_series_is_refused():
    with pytest.raises(ValueError, match=r"^MSER needs at least 20 observations \(got 19\)$"):
        mser([1.0] * 19)
