"""The embedded shop in a scenario: its settings reach the shop, and its faults are validated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import override
from doorbuster.shop_settings import ShopSettings, WaitingRoomSettings

EVERY_KEY = """target: {shop: {profile: replatformed, workers: 2, query_time: 5ms,
  warehouse_rate: 2 orders/s,
  products: 100, seed: 3, opening_stock: 5, queue_limit: 9, payment_time: 300ms, notify: 7, sync_lag: 2s,
  warm_cache: true, holding_page: 30s, waiting_room: {admit: 5 customers/s, active: 20, style: queue-it,
  status: 429, poll: 3s, stay: 90s},
  faults: [{dependency: payment, at: 30s, for: 20s, slow: 2s, fail: 30%}]}}"""


def test_every_setting_reaches_the_shop(scenario_with):
    shop = scenario_with(2, EVERY_KEY).target.shop

    assert shop.settings == ShopSettings(
        profile="replatformed", workers=2, query_time_s=0.005, warehouse_rate_per_s=2.0, products=100, seed=3,
        opening_stock=5, queue_limit=9, payment_time_s=0.3, notify=7, sync_lag_s=2.0, warm_cache=True,
        holding_page_s=30.0,
        waiting_room=WaitingRoomSettings(
            admit_per_s=5.0, active=20, style="queue-it", status=429, poll_s=3.0, stay_s=90.0
        ),
    )  # fmt: skip


def test_a_setting_beyond_the_bounds_of_the_shop_is_named_at_its_place(scenario_with):
    with pytest.raises(ScenarioError, match=r"query_time must be between 0 ms and 10 s \(got 1m\)"):
        scenario_with(2, "target: {shop: {profile: replatformed, query_time: 1m}}")


def test_a_shop_without_settings_is_started_as_it_is(scenario_with):
    shop = scenario_with(2, "target: {shop: {profile: in-house-2004}}").target.shop

    assert shop.settings == ShopSettings(profile="in-house-2004")


def test_another_profile_keeps_every_setting(scenario_with):
    scenario = scenario_with(2, EVERY_KEY)

    other = override(scenario, profile="in-house-2004").target.shop

    before = scenario.target.shop
    assert other.settings == replace(before.settings, profile="in-house-2004")
    assert other.faults == before.faults


def test_a_fault_is_sent_to_the_shop_in_its_format(scenario_with):
    (fault,) = scenario_with(2, EVERY_KEY).target.shop.faults

    assert fault.wire == {
        "dependency": "payment",
        "at_s": 30.0,
        "for_s": 20.0,
        "slow_s": 2.0,
        "fail_ratio": 0.3,
    }
    assert fault.sentence == "payment 2 s slower and failing for 30% of calls for 20 s"


@pytest.mark.parametrize(
    ("written", "described"),
    [
        ("faults: [{dependency: tax, for: 1s, slow: 1s}]", "dependency must be a known dependency (got tax)"),
        ("faults: [{dependency: mail, for: 1s}]", 'needs "slow", "fail" or both'),
        ("faults: [{dependency: mail, for: 1s, slow: 2h}]", "slow must be between 0 ms and 1h (got 2h)"),
        ("faults: [{dependency: mail, slow: 1s}]", "for is missing"),
        ("faults: [{dependency: mail, for: 1s, fail: 30}]", "fail must be between 0% and 100% (got 30)"),
        ("waiting_room: {active: 3}", "admit is missing"),
        ("waiting_room: {admit: 1/s, status: 201}", "status must be 200, 202 or 429 (got 201)"),
        ("waiting_room: {admit: 1/s, style: rope}", "style must be a known style (got rope)"),
        ("warm_cache: 1", "warm_cache must be true or false (got 1)"),
    ],
)
def test_invalid_settings_have_locations(scenario_with, written, described):
    with pytest.raises(ScenarioError) as refused:
        scenario_with(2, f"target: {{shop: {{profile: replatformed, {written}}}}}")

    assert described in str(refused.value)
