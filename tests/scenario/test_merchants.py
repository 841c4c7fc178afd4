"""Merchants of channels, and the errors of invalid ones."""

from __future__ import annotations

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import describe_channel, override, read_scenario

TEXT = """\
title: t
target: {shop: {profile: replatformed, merchants: [north, south]}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}
channels:
  web: {share: 50%, merchant: north, journeys: {browse: 1}}
  app: {share: 50%, merchant: south, journeys: {browse: 1}}
"""
ROOMS = "must be a list of 2 to 8 different names of lower-case letters, digits and -, such as [north, south]"


def problem(old: str, new: str) -> str:
    assert old in TEXT
    with pytest.raises(ScenarioError) as caught:
        read_scenario(TEXT.replace(old, new))
    (line,) = str(caught.value).splitlines()
    return line.partition(":")[2]


def test_channels_visit_the_merchants_of_the_shop():
    scenario = read_scenario(TEXT)
    assert {name: channel.merchant for name, channel in scenario.channels.items()} == {
        "web": "north",
        "app": "south",
    }
    assert scenario.target.shop.settings.merchants == ("north", "south")
    assert describe_channel(scenario.channels["web"]) == ("customers visit the shop of north",)


def test_another_design_keeps_the_merchants():
    assert override(read_scenario(TEXT), profile="in-house-2004").target.shop.merchants == (
        "north",
        "south",
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[north, south]", "[north]", f"2:51: target.shop.merchants {ROOMS} (got a list of 1)"),
        ("[north, south]", "[north, north]", f"2:51: target.shop.merchants {ROOMS} (got a list of 2)"),
    ],
)
def test_merchants_are_several_different_names(old, new, said):
    with pytest.raises(ScenarioError) as caught:
        read_scenario(TEXT.replace(old, new))
    assert said in str(caught.value)


def test_a_channel_must_name_a_merchant():
    described = problem(" merchant: south,", "")
    assert described == "6:3: channels.app must name a merchant; add merchant: north"


def test_an_unknown_merchant_is_reported_with_the_closest_name():
    described = problem("merchant: south", "merchant: suoth")
    assert described.startswith(
        "6:31: channels.app.merchant is not in target.shop.merchants (got suoth); did you mean"
    )


def test_a_merchant_without_a_channel_is_an_error():
    described = problem("merchant: south", "merchant: north")
    assert described == "2:51: target.shop.merchants has a merchant that no channel names (got south)"


def test_a_channel_cannot_name_a_merchant_without_merchants():
    with pytest.raises(ScenarioError, match="not in target"):
        read_scenario(TEXT.replace(", merchants: [north, south]", ""))


def test_freshness_looks_at_one_shop_only():
    with pytest.raises(ScenarioError, match="cannot be measured with"):
        read_scenario(TEXT + "freshness: {every: 5s}\n")


def test_a_single_shop_at_an_address_has_no_merchants():
    with pytest.raises(ScenarioError, match="not in target"):
        override(read_scenario(TEXT), url="http://127.0.0.1:8004")


@pytest.mark.parametrize("value", ["[north]", "{a: b}", "7", "true"])
def test_a_merchant_that_is_not_a_text_is_a_problem_with_its_place(value):
    said = problem("merchant: north", f"merchant: {value}")
    assert said.startswith("5:31: channels.web.merchant must be text")
