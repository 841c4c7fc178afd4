"""Comparisons with the scenario: each formula against scipy, a closed form or repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from doorbuster.records.histogram import Histogram
from doorbuster.stats.goodness_of_fit import (
    compare_curve,
    compare_dispersion,
    compare_mean_us,
    compare_median_us,
    compare_mix,
    compare_ratio,
    compare_total,
    overall,
)


@pytest.mark.parametrize("counts", [(530, 270, 200), (500, 300, 200), (400, 400, 200)])
def test_a_mix_is_judged_by_the_chi_square_test_of_scipy(counts):
    asked = (0.5, 0.3, 0.2)
    found = compare_mix(counts, asked)
    oracle = stats.chisquare(counts, np.array(asked) * sum(counts))
    assert (found.statistic, found.p_value) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_the_intervals_of_a_mix_are_the_exact_ones_for_all_shares_together():
    found = compare_mix((53, 27, 20), (0.5, 0.3, 0.2))
    for part, count in zip(found.parts, (53, 27, 20), strict=True):
        oracle = stats.binomtest(count, 100).proportion_ci(1 - 0.05 / 3, method="exact")
        assert (part.low, part.high) == pytest.approx((oracle.low, oracle.high))


def test_a_mix_drawn_as_specified_is_rarely_rejected():
    rng = np.random.default_rng(1)
    asked = (0.55, 0.25, 0.15, 0.05)
    verdicts = [compare_mix(rng.multinomial(600, asked).tolist(), asked).verdict for _ in range(2000)]
    assert verdicts.count("mismatch") <= 8  # 0.1 % of 2000 is 2


def test_a_mix_with_one_wrong_share_is_rejected_and_the_share_is_named():
    found = compare_mix((700, 150, 150), (0.8, 0.1, 0.1))
    assert found.verdict == "mismatch"
    assert {part.verdict for part in found.parts} == {"mismatch"}


def test_too_few_customers_are_not_conclusive():
    assert compare_mix((3, 1), (0.8, 0.2)).verdict == "inconclusive"
    assert compare_mix((0, 0), (0.8, 0.2)).verdict == "inconclusive"
    assert compare_mix((9,), (1.0,)).verdict == "match"


def test_a_total_scatters_by_the_index_of_dispersion():
    found = compare_total(1100, 1000.0, 2.0)
    half = 1.959964 * np.sqrt(2000)
    assert (found.low, found.high) == pytest.approx((1100 - half, 1100 + half))
    assert (
        found.verdict == "inconclusive"
    )  # 2.2 standard errors: outside the 95 %, inside the 99.9 % interval
    assert compare_total(1050, 1000.0, 2.0).verdict == "match"
    assert compare_total(1100, 1000.0, 0.5).verdict == "mismatch"


def negative_binomial(rng, mean, index, size):
    factor = rng.gamma(mean / (index - 1), (index - 1) / mean, size) if index > 1 else np.ones(size)
    return rng.poisson(mean * factor)


@pytest.mark.parametrize(("mean", "index"), [(8.0, 1.0), (8.0, 1.7), (40.0, 3.0)])
def test_the_kurtosis_behind_the_dispersion_is_that_of_scipy(mean, index):
    if index == 1:
        oracle = stats.poisson(mean).stats(moments="k")
    else:
        oracle = stats.nbinom(mean / (index - 1), 1 / index).stats(moments="k")
    assert 6 * (index - 1) / mean + 1 / (index * mean) == pytest.approx(float(oracle))


@pytest.mark.parametrize(("mean", "index"), [(8.0, 1.0), (8.0, 1.7), (40.0, 3.0)])
def test_the_interval_of_the_dispersion_covers_the_truth_as_often_as_it_says(mean, index):
    rng = np.random.default_rng(2)
    inside = 0
    for _ in range(1000):
        counts = negative_binomial(rng, mean, index, 120)
        found = compare_dispersion(counts, np.full(120, mean), index)
        inside += found.low <= index <= found.high
    assert 925 <= inside <= 975


def test_the_dispersion_of_large_poisson_counts_is_the_classical_test():
    counts = np.random.default_rng(3).poisson(1e6, 50)
    found = compare_dispersion(counts, np.full(50, 1e6), 1.0)
    total = float(((counts - 1e6) ** 2 / 1e6).sum())
    assert found.observed == pytest.approx(total / 50)
    assert found.low == pytest.approx(total / stats.chi2.ppf(0.975, 50), rel=1e-4)
    assert found.high == pytest.approx(total / stats.chi2.ppf(0.025, 50), rel=1e-4)


def test_smooth_arrivals_instead_of_bursts_are_rejected():
    counts = np.random.default_rng(4).poisson(20, 200)
    assert compare_dispersion(counts, np.full(200, 20.0), 2.5).verdict == "mismatch"
    assert compare_dispersion(counts, np.full(200, 20.0), 1.0).verdict == "match"


def test_a_curve_of_another_form_is_rejected():
    rng = np.random.default_rng(5)
    curve = np.linspace(10, 60, 30)
    assert compare_curve(rng.poisson(curve), curve, 1.0).verdict == "match"
    assert compare_curve(rng.poisson(np.full(30, 35.0)), curve, 1.0).verdict == "mismatch"
    assert compare_curve([1, 2], [0.5, 1.0], 1.0).verdict == "inconclusive"
    assert compare_curve([9, 7], [9.0, 0.0], 1.0).verdict == "mismatch"


def test_the_interval_of_a_ratio_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(1000):
        views = rng.poisson(40, 30)
        found = compare_ratio(rng.binomial(views, 0.15), views, 0.15)
        inside += found.low <= 0.15 <= found.high
    assert 925 <= inside <= 975


def test_a_ratio_needs_ten_blocks():
    assert compare_ratio([1] * 9, [10] * 9, 0.1).verdict == "inconclusive"
    assert compare_ratio([1] * 10, [10] * 10, 0.1).verdict == "match"
    assert compare_ratio([1] * 10, [10] * 10, 0.2).verdict == "mismatch"
    assert compare_ratio([], [], 0.2).observed is None


def test_the_interval_of_a_mean_is_that_of_the_normal_limit():
    times_us = np.random.default_rng(7).integers(500, 2000, 400)  # exact bins below 2048 us
    found = compare_mean_us(Histogram.from_values(times_us), 1250.0)
    oracle = stats.norm.interval(0.95, times_us.mean(), stats.sem(times_us))
    assert (found.low, found.high) == pytest.approx(oracle)


def test_the_interval_of_a_median_covers_the_law_and_refuses_another():
    rng = np.random.default_rng(8)
    inside = 0
    for _ in range(400):
        found = compare_median_us(Histogram.from_values(rng.lognormal(np.log(4e6), 1.17, 200)), 4e6)
        inside += found.low <= 4e6 <= found.high
    assert inside >= 368  # 95 % of 400 is 380, the exact interval covers a little more
    assert compare_median_us(Histogram.from_values(rng.lognormal(np.log(4e6), 0.3, 2000)), 5e6).verdict == (
        "mismatch"
    )
    assert compare_median_us(Histogram.from_values([1000] * 29), 1000).verdict == "inconclusive"


def test_a_constant_time_is_as_asked_within_its_bin():
    found = Histogram.from_values([5_000_000] * 100)
    assert compare_mean_us(found, 5_000_000).verdict == "match"
    assert compare_median_us(found, 5_000_000).verdict == "match"
    assert compare_mean_us(found, 5_100_000).verdict == "mismatch"


def test_one_that_is_not_as_asked_decides():
    assert overall(["match", "mismatch"]) == "mismatch"
    assert overall(["inconclusive", "match"]) == "match"
    assert overall(["inconclusive"]) == overall([]) == "inconclusive"


def test_a_value_outside_its_interval_is_never_called_a_match():
    # 10 windows of 100 expected arrivals, all within 3 of it: too regular for Poisson arrivals
    counts = [100, 103, 97, 101, 99, 102, 98, 100, 103, 97]
    found = compare_dispersion(counts, [100.0] * 10, 1.0)
    assert found.high < 1.0
    assert found.verdict in ("inconclusive", "mismatch")
    # 37 of 100 where 50 % were asked for: outside the 95 % interval, inside the 99.9 % one
    (part, _) = compare_mix((37, 63), (0.5, 0.5)).parts
    assert not part.low <= 0.5 <= part.high
    assert part.verdict == "inconclusive"
