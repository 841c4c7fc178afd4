"""Quantile intervals against published ranks, scipy's binomial, and queues whose quantiles are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.records.histogram import Histogram
from doorbuster.stats.quantile import (
    minimum_n,
    order_statistic_ranks,
    quantile_estimate,
    quantile_over_seconds,
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


@pytest.mark.parametrize(("p", "n", "low", "high", "coverage"), RANKS)
def test_ranks_are_the_published_ones(p: float, n: int, low: int, high: int | None, coverage: float | None):
    found = order_statistic_ranks(p, n)
    assert (found.low, found.high) == (low, high)
    if coverage is not None:
        assert found.coverage == pytest.approx(coverage, abs=5e-5)


@given(st.floats(0.001, 0.999), st.integers(1, 5000), st.sampled_from([0.8, 0.95, 0.99]))
def test_ranks_cover_at_least_as_often_as_they_claim(p: float, n: int, confidence: float):
    from scipy.stats import binom

    found = order_statistic_ranks(p, n, confidence=confidence)
    below = binom.cdf((found.low or 0) - 1, n, p)
    up_to = binom.cdf(found.high - 1, n, p) if found.high is not None else 1.0
    assert found.coverage == pytest.approx(up_to - below, abs=1e-9)
    if found.high is not None:
        assert found.coverage >= confidence - 1e-9
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
    assert (found.reason, found.refused) == ("", False)


def test_too_few_values_give_no_upper_bound_and_the_reason():
    found = quantile_estimate(Histogram.from_values(np.arange(1, 1001)), 0.999)
    assert (found.value_us, found.low_us, found.high_us) == (999, 997, None)
    assert found.refused
    assert found.reason == (
        "p99.9 needs at least 2,995 independent latencies for an upper bound at 95.0 % (got 1,000)"
    )


def test_no_values_give_no_value():
    found = quantile_estimate(Histogram.empty(), 0.5)
    assert (found.value_us, found.low_us, found.high_us, found.n) == (None, None, None, 0)
    assert found.reason.startswith("p50 needs at least 5 independent latencies")


@pytest.mark.parametrize("p", [0.0, 1.0, 99.0])
def test_extremes_and_percentages_are_refused(p: float):
    with pytest.raises(ValueError, match=r"^a quantile with bounds is asked for as a share between 0 and 1 "):
        quantile_estimate(Histogram.from_values([1]), p)


def mm1_sojourns_s(rng: np.random.Generator, rate: float, mu: float, duration_s: float):
    """Arrival times and times in system of an M/M/1 queue that starts in equilibrium."""
    n = rng.poisson(rate * duration_s)
    arrivals = np.sort(rng.uniform(0, duration_s, n))
    service = rng.exponential(1 / mu, n)
    waiting_at_start = rng.exponential(1 / (mu - rate)) if rng.random() < rate / mu else 0.0
    # Lindley: W_k = max(0, W_{k-1} + S_{k-1} - T_k) as a running minimum of partial sums.
    steps = np.concatenate([[waiting_at_start], service[:-1] - np.diff(arrivals)])
    partial = np.cumsum(steps)
    waiting = partial - np.minimum(np.minimum.accumulate(partial), 0.0)
    return arrivals, waiting + service


def coverage(rho: float, p: float, *, runs: int, duration_s: float, seed: int):
    """Share of runs whose interval holds the true quantile: over blocks, and as if independent."""
    mu = 100.0
    truth_us = -math.log(1 - p) / (mu * (1 - rho)) * 1e6
    rng = np.random.default_rng(seed)
    hits = np.zeros(2)
    for _ in range(runs):
        arrivals, sojourns = mm1_sojourns_s(rng, rho * mu, mu, duration_s)
        times_us = (sojourns * 1e6).astype(np.int64)
        bucket = (arrivals // 6).astype(int)
        edges = np.searchsorted(bucket, np.arange(bucket[-1] + 2))
        by_bucket = {
            k: Histogram.from_values(times_us[edges[k] : edges[k + 1]]) for k in range(bucket[-1] + 1)
        }
        naive = quantile_estimate(Histogram.empty().merge(*by_bucket.values()), p)
        for place, found in enumerate((quantile_over_seconds(by_bucket, p), naive)):
            assert found.low_us is not None
            assert found.high_us is not None
            hits[place] += found.low_us <= truth_us <= found.high_us
    return hits / runs


@pytest.mark.parametrize(("rho", "naive_below"), [(0.5, 0.85), (0.8, 0.6)])
@pytest.mark.parametrize("p", [0.5, 0.95])
def test_intervals_over_blocks_cover_the_quantile_of_a_queue_where_independent_ones_do_not(
    rho: float, naive_below: float, p: float
):
    over_blocks, naive = coverage(rho, p, runs=200, duration_s=240.0, seed=4)
    assert over_blocks >= 0.90  # nominal 0.95; the standard error of 200 runs is 0.015
    assert naive <= naive_below


def test_independent_latencies_lose_little_to_the_blocks():
    rng = np.random.default_rng(3)
    by_second = {s: Histogram.from_values(rng.exponential(1e5, 500).astype(int)) for s in range(100)}
    found = quantile_over_seconds(by_second, 0.95)
    assert 0.3 * found.n < found.effective_n < found.n
    plain = quantile_estimate(Histogram.empty().merge(*by_second.values()), 0.95)
    assert found.value_us == plain.value_us
    assert found.low_us <= plain.low_us
    assert found.high_us >= plain.high_us


def test_a_stall_in_one_stretch_is_worth_far_fewer_latencies():
    by_second = {s: Histogram.from_values([1000 + s] * 95 + [5000 * (s == 7) + 1500] * 5) for s in range(40)}
    by_second[7] = Histogram.from_values([2_000_000] * 100)
    found = quantile_over_seconds(by_second, 0.95)
    assert found.effective_n < found.n / 20


def test_correlated_latencies_can_be_too_few_although_they_are_many():
    calm, slow = Histogram.from_values([1000] * 1000), Histogram.from_values([9000] * 1000)
    found = quantile_over_seconds({second: slow if second < 10 else calm for second in range(40)}, 0.99)
    assert found.refused
    assert found.reason.startswith(
        "p99 needs at least 299 independent latencies for an upper bound at 95.0 % (got 40,000, worth "
    )


@pytest.mark.parametrize(
    ("by_second", "used"),
    [
        ({}, 0),
        ({0: Histogram.from_values([5] * 5000)}, 1),
        ({second: Histogram.from_values([5] * 500) for second in range(9)}, 9),
        ({0: Histogram.from_values([5] * 5000), 500: Histogram.from_values([5] * 5000)}, 2),
    ],
    ids=["nothing", "one second", "nine seconds", "two far seconds"],
)
def test_too_short_a_run_gives_no_bounds_and_the_reason(by_second: dict[int, Histogram], used: int):
    found = quantile_over_seconds(by_second, 0.5)
    assert (found.low_us, found.high_us) == (None, None)
    assert found.reason == f"p50 needs latencies in at least 10 stretches of time (got {used})"


def test_equal_latencies_have_an_interval_of_one_bin():
    found = quantile_over_seconds({second: Histogram.from_values([700] * 50) for second in range(20)}, 0.95)
    assert (found.low_us, found.value_us, found.high_us) == (700, 700, 700)


def test_fewer_blocks_than_ten_are_refused():
    with pytest.raises(ValueError, match=r"^blocks must be at least 10 \(got 5\)$"):
        quantile_over_seconds({}, 0.5, blocks=5)
