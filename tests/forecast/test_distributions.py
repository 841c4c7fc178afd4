"""Bursts and conformal intervals against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, poisson

from doorbuster.forecast.burst import highest_of, index_of_dispersion
from doorbuster.forecast.conformal import MIN_ERRORS, ConformalErrors
from doorbuster.forecast.quantiles import DemandQuantiles, log_normal_draws
from doorbuster.scenario.parsing.value_range import ValueRange

GRID = (np.arange(20_000) + 0.5) / 20_000


@pytest.mark.parametrize("mean", [0.2, 5.0, 400.0])
def test_the_highest_of_sixty_poisson_counts_has_the_distribution_of_the_maximum(mean):
    drawn = highest_of(60, np.full(len(GRID), mean), 1.0, GRID)
    k = np.arange(drawn.max() + 1)
    expected = poisson.cdf(k, mean) ** 60
    assert np.abs([(drawn <= at).mean() for at in k] - expected).max() < 1e-3


def test_a_negative_binomial_count_has_the_stated_mean_and_dispersion():
    drawn = highest_of(1, np.full(len(GRID), 50.0), 3.0, GRID)
    assert pytest.approx(drawn.mean(), rel=1e-3) == 50.0
    assert pytest.approx(drawn.var() / drawn.mean(), rel=0.01) == 3.0


def test_the_highest_second_agrees_with_simulated_minutes():
    rng = np.random.default_rng(1)
    simulated = rng.poisson(rng.gamma(20 / 0.67, 0.67, (4000, 60))).max(axis=1)
    drawn = highest_of(60, np.full(len(GRID), 20.0), 1.67, GRID)
    assert simulated.mean() == pytest.approx(drawn.mean(), rel=0.01)


def test_large_counts_are_normal():
    drawn = highest_of(60, np.full(len(GRID), 1e8), 1.0, GRID)
    assert drawn.mean() == pytest.approx(1e8 + 1e4 * norm.ppf(GRID ** (1 / 60)).mean(), rel=1e-6)


def test_dispersion_leaves_out_the_daily_curve():
    rng = np.random.default_rng(4)
    hours = rng.poisson(np.linspace(10, 200, 200)[:, None], (200, 60))
    assert pytest.approx(index_of_dispersion(hours.astype(float)), abs=0.05) == 1.0
    assert index_of_dispersion(np.zeros((3, 60))) is None


def test_conformal_intervals_have_their_coverage_for_any_distribution():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(4000):
        errors = np.clip(rng.standard_cauchy(40), -500, 500) / 10
        found = ConformalErrors.of(errors[:39])
        low, high = found.interval(100.0, 0.9)
        held += low <= 100.0 * math.exp(-errors[39]) <= high
    assert pytest.approx(held / 4000, abs=0.015) == 0.9  # exactly 36/40 by exchangeability


def test_conformal_intervals_need_nineteen_errors():
    assert ConformalErrors.of(np.zeros(MIN_ERRORS - 1)) is None
    found = ConformalErrors.of(np.linspace(-0.1, 0.1, MIN_ERRORS))
    assert (math.exp(-0.1), math.exp(0.1)) == pytest.approx(found.interval(1.0, 0.9))
    with pytest.raises(ValueError, match="99% needs 199 errors"):
        found.interval(1.0, 0.99)


def test_conformal_draws_have_the_quantiles_of_the_intervals():
    found = ConformalErrors.of(np.random.default_rng(6).normal(0, 0.1, 39))
    drawn = found.draws(100.0, GRID)
    assert found.interval(100.0, 0.8) == pytest.approx(np.quantile(drawn, (0.1, 0.9)), rel=1e-3)


def test_a_stated_range_is_a_95_percent_interval():
    drawn = log_normal_draws(ValueRange(10.0, 40.0), np.random.default_rng(7), 200_000)
    found = DemandQuantiles.of(drawn)
    assert pytest.approx((found.median, found.low95, found.high95), rel=0.02) == (20.0, 10.0, 40.0)
    assert found.one_in_ten == found.high80
