"""A load step is the same scenario with other customers, as a text that reads back."""

from __future__ import annotations

import pytest
import yaml

from doorbuster.capacity.load_step_scenario import RateLevel, concurrency_text, load_step_text
from doorbuster.scenario import find_phases, load_scenario, read_scenario


def without_demand(scenario):
    return {
        name: channel.model_copy(update={"demand": None, "merchant": None})
        for name, channel in scenario.channels.items()
    }


def test_a_load_step_keeps_everything_but_demand_merchants_target_and_seed(bundled_folder):
    for path in bundled_folder.glob("*.yaml"):
        whole = load_scenario(path)
        text = load_step_text(whole, [RateLevel(12.5, 40.0)], url="http://127.0.0.1:8080", seed=7)
        made = read_scenario(text)
        assert without_demand(made) == without_demand(whole)
        assert (made.safety, made.drain_s) == (whole.safety, whole.drain_s)
        assert made.peak_per_s == pytest.approx(12.5)
        assert (made.demand.duration_s, made.seed, made.target.url) == (40.0, 7, "http://127.0.0.1:8080")
        assert made.demand.burstiness == whole.demand.burstiness
        assert [str(at) for at in made.thresholds] == [str(at) for at in whole.thresholds]
        assert [phase.name for phase in find_phases(made.demand.rate_curve)] == ["peak"]


def test_an_overload_comes_first(valid_text):
    text = load_step_text(
        read_scenario(valid_text),
        [RateLevel(40.0, 5.0), RateLevel(10.0, 20.0)],
        url="http://127.0.0.1:1",
        seed=1,
    )
    curve = read_scenario(text).demand.rate_curve
    assert curve.at_per_s([2.0, 10.0]).tolist() == pytest.approx([40.0, 10.0])


def test_a_load_step_drops_thresholds_on_phases_and_sections(scenario_with):
    scenario = scenario_with(
        5,
        "thresholds: {'can_browse{phase:peak}': 'rate>=99%', latency.apdex: 'value>0.9', served: 'rate>=9%'}",
    )
    text = load_step_text(scenario, [RateLevel(1.0, 5.0)], url="http://127.0.0.1:1", seed=1)
    assert [str(threshold) for threshold in read_scenario(text).thresholds] == ["served: rate>=9%"]


def test_a_sweep_has_only_the_looping_customers_of_one_channel(bundled_folder):
    whole = load_scenario(bundled_folder / "smoke.yaml")
    text = concurrency_text(whole, "web", 8, for_s=12.0, url="http://127.0.0.1:8080", seed=7)
    made = read_scenario(text)
    assert list(made.channels) == ["web"]
    assert made.channels["web"].seats == 8
    assert made.channels["web"].journeys == whole.channels["web"].journeys
    assert made.channels["web"].think == whole.channels["web"].think
    assert (made.demand.duration_s, made.seed, made.thresholds) == (12.0, 7, ())


def test_a_load_step_keeps_everything_else_of_the_target(valid_text):
    document = yaml.safe_load(valid_text)
    document["target"] = {
        "url": "http://127.0.0.1:1", "headers": {"X-Api-Key": "${KEY}"}, "currency": "EUR",
        "request_id_header": "none", "assets": "all", "source_addresses": ["127.0.0.5"],
    }  # fmt: skip
    scenario = read_scenario(yaml.safe_dump(document))
    for text in (
        load_step_text(scenario, [RateLevel(5, 10)], url="http://127.0.0.1:2", seed=1),
        concurrency_text(scenario, "web", 3, for_s=10, url="http://127.0.0.1:2", seed=1),
    ):
        target = read_scenario(text).target
        assert target == scenario.target.model_copy(update={"url": "http://127.0.0.1:2"})


def test_a_load_step_keeps_the_content_rules(valid_text):
    scenario = read_scenario(valid_text)
    document = yaml.safe_load(valid_text)
    document["target"]["rules"] = [{"step": "product", "contains": "Add to basket"}]
    ruled = read_scenario(yaml.safe_dump(document))
    for text in (
        load_step_text(ruled, [RateLevel(10.0, 20.0)], url="http://127.0.0.1:1", seed=1),
        concurrency_text(
            ruled, next(iter(scenario.channels)), 2, for_s=5.0, url="http://127.0.0.1:1", seed=1
        ),
    ):
        assert read_scenario(text).target.content_rules == ruled.target.content_rules
