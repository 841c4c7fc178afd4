"""The target's source addresses: addresses of this machine, in the order given, each once."""

from __future__ import annotations

import pytest


def target(addresses: str) -> str:
    return f"target: {{shop: {{profile: replatformed}}, source_addresses: {addresses}}}"


def test_source_addresses_are_kept_in_order_and_each_once(scenario_with):
    scenario = scenario_with(2, target('[10.0.0.6, "fd00::5", 10.0.0.6, 10.0.0.5]'))
    assert scenario.target.source_addresses == ("10.0.0.6", "fd00::5", "10.0.0.5")


def test_without_the_key_the_choice_is_the_systems(scenario_with):
    assert scenario_with(2, "target: {shop: {profile: replatformed}}").target.source_addresses == ()


@pytest.mark.parametrize(
    ("addresses", "got"), [("[shop.example]", "shop.example"), ("[7]", "7"), ("[]", "an empty list")]
)
def test_an_invalid_source_address_is_rejected(problems_with, addresses, got):
    (problem,) = problems_with(2, target(addresses))
    assert "target.source_addresses must be a list of IP addresses of this machine" in problem
    assert f"got {got}" in problem


def shop_in(currency: str) -> str:
    return f'target: {{url: "http://127.0.0.1:8004", currency: {currency}}}'


@pytest.mark.parametrize(
    ("code", "text"), [("EUR", "€12.50"), ("JPY", "¥1,250"), ("KWD", "KWD 1.250"), ("SEK", "SEK 12.50")]
)
def test_a_currency_has_the_decimals_of_iso_4217(scenario_with, code, text):
    assert scenario_with(2, shop_in(code)).target.money.text_of(1250) == text


def test_the_default_currency_is_the_pound(scenario_with):
    assert scenario_with(2, 'target: {url: "http://127.0.0.1:8004"}').target.money.text_of(-5) == "-£0.05"


@pytest.mark.parametrize("code", ["EURO", "eur", "£", "XXX"])
def test_a_text_that_is_not_a_currency_is_rejected(problems_with, code):
    (problem,) = problems_with(2, shop_in(code))
    assert "target.currency" in problem


def test_the_embedded_shop_sells_in_pounds(problems_with):
    (problem,) = problems_with(2, "target: {shop: {profile: replatformed}, currency: EUR}")
    assert "target.currency must be GBP for the embedded shop (got EUR)" in problem
