"""Headroom against closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doorbuster.capacity.headroom import PositiveEstimate, headroom

Z = 1.959963984540054


def test_certain_numbers_give_a_certain_answer():
    found = headroom(PositiveEstimate(20.0, 20.0, 20.0), PositiveEstimate(10.0, 10.0, 10.0))
    assert (found.ratio, found.low, found.high, found.held_probability) == (2.0, 2.0, 2.0, 1.0)
    assert (
        headroom(PositiveEstimate(9.0, 9.0, 9.0), PositiveEstimate(10.0, 10.0, 10.0)).held_probability == 0.0
    )


def test_relative_errors_add_as_squares():
    found = headroom(PositiveEstimate(100.0, 100 / 1.3, 130.0), PositiveEstimate(50.0, 50 / 1.4, 70.0))
    width = math.hypot(math.log(1.3), math.log(1.4))
    assert (found.low, found.high) == pytest.approx((2 * math.exp(-width), 2 * math.exp(width)))


def test_demand_as_large_as_capacity_is_a_toss_up():
    found = headroom(PositiveEstimate(10.0, 9.0, 11.0), PositiveEstimate(10.0, 8.0, 12.0))
    assert found.held_probability == 0.5


def test_the_probability_is_that_of_two_log_normal_numbers():
    rng = np.random.default_rng(1)
    capacity = 77.0 * np.exp(rng.normal(0, 0.05, 200_000))
    demand = 70.0 * np.exp(rng.normal(0, 0.12, 200_000))
    found = headroom(
        PositiveEstimate(77.0, 77 * math.exp(-0.05 * Z), 77 * math.exp(0.05 * Z)),
        PositiveEstimate(70.0, 70 * math.exp(-0.12 * Z), 70 * math.exp(0.12 * Z)),
    )
    assert found.held_probability == pytest.approx(np.mean(capacity >= demand), abs=0.004)
    assert (found.low, found.high) == pytest.approx(np.quantile(capacity / demand, [0.025, 0.975]), rel=0.005)


def test_only_the_halves_that_face_each_other_matter():
    narrow = headroom(PositiveEstimate(20.0, 18.0, 20.0), PositiveEstimate(10.0, 10.0, 11.0))
    wide = headroom(PositiveEstimate(20.0, 18.0, 90.0), PositiveEstimate(10.0, 2.0, 11.0))
    assert narrow.low == wide.low
    assert narrow.held_probability == wide.held_probability
    assert wide.high > narrow.high


def test_a_shop_that_did_not_give_in_has_no_upper_end_and_cannot_be_said_to_fail():
    found = headroom(PositiveEstimate(20.0, 20.0, None, at_least=True), PositiveEstimate(15.0, 12.0, 18.0))
    assert found.at_least
    assert found.high is None
    assert found.held_probability > 0.97
    above = headroom(PositiveEstimate(14.0, 14.0, None, at_least=True), PositiveEstimate(15.0, 12.0, 18.0))
    assert above.held_probability is None


def test_unknown_ends_leave_unknown_answers():
    found = headroom(PositiveEstimate(20.0, None, 25.0), PositiveEstimate(15.0, 12.0, 18.0))
    assert (found.low, found.held_probability) == (None, None)
    assert found.high is not None


@given(st.floats(0.1, 1e5), st.floats(1.01, 3.0), st.floats(0.1, 1e5), st.floats(1.01, 3.0))
def test_more_likely_than_not_exactly_when_the_ratio_is_above_one(capacity, c_factor, demand, d_factor):
    found = headroom(
        PositiveEstimate(capacity, capacity / c_factor, capacity * c_factor),
        PositiveEstimate(demand, demand / d_factor, demand * d_factor),
    )
    assert found.low <= found.ratio <= found.high
    assert (found.held_probability >= 0.5) == (found.ratio >= 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "value must be above 0 (got 0.0)"),
        ((5.0, 6.0), "low must be above 0 and at most the value 5.0 (got 6.0)"),
        ((5.0, 4.0, 4.5), "high must be at least the value 5.0 (got 4.5)"),
    ],
)
def test_senseless_intervals_are_refused(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        PositiveEstimate(*arguments)
    assert str(caught.value) == message
