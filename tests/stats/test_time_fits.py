"""Fits of think times: known parameters are found again, from rounded and cut times too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from doorbuster.stats.dispersion import dispersion
from doorbuster.stats.time_fits import fit_times

N = 20_000


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def test_a_lognormal_is_found_from_whole_seconds(rng):
    exact = rng.lognormal(math.log(3), 1.0, N)  # a quarter of these times is below 1.5 s
    start = rng.random(N) * 100
    logged = np.floor(start + exact) - np.floor(start)
    best, other = fit_times(logged, resolution_s=1.0, cut_s=1800)
    assert (best.family, other.family) == ("lognormal", "exponential")
    assert best.median_s == pytest.approx(3, rel=0.03)
    assert best.sigma == pytest.approx(1, rel=0.04)
    assert best.distance < 0.02 < other.distance


def test_an_exponential_is_found_although_long_times_are_cut(rng):
    times = rng.exponential(100, N)
    best = fit_times(times[times < 150], resolution_s=0.001, cut_s=150)[0]
    # without the truncation in the likelihood, the mean would be about 57
    assert best.family == "exponential"
    assert best.mean_s == pytest.approx(100, rel=0.06)


def test_the_distribution_function_is_that_of_the_seen_times(rng):
    best = fit_times(rng.exponential(10, N), resolution_s=0.001, cut_s=20)[0]
    expected = -math.expm1(-0.5) / -math.expm1(-2)
    assert best.share_below(np.array([5.0, 20.0])) == pytest.approx([expected, 1.0], rel=0.02)


@pytest.mark.parametrize("times", [np.arange(29.0), np.full(100, 3.0), np.empty(0)])
def test_too_few_or_equal_times_give_no_fit(times):
    assert fit_times(times, resolution_s=1.0, cut_s=1800) == []


def test_the_index_of_poisson_counts_is_one_even_on_a_slope(rng):
    level = 5 * (1 + 0.9 * np.sin(np.arange(20_000) / 20_000 * 2 * np.pi))
    found = dispersion(rng.poisson(level), window_s=1.0, level_windows=900)
    assert found.low < 1 < found.high
    assert found.index == pytest.approx(1, abs=0.03)


def test_the_index_of_bursty_counts_is_found(rng):
    # a gamma factor for each second: variance 4 times the mean
    counts = rng.negative_binomial(10 / 3, 1 / 4, 20_000)
    found = dispersion(counts, window_s=1.0, level_windows=900)
    assert found.index == pytest.approx(4, rel=0.05)
    assert found.low < 4 < found.high


def test_too_few_windows_have_no_index():
    assert dispersion(np.ones(29, np.int64), window_s=1.0, level_windows=900).index is None
