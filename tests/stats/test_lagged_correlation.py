"""Lagged rank correlation: closed forms, scipy as the oracle, and how often chance looks like a relation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from doorbuster.stats.lagged_correlation import effective_pairs, lagged_rank_correlation


def ar1(rng, n, phi):
    noise = rng.normal(size=n)
    values = np.empty(n)
    values[0] = noise[0] / np.sqrt(1 - phi**2)
    for at in range(1, n):
        values[at] = phi * values[at - 1] + noise[at]
    return values


def test_rho_is_spearmans_as_scipy_computes_it():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=50), rng.normal(size=50)

    found = lagged_rank_correlation(x, y, lags=[0])

    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)


def test_a_series_that_leads_by_four_seconds_is_found_at_that_lag():
    rng = np.random.default_rng(2)
    x = ar1(rng, 200, 0.5)
    y = np.concatenate([rng.normal(size=4), x[:-4]])

    found = lagged_rank_correlation(x, y, lags=[0, 1, 2, 4, 8])

    assert (found.lag, found.rho) == (4, pytest.approx(1.0))
    assert found.p_value < 1e-6


def test_gaps_are_left_out():
    x, y = np.arange(30.0), np.arange(30.0)
    x[5], y[9] = np.nan, np.nan

    found = lagged_rank_correlation(x, y, lags=[0])

    assert (found.n, found.rho) == (28, pytest.approx(1.0))


@pytest.mark.parametrize("x", [np.ones(40), np.full(40, np.nan), np.arange(5.0)])
def test_a_series_that_does_not_vary_or_is_short_has_no_correlation(x):
    assert lagged_rank_correlation(x, np.arange(x.size, dtype=float), lags=[0, 1]) is None


def test_independent_seconds_of_two_autoregressive_series_follow_the_closed_form():
    # n* = n (1 - ab) / (1 + ab) for first-order series with coefficients a and b (Bartlett, 1935).
    rng = np.random.default_rng(3)
    n, phi = 4_000, 0.8

    found = [effective_pairs(ar1(rng, n, phi), ar1(rng, n, phi)) for _ in range(5)]

    assert np.mean(found) == pytest.approx(n * (1 - phi**2) / (1 + phi**2), rel=0.15)


def test_chance_is_rarely_taken_for_a_relation_although_neighbours_are_alike():
    rng = np.random.default_rng(4)
    rounds = 150
    p_values = [
        lagged_rank_correlation(ar1(rng, 90, 0.9), ar1(rng, 90, 0.9), lags=[0, 1, 2, 4, 8]).p_value
        for _ in range(rounds)
    ]

    assert sum(p <= 0.05 for p in p_values) <= 0.1 * rounds  # one-sided, at the best of five lags
