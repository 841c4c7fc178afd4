"""Numbers that are not known exactly: how they are written, and what they come to together."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.parsing.value_range import ValueRange, product

CURVE = {"stages": [{"for": "1h", "at": "100%"}]}


def demand(**how_many: object) -> Demand:
    return Demand.model_validate({"curve": CURVE, **how_many})


def test_a_plain_number_has_no_interval():
    found = demand(peak="13.3 customers/s")
    assert (found.peak_per_s, found.interval_per_s) == (13.3, None)


@pytest.mark.parametrize("text", ["10..40 customers/s", "10/s..40/s", "600/min .. 2400/min"])
def test_a_run_sends_the_middle_of_a_range(text):
    found = demand(peak=text)
    assert found.peak_per_s == pytest.approx(20)
    assert found.interval_per_s == pytest.approx((10, 40))


def test_growth_of_5_to_15_percent_is_an_interval_of_the_peak():
    found = demand(
        annual={"visits": "24m", "peak_day_share": "2%", "peak_hour_share": "10%", "growth": "5..15%"}
    )
    assert found.interval_per_s == pytest.approx((40 / 3 * 1.05, 40 / 3 * 1.15))
    assert found.peak_per_s == pytest.approx(40 / 3 * math.sqrt(1.05 * 1.15))


def test_independent_factors_of_two_make_a_factor_of_less_than_four():
    middle, interval = product([ValueRange(1, 4), ValueRange(2, 8), ValueRange(3, 3)])
    assert middle == pytest.approx(2 * 4 * 3)
    assert interval.high / middle == pytest.approx(2 ** math.sqrt(2))
    assert middle / interval.low == pytest.approx(2 ** math.sqrt(2))


def test_growth_may_begin_below_nothing():
    year = {"visits": "24m", "peak_day_share": "2%", "peak_hour_share": "10%", "growth": "-5%..5%"}
    assert demand(annual=year).interval_per_s == pytest.approx((40 / 3 * 0.95, 40 / 3 * 1.05))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("16..10 customers/s", "must start with the lower end"),
        ("..10 customers/s", 'must be one value, or two such as "5%..15%"'),
        ("1..2..3 customers/s", 'must be one value, or two such as "5%..15%"'),
        ("10..2000000 customers/s", "must be at most 1,000,000 customers/s"),
    ],
    ids=["backwards", "no number", "three ends", "too many"],
)
def test_an_invalid_range_is_rejected(text, rule):
    with pytest.raises(ValidationError) as caught:
        demand(peak=text)
    assert rule in str(caught.value)


def test_a_share_that_may_be_nothing_is_refused():
    with pytest.raises(ValidationError, match="must be above 0 at both ends"):
        demand(annual={"visits": "24m", "peak_day_share": "0%..2%", "peak_hour_share": "10%"})
