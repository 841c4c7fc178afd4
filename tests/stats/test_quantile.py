"""Quantile intervals against published ranks and scipy's binomial distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.records.histogram import Histogram
from doorbuster.stats.quantile import (
    Ranks,
    minimum_n,
    order_statistic_ranks,
    quantile_estimate,
)

RANKS = [
    (0.5, 1_000, 469, 532, 0.9537),
    (0.5, 10_000, 4902, 5099, 0.9512),
    (0.5, 100_000, 49_690, 50_311, None),
    (0.9, 1_000, 881, 919, 0.9549),
    (0.9, 10_000, 8941, 9059, None),
    (0.9, 100_000, 89_814, 90_187, None),
    (0.95, 1_000, 936, 964, 0.9581),
    (0.95, 10_000, 9457, 9543, None),
    (0.95, 100_000, 94_864, 95_136, None),
    (0.99, 1_000, 983, 997, 0.9761),
    (0.99, 10_000, 9880, 9920, 0.9558),
    (0.99, 100_000, 98_938, 99_062, None),
    (0.999, 1_000, 997, None, None),
    (0.999, 10_000, 9983, 9997, 0.9755),
    (0.999, 100_000, 99_880, 99_920, 0.9548),
]


def coverage_of(ranks: Ranks, p: float, n: int) -> float:
    """The probability that these order statistics enclose the p-quantile."""
    from scipy.stats import binom

    up_to = binom.cdf(ranks.high - 1, n, p) if ranks.high is not None else 1.0
    return float(up_to - binom.cdf((ranks.low or 0) - 1, n, p))


@pytest.mark.parametrize(("p", "n", "low", "high", "coverage"), RANKS)
def test_ranks_are_the_published_ones(p: float, n: int, low: int, high: int | None, coverage: float | None):
    found = order_statistic_ranks(p, n)
    assert (found.low, found.high) == (low, high)
    if coverage is not None:
        assert coverage_of(found, p, n) == pytest.approx(coverage, abs=5e-5)


@given(st.floats(0.001, 0.999), st.integers(1, 5000), st.sampled_from([0.8, 0.95, 0.99]))
def test_ranks_cover_at_least_as_often_as_they_claim(p: float, n: int, confidence: float):
    found = order_statistic_ranks(p, n, confidence=confidence)
    if found.high is not None:
        assert coverage_of(found, p, n) >= confidence - 1e-9
        assert (found.low or 1) <= found.high <= n


@pytest.mark.parametrize(
    ("p", "n"), [(0.9, 29), (0.95, 59), (0.99, 299), (0.995, 598), (0.999, 2995), (0.9999, 29_956)]
)
def test_the_fewest_values_with_an_upper_bound_are_the_published_ones(p: float, n: int):
    assert minimum_n(p) == n
    assert order_statistic_ranks(p, n).high == n
    assert order_statistic_ranks(p, n - 1).high is None


def test_an_estimate_names_the_values_at_its_ranks():
    found = quantile_estimate(Histogram.from_values(np.arange(1, 1001)), 0.95)
    assert (found.value_us, found.low_us, found.high_us, found.n) == (950, 936, 964, 1000)


def test_too_few_values_give_no_upper_bound():
    found = quantile_estimate(Histogram.from_values(np.arange(1, 1001)), 0.999)
    assert (found.value_us, found.low_us, found.high_us) == (999, 997, None)


def test_no_values_give_no_value():
    found = quantile_estimate(Histogram.empty(), 0.5)
    assert (found.value_us, found.low_us, found.high_us, found.n) == (None, None, None, 0)


@pytest.mark.parametrize("p", [0.0, 1.0, 99.0])
def test_extremes_and_percentages_are_refused(p: float):
    with pytest.raises(ValueError, match=r"^a quantile must be a ratio between 0 and 1 "):
        quantile_estimate(Histogram.from_values([1]), p)
