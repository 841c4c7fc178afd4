"""Little's law by hand."""

from __future__ import annotations

import random

import pytest

from doorbuster.scenario import (
    JOURNEYS,
    PAGE_CHAINS,
    channels_exceeding_drain,
    estimate,
    load_scenario,
    read_scenario,
)
from doorbuster.scenario.customers.journeys import ORDER_STEPS

TEXT = """\
title: t
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, to: 100%}, {for: 20s, at: 100%}]}}
channels:
  web: {share: 50%, journeys: {browse: 1}, think: {constant: 2s}}
  store: {share: 50%, journeys: {pos_sale: 1}}
  phone: {seats: 6, journeys: {phone_order: 1}, think: {constant: 900ms}}
"""


def test_customers_at_once_follow_from_rate_and_visit():
    web, store, phone = estimate(read_scenario(TEXT), response_s=0.1).channel_journeys

    assert (web.channel, web.journey, web.wants_order) == ("web", "browse", False)
    assert web.requests_per_s == pytest.approx(5 * 4)
    assert web.visit_s == pytest.approx(4 * 0.1 + 3 * 2.0)
    assert web.in_shop == pytest.approx(5 * 6.4)
    assert store.in_shop == pytest.approx(5 * 0.1)
    assert phone.customers_per_s == pytest.approx(6 / (3 * 0.1 + 3 * 0.9))


def test_the_totals_are_the_sums_of_the_traffic_classes():
    found = estimate(read_scenario(TEXT), response_s=0.1)

    assert found.peak_customers_per_s == pytest.approx(10)
    assert found.arrivals == pytest.approx(250)
    assert found.peak_requests_per_s == pytest.approx(20 + 5 + 6)
    assert found.requests == pytest.approx(25 * 20 + 25 * 5 + 30 * 6)
    assert found.orders == pytest.approx(25 * 5 + 30 * 2)


def test_a_slower_shop_holds_more_people_and_serves_fewer_calls():
    quick, slow = (estimate(read_scenario(TEXT), response_s=s) for s in (0.1, 5.0))

    assert slow.channel_journeys[0].in_shop > quick.channel_journeys[0].in_shop
    assert slow.channel_journeys[0].requests_per_s == quick.channel_journeys[0].requests_per_s
    assert slow.channel_journeys[2].requests_per_s < quick.channel_journeys[2].requests_per_s


@pytest.mark.parametrize("response_s", [0.0, -1.0])
def test_an_answer_takes_time(response_s):
    with pytest.raises(ValueError, match="response_s must be > 0"):
        estimate(read_scenario(TEXT), response_s=response_s)


@pytest.mark.parametrize("name", ["ms-christmas-2004", "smoke"])
def test_the_bundled_scenarios_stay_below_their_limits(bundled_folder, name):
    scenario = load_scenario(name, search=[bundled_folder])
    found = estimate(scenario)

    assert found.peak_requests_per_s * 1.5 < scenario.safety.max_rate_per_s
    assert found.peak_in_shop < scenario.safety.max_in_flight


def test_no_more_are_in_the_shop_than_came():
    moment = TEXT.replace("{for: 10s, to: 100%}, {for: 20s, at: 100%}", "{for: 100ms, at: 100%}")
    found = estimate(read_scenario(moment), response_s=0.1)

    assert found.arrivals == pytest.approx(1)
    assert found.channel_journeys[0].in_shop == pytest.approx(5 * 6.4)
    assert found.peak_in_shop <= found.arrivals + 6


LONG = "{lognormal: {median: 4, sigma: 1.17, max: 30}}"
WEB = "web: {share: 100%, journeys: {JOURNEY: 1}, pages: PAGES, signed_in: 40%}"
VISITS = 20_000


def requests_of(journey: str, pages: str) -> float:
    """Mean requests of one customer, by the estimate."""
    web = WEB.replace("JOURNEY", journey).replace("PAGES", pages)
    text = TEXT[: TEXT.index("channels:")] + f"channels: {{{web}}}\n"
    (one,) = estimate(read_scenario(text)).channel_journeys
    return one.requests_per_s / one.customers_per_s


def draw_pages(rng: random.Random, pages: str) -> int:
    return int(pages) if pages.isdigit() else min(max(round(4 * rng.lognormvariate(0, 1.17)), 1), 30)


@pytest.mark.parametrize("pages", ["1", "3", LONG])
@pytest.mark.parametrize("mix", ["browsing", "shopping", "ordering"])
def test_the_requests_of_a_page_chain_match_a_simulation(mix, pages):
    rng, walk, lengths = random.Random(7), PAGE_CHAINS[mix], []
    for _ in range(VISITS):
        page, seen, enough = "home", 0, draw_pages(rng, pages)
        while not seen or page != "home" or seen < enough:
            seen += 1
            page = walk.after(page, rng)
        lengths.append(seen)
    mean = sum(lengths) / VISITS
    error = (sum((length - mean) ** 2 for length in lengths) / VISITS**2) ** 0.5
    assert requests_of(f"tpcw_{mix}", pages) == pytest.approx(mean, abs=3.5 * error)


def test_browsing_requests_follow_the_pages_and_their_maximum():
    rng = random.Random(7)
    mean = sum(draw_pages(rng, LONG) for _ in range(VISITS)) / VISITS
    assert requests_of("browse", LONG) == pytest.approx(2 + mean, rel=0.02)
    # each page is a product and its reviews
    assert requests_of("community_browse", LONG) == pytest.approx(1.1 + 2 * mean, rel=0.02)
    assert requests_of("browse", "5") == 7


def test_customers_with_an_account_sign_in_only_before_the_checkout():
    assert requests_of("buy", LONG) == pytest.approx(7.4)
    assert requests_of("abandon_basket", LONG) == pytest.approx(5)


@pytest.mark.parametrize("journey", [journey for journey in JOURNEYS.values() if journey.wants_order])
def test_a_journey_that_wants_an_order_tries_one(journey):
    assert sum(visits for step, visits in journey.steps if step in ORDER_STEPS) == 1


def test_journeys_that_order_sometimes_count_in_the_estimate():
    web = TEXT[: TEXT.index("channels:")] + "channels: {web: {share: 100%, journeys: {deep_link: 1}}}\n"
    assert estimate(read_scenario(web)).orders == pytest.approx(25.0)  # a tenth of 250


def test_visits_longer_than_the_drain_are_reported_with_their_duration():
    """Thirty pages with 2 s between them and a home page and a category before: 31 thinks and 32 answers."""
    web = f"web: {{share: 100%, journeys: {{browse: 1}}, pages: {LONG}, think: {{constant: 2s}}}}"
    text = TEXT[: TEXT.index("channels:")] + f"channels: {{{web}}}\n"
    assert channels_exceeding_drain(read_scenario(text + "drain: 60s\n")) == {
        "web": pytest.approx(32 * 0.1 + 31 * 2.0)
    }
    assert channels_exceeding_drain(read_scenario(text + "drain: 70s\n")) == {}


def test_the_drain_of_every_bundled_scenario_is_long_enough(bundled_folder):
    for path in bundled_folder.glob("*.yaml"):
        assert channels_exceeding_drain(load_scenario(path)) == {}, path.name
