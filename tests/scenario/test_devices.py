"""Devices, page counts and other visit properties follow the configured shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from doorbuster.scenario import (
    Device,
    PageDepth,
    describe_channel,
    devices_given,
    estimate,
    ordering_shares,
    override,
)
from doorbuster.scenario.customers.devices import DEVICES, parse_pages

DESCRIPTION = """\
35 % use desktop (14.8 % of those want to order), 65 % use mobile (7.41 % of those want to order)
a visit views 7.59 product pages on average (median 4, maximum 60)
30 % of the visits use unique URLs, which miss every cache
40 % have an account, the others are guests
clients make up to 3 attempts per request, each of at most 500 ms, with a backoff of 100 ms that \
doubles; if all of them fail, the shop receives 3 times the requests
80 % of the customers reload a busy or error page after 30 s, at most 20 times; customers whose \
patience ends reload at once
in a waiting room, customers leave after 10m
no network from 2 s to 5 s of the run; orders are sent afterwards, all at once"""
CHANNEL = """channels:
  web: {{share: 100%, journeys: {{browse: 90, buy: 10}}, {}}}"""


@given(
    shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=3),
    conversions=st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    order_ratio=st.floats(0, 1),
)
def test_devices_keep_their_shares_and_relative_conversion(shares, conversions, order_ratio):
    devices = {
        name: Device(share=share / sum(shares), conversion=conversion)
        for name, share, conversion in zip(DEVICES, shares, conversions, strict=False)
    }
    orders = ordering_shares(devices, order_ratio)
    assume(max(orders.values()) <= 1)
    ordering = devices_given(devices, order_ratio, wants_order=True)
    other = devices_given(devices, order_ratio, wants_order=False)
    for name, device in devices.items():
        total = order_ratio * ordering[name] + (1 - order_ratio) * other[name]
        assert total == pytest.approx(device.share_ratio, abs=1e-9)
        assert order_ratio * ordering[name] == pytest.approx(device.share_ratio * orders[name], abs=1e-9)
    first = next(iter(devices))
    for name, device in devices.items():
        expected = orders[first] * device.conversion
        assert orders[name] * devices[first].conversion == pytest.approx(expected, abs=1e-9)


def test_mobile_visits_convert_half_as_often_and_are_two_thirds_of_all():
    devices = {"desktop": Device(share=0.35), "mobile": Device(share=0.65, conversion=0.5)}
    assert ordering_shares(devices, 0.1) == pytest.approx({"desktop": 0.1 / 0.675, "mobile": 0.05 / 0.675})


def test_a_device_with_more_orders_than_visits_is_an_error(problems_with):
    devices = "{desktop: 50%, mobile: {share: 50%, conversion: 50%}}"
    text = f"channels: {{web: {{share: 100%, journeys: {{buy: 1}}, devices: {devices}}}}}"
    message = (
        "is impossible: 1 of all visits of this channel want to order (got 133.3% of the visits by desktop)"
    )
    assert any(message in problem for problem in problems_with(4, text))


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ("{desktop: 50%, mobile: 40%}", "must have shares that sum to 100% (got 90%)"),
        ("{deskop: 100%}", 'is not a known device; did you mean "desktop"?'),
        ("{desktop: 120%}", "must be between 0% and 100% (got 120%)"),
        ("{desktop: {share: 100%, conversion: 0%}}", "must have a device with a conversion above 0% ("),
        ("{desktop: {conversion: 50%}}", "is missing"),
        ("[desktop]", "must be a mapping of devices to shares"),
    ],
)
def test_errors_of_devices_have_locations(problems_with, devices, message):
    problems = problems_with(4, CHANNEL.format(f"devices: {devices}"))
    assert any(message in problem for problem in problems)
    assert all(problem.startswith("5:") for problem in problems)


def test_a_device_uses_its_own_patience_then_the_channels_then_its_default(scenario_with):
    three = "devices: {desktop: 30%, mobile: 60%, tablet: {share: 10%, patience: none}}"
    plain = scenario_with(4, CHANNEL.format(three)).channels["web"]
    assert (plain.patience_for("desktop").tau_s, plain.patience_for("mobile").tau_s) == (4.7, 3.6)
    assert plain.patience_for("tablet") is None
    said = scenario_with(4, CHANNEL.format(f"{three}, patience: {{tau: 9s}}")).channels["web"]
    assert (said.patience_for("desktop").tau_s, said.patience_for("mobile").tau_s) == (9, 9)
    assert said.patience_for("tablet") is None


@pytest.mark.parametrize(
    "pages", [PageDepth(median=4, sigma=1.17, max_pages=60), PageDepth(median=1, sigma=0.5, max_pages=3)]
)
def test_the_mean_of_pages_is_that_of_their_draws(pages):
    rng = np.random.default_rng(1)
    drawn = np.clip(np.rint(rng.lognormal(np.log(pages.median), pages.sigma, 400_000)), 1, pages.max_pages)
    assert pages.mean == pytest.approx(drawn.mean(), rel=0.01)


def test_pages_may_be_a_plain_number(scenario_with):
    assert scenario_with(4, CHANNEL.format("pages: 3")).channels["web"].pages.mean == 3


@pytest.mark.parametrize("raw", [0, 2.5, "many", {"lognormal": {"median": 4}}, {"normal": {}}, [1, 2]])
def test_pages_that_make_no_sense_are_refused(raw):
    with pytest.raises(Exception, match=r"page|missing|whole|law|between"):
        parse_pages(raw)


def test_the_estimate_reckons_with_the_pages_and_not_with_reloads(scenario_with):
    plain, long, insisting = (
        estimate(scenario_with(4, CHANNEL.format(keys)))
        for keys in ("pages: 2", "pages: 12", "reloads: {after: 1s}, retries: {attempts: 9}")
    )
    assert long.requests - plain.requests == pytest.approx(plain.arrivals * 0.9 * 10)
    assert insisting.requests == plain.requests


def test_a_scenario_without_retries_is_the_same_but_for_them(scenario_with):
    both = scenario_with(4, CHANNEL.format("reloads: {after: 1s}, retries: {attempts: 9}, pages: 3"))
    plain = override(both, no_retries=True)
    assert override(plain, seed=3).channels["web"].retries is None
    kept = {"reloads": None, "retries": None}
    assert plain.channels["web"] == both.channels["web"].model_copy(update=kept)


def test_an_offline_period_must_end_before_the_run(problems_with):
    text = "channels: {store: {share: 100%, journeys: {pos_sale: 1}, offline: {from: 8s, for: 5s}}}"
    found = problems_with(4, text)
    assert any("must end before the run, which takes 10 s (got until 13 s)" in text for text in found)


def test_every_behaviour_has_a_description(scenario_with):
    keys = (
        "devices: {desktop: 35%, mobile: {share: 65%, conversion: 50%}}, cache_busting: 30%, signed_in: 40%, "
        "pages: {lognormal: {median: 4, sigma: 1.17, max: 60}}, waiting_room: {patience: 10m}, "
        "reloads: {after: 30s, share: 80%, when_slow: true}, retries: {attempts: 3, timeout: 500ms}, "
        "offline: {from: 2s, for: 3s}"
    )
    described = describe_channel(scenario_with(4, CHANNEL.format(keys)).channels["web"])
    assert "\n".join(described) == DESCRIPTION
