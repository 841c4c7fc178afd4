"""Response-time percentiles: abandoned requests, planned ramps, and the coverage of intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from doorbuster.records.histogram import Histogram
from doorbuster.stats.design_effect import planned_design_effect
from doorbuster.stats.latency_quantiles import TimeBlock, latency_quantiles
from doorbuster.stats.quantile import minimum_n, quantile_estimate

NOBODY = Histogram.empty()


def blocks_of(times_us, due_s, *, width_s, abandoned=None):
    """Requests in time blocks; `abandoned` marks those whose time ends when the customer left."""
    place = (due_s // width_s).astype(int)
    left = np.zeros(place.size, bool) if abandoned is None else abandoned
    return [
        TimeBlock(
            Histogram.from_values(times_us[(place == k) & ~left]),
            Histogram.from_values(times_us[(place == k) & left]),
        )
        for k in range(int(place.max()) + 1)
    ]


def mm1(rng, rho, duration_s, mu=100.0):
    """Due times and times in system of an M/M/1 queue that starts in equilibrium (Lindley)."""
    n = rng.poisson(rho * mu * duration_s)
    due = np.sort(rng.uniform(0, duration_s, n))
    service = rng.exponential(1 / mu, n)
    first = rng.exponential(1 / (mu - rho * mu)) if rng.random() < rho else 0.0
    partial = np.cumsum(np.concatenate([[first], service[:-1] - np.diff(due)]))
    return due, partial - np.minimum(np.minimum.accumulate(partial), 0.0) + service


@pytest.mark.parametrize("rho", [0.5, 0.8])
@pytest.mark.parametrize("p", [0.5, 0.95])
def test_intervals_cover_the_quantile_of_a_queue(rho, p):
    rng, truth_us, hits = np.random.default_rng(7), -math.log(1 - p) / (100 * (1 - rho)) * 1e6, 0
    for _ in range(200):
        due, took = mm1(rng, rho, 240.0)
        (found,) = latency_quantiles(blocks_of((took * 1e6).astype(np.int64), due, width_s=8), [p])
        hits += found.low_us <= truth_us <= found.high_us
    assert 0.90 <= hits / 200 <= 1.0  # nominal 0.95; the standard error of 200 runs is 0.015


def ramped(rng, p):
    """Independent exponential times whose mean grows tenfold over the run, and the true quantile of all."""
    due = np.sort(rng.uniform(0, 120, 12_000))
    mean_us = 1e4 * (1 + 9 * due / 120)
    grid = 1e4 * (1 + 9 * (np.arange(2000) + 0.5) / 2000)
    low, high = 0.0, 1e7
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(np.exp(-middle / grid).mean()) > 1 - p else (low, middle)
    return due, rng.exponential(mean_us).astype(np.int64), low


@pytest.mark.parametrize("p", [0.5, 0.95])
def test_a_planned_ramp_does_not_widen_the_interval(p):
    rng, hits, widths = np.random.default_rng(11), 0, np.zeros(2)
    for _ in range(150):
        due, times_us, truth_us = ramped(rng, p)
        parts = blocks_of(times_us, due, width_s=4)
        (found,) = latency_quantiles(parts, [p])
        hits += found.low_us <= truth_us <= found.high_us
        plain = quantile_estimate(NOBODY.merge(*(part.answered for part in parts)), p)
        widths += [at.high_us - at.low_us for at in (found, plain)]
    assert hits / 150 >= 0.92
    along_the_plan, independent = widths
    assert along_the_plan < 1.6 * independent


def test_the_design_effect_of_chance_is_one_and_of_a_stall_is_large():
    rng = np.random.default_rng(5)
    n = np.full(30, 1000.0)
    assert planned_design_effect(rng.binomial(1000, 0.9, 30).astype(float), n) < 2.0
    stalls = np.where(np.arange(30) % 6 == 3, 300.0, 950.0)
    assert planned_design_effect(stalls, n) > 100
    trend = np.linspace(500, 990, 30)
    assert planned_design_effect(trend, n) < 3.0


def test_customers_who_left_count_as_at_least():
    rng = np.random.default_rng(2)
    due = np.sort(rng.uniform(0, 60, 6000))
    true_us = rng.exponential(1e6, 6000)
    patience_us = rng.exponential(4e6, 6000)
    left = patience_us < true_us
    seen = np.where(left, patience_us, true_us).astype(np.int64)
    (found,) = latency_quantiles(blocks_of(seen, due, width_s=2, abandoned=left), [0.9])
    truth_us = -math.log(0.1) * 1e6
    assert found.abandoned == int(left.sum()) > 500
    assert found.low_us < truth_us < found.high_us
    assert found.value_us == pytest.approx(truth_us, rel=0.1)
    assert not found.at_least


def test_when_most_left_only_a_lower_bound_is_known():
    due = np.arange(3000) / 50
    seen = np.full(3000, 2_000_000)
    (found,) = latency_quantiles(blocks_of(seen, due, width_s=2, abandoned=np.arange(3000) % 10 > 0), [0.95])
    assert found.at_least
    assert found.high_us is None


@pytest.mark.parametrize("p", [0.9, 0.99, 0.999])
def test_a_quantile_with_too_few_requests_has_a_reason_instead_of_a_value(p):
    needed = minimum_n(p)
    for n in (needed - 1, needed):
        due = np.linspace(0, 59.9, n)
        (found,) = latency_quantiles(blocks_of(np.full(n, 500), due, width_s=2), [p])
        assert (found.value_us is None) == (n < needed)
    (found,) = latency_quantiles([TimeBlock(NOBODY, NOBODY)] * 20, [p])
    assert found.reason == f"needs {needed:,} requests, there were 0"


def test_requests_in_few_blocks_have_a_value_and_no_interval():
    parts = [TimeBlock(Histogram.from_values([5] * 500), NOBODY)] * 9
    (found,) = latency_quantiles(parts, [0.5])
    assert (found.value_us, found.low_us, found.high_us) == (5, None, None)
    assert found.reason == "an interval needs requests in 10 blocks of time"
