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
