"""Rates over time: levels, areas and their inverse against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from doorbuster.scenario import RateCurve, arrival_rate_per_s, expected_customers

levels = st.floats(0, 1e4).map(lambda x: round(x, 6))
lengths = st.floats(0.01, 1e5)


@st.composite
def curves(draw):
    n = draw(st.integers(1, 8))
    edges = np.concatenate(([0.0], np.cumsum([draw(lengths) for _ in range(n)])))
    first, last = (np.array([draw(levels) for _ in range(n)]) for _ in range(2))
    return RateCurve(edges, first, last)


def test_stages_ramp_in_straight_lines_from_nothing_and_holds_jump(scenario_of_demand):
    scenario = scenario_of_demand(
        "peak: 10/s, curve: {stages: [{for: 10s, to: 50%}, {for: 10s, at: 100%}, {for: 10s, to: 0%}]}"
    )

    rates = arrival_rate_per_s(scenario, [0, 5, 9.999999, 10, 19, 20, 25, 29, 30, -1])

    assert_allclose(rates, [0, 2.5, 5, 10, 10, 10, 5, 1, 0, 0], atol=1e-5)
    assert expected_customers(scenario) == pytest.approx(25 + 100 + 50)


def test_hours_are_joined_at_half_past_and_the_highest_is_the_peak(scenario_of_demand):
    scenario = scenario_of_demand("peak: 8/s, curve: {hourly: [1, 4, 2]}")

    rates = arrival_rate_per_s(scenario, np.array([0, 0.5, 1, 1.5, 2, 2.5, 2.99]) * 3600)

    assert_allclose(rates, [2, 2, 5, 8, 6, 4, 4])
    assert expected_customers(scenario) == pytest.approx(3600 * (0.5 * 2 + 5 + 6 + 0.5 * 4))


def test_the_published_black_friday_day_has_its_peak_at_eight(scenario_of_demand):
    weights = (
        "1.10, .75, .40, .28, .30, .50, .95, 1.50, 1.55, 1.50, 1.43, 1.38, "
        "1.38, 1.28, 1.10, 1.00, .95, .92, .95, 1.03, 1.15, 1.12, .88, .60"
    )
    scenario = scenario_of_demand(f"peak: 1.55/s, curve: {{hourly: [{weights}]}}, compress: 24h -> 24m")

    assert scenario.demand.duration_s == 1440.0
    assert arrival_rate_per_s(scenario, 8.5 * 60) == pytest.approx(1.55)
    assert expected_customers(scenario) == pytest.approx(24.0 * 60, rel=0.01)


def test_a_drop_brings_its_cumulative_shares(scenario_of_demand):
    scenario = scenario_of_demand(
        "customers: 1_000_000, curve: {cumulative: {96s: 3.7%, 64m: 37.3%, 86m: 45%}}"
    )

    curve = scenario.demand.rate_curve

    assert_allclose(curve.cumulative([96, 64 * 60, 86 * 60]), [37_000, 373_000, 450_000])
    assert curve.peak_per_s == pytest.approx(37_000 / 96)


def test_compression_shortens_time_and_keeps_rates(scenario_of_demand):
    text = "peak: 10/s, curve: {stages: [{for: 1h, to: 100%}, {for: 1h, at: 100%}]}"
    plain, short = scenario_of_demand(text), scenario_of_demand(text + ", compress: 2h -> 72s")

    assert short.demand.duration_s == 72.0
    assert_allclose(arrival_rate_per_s(short, [18, 36, 71]), arrival_rate_per_s(plain, [1800, 3600, 7100]))
    assert expected_customers(short) == pytest.approx(expected_customers(plain) / 100)


@given(curves(), st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_the_inverse_undoes_the_integral(curve, parts):
    counts = np.sort(np.array(parts)) * curve.expected

    times = curve.inverse(counts)

    assert np.all((times >= 0) & (times < curve.duration_s))
    assert np.all(np.diff(times) >= 0)
    if curve.expected > 0:
        assert_allclose(curve.cumulative(times), counts, atol=1e-7 * max(curve.expected, 1.0))


@given(curves(), st.lists(st.floats(0, 1e5), max_size=10))
def test_more_edges_change_neither_rate_nor_area(curve, times):
    split = curve.split_at(np.array(times))

    middles = (split.edges_s[:-1] + split.edges_s[1:]) / 2
    assert_allclose(split.at_per_s(middles), curve.at_per_s(middles), atol=1e-6)
    assert split.expected == pytest.approx(curve.expected, rel=1e-6, abs=1e-6)


def test_stretches_without_customers_are_passed_over():
    curve = RateCurve(np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.0, 5.0, 0.0]), np.array([0.0, 5.0, 0.0]))

    assert_allclose(curve.inverse(np.array([0.0, 25.0, 49.999])), [10.0, 15.0, 19.9998])
