"""Channels with their own demand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from doorbuster.capacity.load_step_scenario import RateLevel, load_step_text
from doorbuster.errors import ScenarioError
from doorbuster.scenario import arrival_rate_per_s, estimate, expected_customers, plan_schedule, read_scenario

TEXT = """\
title: the website opens the sale, the tills have their lunch hour
target: {shop: {profile: replatformed}}
demand: {peak: 40/s, curve: {stages: [{for: 100s, at: 100%}, {for: 100s, at: 10%}]}}
channels:
  web: {share: 75%, journeys: {browse: 3, buy: 1}}
  app: {share: 25%, journeys: {browse: 1}}
  store:
    demand: {peak: 10/s, curve: {stages: [{for: 150s, at: 20%}, {for: 50s, at: 100%}]}}
    journeys: {pos_sale: 1}
  phone: {seats: 5, journeys: {phone_order: 1}}
"""


@pytest.fixture(scope="module")
def scenario():
    return read_scenario(TEXT)


def test_customers_of_all_curves_are_expected(scenario):
    assert expected_customers(scenario) == pytest.approx(40 * 110 + 10 * 80)
    assert arrival_rate_per_s(scenario, [50.0, 125.0, 175.0]).tolist() == pytest.approx([42.0, 6.0, 14.0])


def test_each_channel_arrives_by_its_own_curve(scenario):
    plan = plan_schedule(scenario)
    store = plan.intended_s[
        np.isin(
            plan.channel_journey_index,
            [i for i, one in enumerate(plan.channel_journeys) if one.channel == "store"],
        )
    ]
    gaps = np.diff(scenario.channels["store"].demand.rate_curve.cumulative(store), prepend=0.0)
    assert stats.kstest(gaps, "expon").pvalue > 0.01
    assert (np.diff(plan.intended_s) >= 0).all()
    assert {one.channel for one in plan.channel_journeys} == {"web", "app", "store"}


def test_the_arrivals_of_a_channel_do_not_depend_on_the_others(scenario):
    def times(text, channel):
        plan = plan_schedule(read_scenario(text))
        own = [i for i, one in enumerate(plan.channel_journeys) if one.channel == channel]
        return plan.intended_s[np.isin(plan.channel_journey_index, own)]

    quiet = TEXT.replace("peak: 40/s", "peak: 4/s")
    assert times(TEXT, "store").tolist() == times(quiet, "store").tolist()
    busy = TEXT.replace("peak: 10/s", "peak: 90/s")
    assert times(TEXT, "web").tolist() == times(busy, "web").tolist()


def test_the_estimate_adds_up_at_the_busiest_moment(scenario):
    expected = estimate(scenario)
    channel_journeys = {(one.channel, one.journey): one for one in expected.channel_journeys}
    store, phone = channel_journeys["store", "pos_sale"], channel_journeys["phone", "phone_order"]
    web = sum(one.requests_per_s for one in expected.channel_journeys if one.channel in ("web", "app"))
    assert expected.peak_customers_per_s == pytest.approx(42.0)
    assert store.customers_per_s == pytest.approx(10.0)
    assert expected.peak_requests_per_s == pytest.approx(
        web + 0.2 * store.requests_per_s + phone.requests_per_s
    )
    buys = channel_journeys["web", "buy"].customers_per_s
    assert expected.orders == pytest.approx(buys * 110 + 10 * 80 + phone.customers_per_s * 200)


def test_a_load_step_keeps_the_channels_parts_of_the_busiest_moment(scenario):
    made = read_scenario(load_step_text(scenario, [RateLevel(21.0, 30.0)], url="http://127.0.0.1:1", seed=1))
    assert made.peak_per_s == pytest.approx(21.0)
    assert made.peak_rates_per_s == pytest.approx({"": 20.0, "store": 1.0})
    assert made.demands["store"].duration_s == made.demand.duration_s == 30.0


def test_every_channel_may_have_its_own_demand():
    alone = TEXT.replace("share: 75%", DEMAND).replace("share: 25%", DEMAND)
    scenario = read_scenario(alone)
    assert "" not in scenario.demands
    assert expected_customers(scenario) == pytest.approx(2 * 5 * 200 + 10 * 80)


DEMAND = "demand: {peak: 5/s, curve: {stages: [{for: 200s, at: 100%}]}}"


def test_a_clock_that_ends_at_another_time_is_refused_at_its_place():
    with pytest.raises(ScenarioError) as caught:
        read_scenario(TEXT.replace("{for: 50s, at: 100%}", "{for: 90s, at: 100%}"))
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (8, "channels.store.demand")
    assert "must last as long as the demand of the scenario, 3m20s" in problem.rule
