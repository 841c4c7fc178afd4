"""Little's law by hand."""

from __future__ import annotations

import pytest

from doorbuster.scenario import estimate, load_scenario, read_scenario

TEXT = """\
title: t
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, to: 100%}, {for: 20s, at: 100%}]}}
channels:
  web: {share: 50%, journeys: {browse: 1}, think: {constant: 2s}}
  store: {share: 50%, journeys: {till_sale: 1}}
  phone: {seats: 6, journeys: {phone_order: 1}, think: {constant: 900ms}}
"""


def test_customers_at_once_follow_from_rate_and_visit():
    web, store, phone = estimate(read_scenario(TEXT), response_s=0.1).lanes

    assert (web.channel, web.journey, web.wants_order) == ("web", "browse", False)
    assert web.requests_per_s == pytest.approx(5 * 4)
    assert web.visit_s == pytest.approx(4 * 0.1 + 3 * 2.0)
    assert web.in_shop == pytest.approx(5 * 6.4)
    assert store.in_shop == pytest.approx(5 * 0.1)
    assert phone.customers_per_s == pytest.approx(6 / (3 * 0.1 + 3 * 0.9))


def test_the_totals_are_the_sums_of_the_lanes():
    found = estimate(read_scenario(TEXT), response_s=0.1)

    assert found.peak_customers_per_s == pytest.approx(10)
    assert found.arrivals == pytest.approx(250)
    assert found.peak_requests_per_s == pytest.approx(20 + 5 + 6)
    assert found.requests == pytest.approx(25 * 20 + 25 * 5 + 30 * 6)
    assert found.orders == pytest.approx(25 * 5 + 30 * 2)


def test_a_slower_shop_holds_more_people_and_serves_fewer_calls():
    quick, slow = (estimate(read_scenario(TEXT), response_s=s) for s in (0.1, 5.0))

    assert slow.lanes[0].in_shop > quick.lanes[0].in_shop
    assert slow.lanes[0].requests_per_s == quick.lanes[0].requests_per_s
    assert slow.lanes[2].requests_per_s < quick.lanes[2].requests_per_s


@pytest.mark.parametrize("response_s", [0.0, -1.0])
def test_an_answer_takes_time(response_s):
    with pytest.raises(ValueError, match="response_s must be > 0"):
        estimate(read_scenario(TEXT), response_s=response_s)


@pytest.mark.parametrize("name", ["ms-christmas-2004", "smoke"])
def test_the_shipped_scenarios_stay_below_their_ceilings(shipped_folder, name):
    scenario = load_scenario(name, search=[shipped_folder])
    found = estimate(scenario)

    assert found.peak_requests_per_s * 1.5 < scenario.safety.max_rate_per_s
    assert found.peak_in_shop < scenario.safety.max_in_flight


def test_no_more_are_in_the_shop_than_came():
    moment = TEXT.replace("{for: 10s, to: 100%}, {for: 20s, at: 100%}", "{for: 100ms, at: 100%}")
    found = estimate(read_scenario(moment), response_s=0.1)

    assert found.arrivals == pytest.approx(1)
    assert found.lanes[0].in_shop == pytest.approx(5 * 6.4)
    assert found.peak_in_shop <= found.arrivals + 6
