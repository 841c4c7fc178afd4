"""Headroom, probability and loss against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from doorbuster.capacity.headroom import PositiveEstimate
from doorbuster.forecast.forecast_result import read_forecast
from doorbuster.season.indicators import colour_of
from doorbuster.season.reserve import reserve
from doorbuster.season.shortfall import expected_shortfall, expected_value

Z = 1.959963984540054


def estimate(value: float, spread: float) -> PositiveEstimate:
    return PositiveEstimate(value, value * math.exp(-Z * spread), value * math.exp(Z * spread))


def margrabe(demand: float, s_d: float, capacity: float, s_c: float) -> float:
    mean_d, mean_c = demand * math.exp(s_d**2 / 2), capacity * math.exp(s_c**2 / 2)
    s = math.hypot(s_d, s_c)
    d1 = (math.log(mean_d / mean_c) + s * s / 2) / s
    return mean_d * norm.cdf(d1) - mean_c * norm.cdf(d1 - s)


@pytest.mark.parametrize(
    ("demand", "s_d", "capacity", "s_c"),
    [(10, 0.2, 12, 0.1), (10, 0.3, 8, 0.2), (5, 0.1, 9, 0.3), (10, 0.25, 10, 0.05)],
)
def test_the_shortfall_is_margrabes_formula(demand, s_d, capacity, s_c):
    found = expected_shortfall(estimate(demand, s_d), estimate(capacity, s_c))
    assert found == pytest.approx(margrabe(demand, s_d, capacity, s_c), rel=0.01, abs=2e-4 * demand)


def test_halves_of_different_width_agree_with_simulation():
    demand, capacity = PositiveEstimate(10, 8, 16), PositiveEstimate(11, 6, 12)
    z = np.random.default_rng(1).standard_normal((2, 400_000))
    drawn = [
        one.value * np.exp(at * np.where(at < 0, one.spread_below, one.spread_above))
        for one, at in zip((demand, capacity), z, strict=True)
    ]
    expected = np.maximum(drawn[0] - drawn[1], 0).mean()
    assert expected_shortfall(demand, capacity) == pytest.approx(expected, rel=0.01)
    assert expected_value(demand) == pytest.approx(drawn[0].mean(), rel=0.01)


def test_without_uncertainty_the_shortfall_is_the_difference():
    assert expected_shortfall(PositiveEstimate(10, 10, 10), PositiveEstimate(8, 8, 8)) == pytest.approx(2)
    assert expected_shortfall(PositiveEstimate(10, 8, 12), PositiveEstimate(8)) is None


def test_the_reserve_of_a_day_adds_up_its_hours(started):
    forecast = read_forecast(started / "forecast" / "forecast.json")
    rate = forecast.rate.median
    plenty = reserve(forecast, estimate(rate * 20, 0.01))
    assert plenty.headroom.held_probability == pytest.approx(1.0)
    assert plenty.lost_orders == pytest.approx(0, abs=1)
    nothing = reserve(forecast, estimate(rate / 1000, 0.01))
    assert nothing.headroom.held_probability == pytest.approx(0.0, abs=1e-6)
    assert nothing.lost_orders == pytest.approx(nothing.orders, rel=0.12)
    tight = reserve(forecast, estimate(rate * 1.1, 0.05))
    failed = 1 - tight.headroom.held_probability
    assert tight.lost_if_not * failed == pytest.approx(tight.lost_orders)
    assert nothing.lost_if_not == pytest.approx(nothing.lost_orders)
    more = reserve(forecast, estimate(rate, 0.01), factor=1.2)
    assert more.headroom.ratio == pytest.approx(1 / 1.2)


@pytest.mark.parametrize(
    ("low", "high", "at_least", "colour"),
    [
        (0.98, 0.99, True, "green"), (0.9, 0.99, True, "amber"), (0.9, 0.95, True, "red"),
        (None, None, True, "amber"), (None, 0.9, True, "red"),
        (0.98, 0.99, False, "red"), (0.9, 0.99, False, "amber"), (0.9, 0.95, False, "green"),
        (0.99, None, False, "red"),
    ],
)  # fmt: skip
def test_a_colour_needs_the_whole_interval(low, high, at_least, colour):
    assert colour_of(0.95, low, high, 0.97, at_least=at_least) == colour
