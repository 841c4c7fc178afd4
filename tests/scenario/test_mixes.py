"""Published mixes against the figures they stand for."""

from __future__ import annotations

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import JOURNEYS, MIXES, PAGE_CHAINS, read_scenario
from doorbuster.scenario.customers.journeys import PAGE_STEPS


def visits_per_order(mix: str, step: str) -> float:
    weights = MIXES[mix]
    visits = sum(
        weight * sum(visit.visits for visit in JOURNEYS[name].steps if visit.step == step)
        for name, weight in weights.items()
    )
    return visits / weights["buy"]


def test_the_clickstream_mix_has_the_ratios_of_the_clickstreams():
    assert visits_per_order("clickstream", "product") == pytest.approx(38.2, rel=0.001)
    assert visits_per_order("clickstream", "add_to_basket") == pytest.approx(3.31)
    searches = visits_per_order("clickstream", "search") / visits_per_order("clickstream", "product")
    assert searches == pytest.approx(0.065, rel=0.01)


@pytest.mark.parametrize("name", MIXES)
def test_a_mix_names_journeys_that_exist(name):
    assert set(MIXES[name]) <= set(JOURNEYS)


def test_a_channel_takes_a_mix_by_its_name(valid_text):
    line = "channels: {web: {share: 100%, journeys: magento-frontend}}"
    text = "\n".join(line if old.startswith("channels:") else old for old in valid_text.splitlines())
    assert read_scenario(text).channels["web"].journey_ratios()["search"] == pytest.approx(0.30)
    with pytest.raises(ScenarioError, match=r"is not a published mix .*magento-frontend"):
        read_scenario(text.replace("magento-frontend", "magento-frontent"))


@pytest.mark.parametrize("name", PAGE_CHAINS)
def test_every_page_of_a_walk_is_a_step_and_a_visit_is_as_long_as_from_home_to_home(name):
    assert set(PAGE_CHAINS[name].pages) == set(PAGE_STEPS)
    assert JOURNEYS[f"tpcw_{name}"].requests == pytest.approx(PAGE_CHAINS[name].pages_between_homes)
