"""Channels and journeys that a scenario defines itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import describe_channel, estimate, override, plan_schedule, read_scenario

KIOSK = (Path(__file__).parent.parent / "workbench" / "scenarios" / "kiosk.yaml").read_text(encoding="utf-8")


def test_an_own_journey_counts_in_the_estimate():
    found = estimate(read_scenario(KIOSK))
    # 120 arrivals: 60 % kiosk, of whom 2 in 3 order in 5 steps; everybody else browses in 4 requests
    assert found.arrivals == pytest.approx(120)
    assert found.orders == pytest.approx(48)
    assert found.requests == pytest.approx(48 * 5 + 72 * 4)


def test_own_names_survive_an_override():
    changed = override(read_scenario(KIOSK), seed=9, no_retries=True)
    assert read_scenario(changed.source_text).journeys["kiosk_order"].wants_order
    assert describe_channel(changed.channels["kiosk"]) == ("self-service terminals in the stores",)


def test_arrivals_of_a_built_in_channel_do_not_depend_on_own_channels():
    demand = "demand: {peak: 9 customers/s, curve: {stages: [{for: 4s, at: 100%}]}}"
    text = KIOSK.replace("share: 40%", demand)
    one = plan_schedule(read_scenario(text.replace("share: 60%", "share: 100%")))
    other = plan_schedule(read_scenario(text.replace("share: 60%", demand)))

    def web(schedule):
        return [
            at_s
            for at_s, index in zip(schedule.intended_s, schedule.channel_journey_index, strict=True)
            if schedule.channel_journeys[index].channel == "web"
        ]

    assert web(one) == web(other)


WRONG = [
    ("description: self-service", "title: x # ", ["channels.kiosk is not a known channel"]),
    ("    patience: none\n", "", ["channels.kiosk needs patience"]),
    ("  web: {share", "  web: {description: x, share", ["channels.web.description is only for a channel"]),
    ("kiosk", "Kiosk", ["channels.Kiosk must be a name of lower-case letters"]),
    ("kiosk_order", "buy", ["journeys.buy is a built-in journey"]),
    ("kiosk_order: 2", "kiosk_ordr: 2", ["kiosk_ordr is not a known journey", "kiosk_order"]),
    ("loyalty_card: 1", "lambda: 1", ["steps.lambda must be a name"]),
    ("loyalty_card: 1", "loyalty_card: 0", ["steps.loyalty_card must be the mean number of visits"]),
    ("step:loyalty_card", "step:loyalty_crd", ['did you mean "loyalty_card"']),
    ("journey:kiosk_order", "journey:kiosk_ordr", ['did you mean "kiosk_order"']),
    ("products: 60, seed: 1}}", "products: 60}, rules: [{step: hom, contains: a}]}", ['did you mean "home"']),
]


@pytest.mark.parametrize(("old", "new", "expected"), WRONG)
def test_wrong_own_names_are_reported_with_a_way_out(old, new, expected):
    assert old in KIOSK
    with pytest.raises(ScenarioError) as caught:
        read_scenario(KIOSK.replace(old, new))
    for text in expected:
        assert text in str(caught.value)
