"""Queueing formulas against published tables, each other, and simulated queues."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queueing_theory import (
    closed_bounds,
    closed_throughput_per_s,
    erlang_b,
    erlang_c,
    exact_mva,
    mg1_mean_wait_s,
    mm1_sojourn_quantile_s,
    mmc_capacity_per_s,
    mmc_mean_wait_s,
    mmc_sojourn_tail,
    mmc_wait_tail,
    station_rate_per_s,
)

from doorbuster.stats.littles_law import check_little, mean_in_system, utilisation_ratio

ERLANG = [
    (1, 0.8, 0.444444, 0.800000, 4.000000),
    (2, 1, 0.200000, 0.333333, 0.333333),
    (2, 1.6, 0.329897, 0.711111, 1.777778),
    (4, 3.2, 0.228145, 0.596432, 0.745541),
    (8, 6.4, 0.144394, 0.457645, 0.286028),
    (10, 8, 0.121661, 0.409180, 0.204590),
    (16, 14.4, 0.126412, 0.591343, 0.369590),
    (100, 90, 0.026957, 0.216940, 0.021694),
]
PRINTED = 5.1e-7  # half of the last printed digit


@pytest.mark.parametrize(("servers", "load", "lost", "waits", "wait"), ERLANG)
def test_erlang_tables(servers, load, lost, waits, wait):
    assert erlang_b(servers, load) == pytest.approx(lost, abs=PRINTED)
    assert erlang_c(servers, load) == pytest.approx(waits, abs=PRINTED)
    assert mmc_mean_wait_s(load, 1.0, servers) == pytest.approx(wait, abs=PRINTED)


@pytest.mark.parametrize(("scv", "wait"), [(0, 2.0), (1, 4.0), (4, 10.0)])
def test_pollaczek_and_khinchine(scv, wait):
    assert mg1_mean_wait_s(0.8, 1.0, scv) == pytest.approx(wait)


def test_exponential_service_is_the_case_scv_1():
    assert mg1_mean_wait_s(0.8, 1.0, 1.0) == pytest.approx(mmc_mean_wait_s(0.8, 1.0))


MVA = [
    (1, 0.854701, 0.170000),
    (2, 1.693443, 0.181026),
    (5, 4.085682, 0.223786),
    (10, 7.408934, 0.349722),
    (20, 9.929182, 1.014265),
    (50, 10.000000, 4.000000),
]


@pytest.mark.parametrize(("customers", "throughput", "response"), MVA)
def test_mean_value_analysis_table(customers, throughput, response):
    point = exact_mva((0.1, 0.05, 0.02), 1.0, 50)[customers - 1]
    assert (point.customers, point.throughput_per_s, point.response_s) == pytest.approx(
        (customers, throughput, response), abs=PRINTED
    )
    assert closed_throughput_per_s(customers, point.response_s, 1.0) == pytest.approx(point.throughput_per_s)


def test_bounds_of_a_closed_system_hold_and_meet_at_the_knee():
    demands = (0.1, 0.05, 0.02)
    assert closed_bounds(demands, 1.0, 5).knee_customers == pytest.approx(11.70)
    for point in exact_mva(demands, 1.0, 60):
        bounds = closed_bounds(demands, 1.0, point.customers)
        assert point.throughput_per_s <= bounds.most_throughput_per_s + 1e-12
        assert point.response_s >= bounds.least_response_s - 1e-12


CAPACITY = [
    (0.1, 70.043, 53.948, 30.922),
    (0.2, 85.021, 76.974, 65.461),
    (0.5, 94.009, 90.790, 86.184),
]


@pytest.mark.parametrize(("limit_s", "p95", "p99", "p999"), CAPACITY)
def test_capacity_of_one_exponential_server(limit_s, p95, p99, p999):
    found = [mmc_capacity_per_s(100.0, 1, p=p, limit_s=limit_s) for p in (0.95, 0.99, 0.999)]
    assert found == pytest.approx([p95, p99, p999], abs=5.1e-4)


@given(
    st.integers(1, 16), st.floats(1.0, 50.0), st.sampled_from([0.5, 0.9, 0.95, 0.99]), st.floats(1.05, 20.0)
)
def test_at_capacity_the_quantile_is_the_limit(servers, mu, p, slack):
    limit = slack * -math.log(1 - p) / mu
    rate = mmc_capacity_per_s(mu, servers, p=p, limit_s=limit)
    assert 0 < rate < servers * mu
    assert mmc_sojourn_tail(rate, mu, servers, limit) == pytest.approx(1 - p, rel=1e-6)


def test_service_that_is_too_slow_on_its_own_has_no_capacity():
    assert mmc_capacity_per_s(10.0, 4, p=0.99, limit_s=0.4) == 0.0
    assert mmc_capacity_per_s(10.0, 1, p=0.99, limit_s=0.4) == 0.0


def test_the_sojourn_tail_is_continuous_where_its_formula_divides_by_zero():
    beside = [mmc_sojourn_tail(3.0 + step, 1.0, 4, 2.0) for step in (-1e-5, 1e-5)]
    at = mmc_sojourn_tail(3.0, 1.0, 4, 2.0)
    assert beside[0] < at < beside[1]
    assert at == pytest.approx(math.exp(-2) * (1 + erlang_c(4, 3.0) * 2.0), rel=1e-12)


def test_one_server_has_an_exponential_response_time():
    for t in (0.01, 0.05, 0.3):
        assert mmc_sojourn_tail(80.0, 100.0, 1, t) == pytest.approx(math.exp(-20 * t))
    assert mm1_sojourn_quantile_s(80.0, 100.0, 0.99) == pytest.approx(math.log(100) / 20)


def test_a_shop_that_cannot_keep_up_has_no_finite_wait():
    assert mmc_mean_wait_s(5.0, 1.0, 4) == math.inf
    assert mmc_sojourn_tail(5.0, 1.0, 4, 1e3) == 1.0
    assert mmc_wait_tail(5.0, 1.0, 4, 1e3) == 1.0
    assert mm1_sojourn_quantile_s(5.0, 1.0, 0.5) == math.inf
    assert mg1_mean_wait_s(2.0, 1.0, 0.0) == math.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: erlang_b(0, 1.0), "servers must be a whole number >= 1 (got 0)"),
        (
            lambda: mm1_sojourn_quantile_s(1, 2, 99),
            "p must be a share between 0 and 1, such as 0.99 (got 99)",
        ),
        (lambda: mmc_mean_wait_s(1.0, 0.0), "service_per_s must be > 0 (got 0.0)"),
        (lambda: mg1_mean_wait_s(1.0, 0.1, -1.0), "scv must be >= 0 (got -1.0)"),
    ],
)
def test_invalid_arguments_are_refused(call, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        call()
    assert str(caught.value) == message


def sojourns_s(rng: np.random.Generator, rate: float, mu: float, servers: int, n: int):
    """Arrivals and response times of M/M/c, one after the other."""
    arrivals = np.cumsum(rng.exponential(1 / rate, n))
    service = rng.exponential(1 / mu, n)
    free = [0.0] * servers
    waits = np.empty(n)
    for i, (at, length) in enumerate(zip(arrivals.tolist(), service.tolist(), strict=True)):
        start = max(at, free[0])
        heapq.heapreplace(free, start + length)
        waits[i] = start - at
    return arrivals, waits, waits + service


@pytest.mark.parametrize(("servers", "load"), [(1, 0.7), (2, 1.4), (4, 3.0), (8, 6.4)])
def test_a_simulated_queue_agrees(servers, load):
    arrivals, waits, times = sojourns_s(np.random.default_rng(2), load, 1.0, servers, 150_000)
    assert waits.mean() == pytest.approx(mmc_mean_wait_s(load, 1.0, servers), rel=0.06)
    assert np.mean(waits > 1e-12) == pytest.approx(erlang_c(servers, load), rel=0.03)
    for t in (1.0, 3.0):
        assert np.mean(times > t) == pytest.approx(mmc_sojourn_tail(load, 1.0, servers, t), rel=0.06)
    step = np.arange(0, arrivals[-1], 0.5)
    ends = np.sort(arrivals + times)
    inside = np.searchsorted(arrivals, step) - np.searchsorted(ends, step)
    little = check_little(
        inside, finished=times.size, time_sum_s=float(times.sum()), window_s=float(arrivals[-1])
    )
    assert little.agrees
    assert utilisation_ratio(load, 1.0, servers) == pytest.approx(load / servers)


def test_littles_law_finds_customers_that_were_counted_but_not_timed():
    honest = check_little([10.0] * 50, finished=500, time_sum_s=505.0, window_s=50.0)
    assert honest.agrees
    assert honest.difference_ratio == pytest.approx(-0.0099, abs=1e-4)
    cheating = check_little([10.0] * 50, finished=450, time_sum_s=450.0, window_s=50.0)
    assert not cheating.agrees
    assert cheating.expected == pytest.approx(mean_in_system(9.0, 1.0))


def test_littles_law_has_nothing_to_say_about_an_empty_shop():
    assert check_little([0, 0], finished=0, time_sum_s=0.0, window_s=2.0).agrees
    assert not check_little([0, 3], finished=0, time_sum_s=0.0, window_s=2.0).agrees


def test_forced_flow():
    assert station_rate_per_s(5.0, 3.0) == 15.0
