"""docs/reference/scenario.md documents every key, name and metric, with defaults and tags."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from doorbuster.scenario import CHANNELS, JOURNEYS, METRICS, STEPS, read_scenario
from doorbuster.scenario.abort_rules import ABORT_RATES
from doorbuster.scenario.browsers import Browsers, BrowserStep
from doorbuster.scenario.customers.behaviour import PATIENCE, THINK_DISTRIBUTIONS, Patience
from doorbuster.scenario.customers.channels import Channel
from doorbuster.scenario.customers.devices import DEVICES, Device
from doorbuster.scenario.customers.failure_reactions import Offline, Reloads, Retries, WaitingRoom
from doorbuster.scenario.demand.curve_spec import Curve, Stage
from doorbuster.scenario.demand.demand import AnnualVolume, Demand
from doorbuster.scenario.demand.phases import PHASES
from doorbuster.scenario.freshness import Freshness
from doorbuster.scenario.model import DEFAULT_SEED, Scenario
from doorbuster.scenario.observation.observe import Observe, ObservedResource
from doorbuster.scenario.observation.source_settings import (
    CommandSettings,
    DatabaseSettings,
    ObservedSource,
    ProcessSettings,
    PrometheusSettings,
    ReceiverSettings,
    ScrapeSettings,
)
from doorbuster.scenario.safety import Safety
from doorbuster.scenario.target.content_checks import ContentRule
from doorbuster.scenario.target.embedded_shop import DependencyFault, Shop, WaitingRoomKeys
from doorbuster.scenario.target.target import STOREFRONTS, Target
from doorbuster.scenario.thresholds.language import ThresholdEntry
from doorbuster.scenario.thresholds.metrics import AGGREGATIONS
from doorbuster.shop_settings import (
    PROFILE_NAMES,
    ShopSettings,
    WaitingRoomSettings,
    scenario_key,
)

TEXT = (Path(__file__).parents[2] / "docs" / "reference" / "scenario.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)))
PREFIXES = {
    Shop: "shop.", DependencyFault: "faults.", WaitingRoomKeys: "shop.waiting_room.", AnnualVolume: "annual.",
    Device: "devices.", Reloads: "reloads.", Retries: "retries.",
    WaitingRoom: "waiting_room.", Offline: "offline.", Freshness: "freshness.", Browsers: "browsers.",
    BrowserStep: "browsers.journey.",
    Observe: "observe.", ObservedSource: "sources.", PrometheusSettings: "prometheus.",
    ScrapeSettings: "scrape.",
    ProcessSettings: "process.", DatabaseSettings: "databases.", CommandSettings: "command.",
    ReceiverSettings: "receivers.", ObservedResource: "resources.",
}  # fmt: skip
MODELS = [
    *(
        Scenario,
        Target,
        ContentRule,
        Shop,
        Demand,
        AnnualVolume,
        Curve,
        Stage,
        Channel,
        Patience,
        ThresholdEntry,
        Safety,
    ),
    *(Device, Reloads, Retries, WaitingRoom, Offline, DependencyFault, WaitingRoomKeys, Freshness),
    *(Observe, ObservedSource, PrometheusSettings, ScrapeSettings, ProcessSettings, DatabaseSettings),
    *(CommandSettings, ReceiverSettings, ObservedResource),
]
KEYS = [
    ("curve." if model is Curve else PREFIXES.get(model, "")) + key
    for model in MODELS
    for key in model.yaml_keys()
]


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_a_row(key):
    assert re.search(rf"^\| `{re.escape(key)}` \| \S", TEXT, re.MULTILINE)


NAMES = {
    *(
        *CHANNELS,
        *JOURNEYS,
        *STEPS,
        *METRICS,
        *PATIENCE,
        *PROFILE_NAMES,
        *STOREFRONTS,
        *ABORT_RATES,
        *THINK_DISTRIBUTIONS,
        *PHASES,
        *DEVICES,
    ),
    *("fail", "warn", "mean", "median", "sigma", "max", "expected_response"),
    *(name for names in AGGREGATIONS.values() for name in names),
    *(tag for metric in METRICS.values() for tag in metric.tags),
}


@pytest.mark.parametrize("word", sorted(NAMES))
def test_every_name_is_documented(word):
    assert word in WORDS


def test_the_table_of_metrics_is_that_of_the_registry():
    shown = {6: "all", 0: "none"}
    tags = {metric.name: shown.get(len(metric.tags), ", ".join(metric.tags)) for metric in METRICS.values()}
    rows = [
        f"| `{metric.name}` | {metric.kind} | {metric.meaning} | {tags[metric.name]} |\n"
        for metric in METRICS.values()
    ]

    assert "| metric | kind | meaning | tags |\n|---|---|---|---|\n" + "".join(rows) + "\n" in TEXT


@pytest.mark.parametrize("journey", sorted(JOURNEYS))
def test_every_journey_has_its_order_and_requests(journey):
    found = re.search(rf"^\| `{journey}` \| .+ \| (yes|no) \| ([\d.]+) \|$", TEXT, re.MULTILINE)

    assert found
    assert (found[1] == "yes") == JOURNEYS[journey].wants_order
    assert float(found[2]) == pytest.approx(JOURNEYS[journey].requests, rel=0.005)


def test_the_defaults_in_the_tables_are_the_real_ones(valid_text):
    plain = read_scenario(valid_text)
    described = read_scenario(
        valid_text.replace(
            "safety: {allow: [127.0.0.1]}",
            "safety: {allow: [127.0.0.1], max_rate: 1000 requests/s, max_in_flight: 20000,"
            " abort: {turned_away: 90% for 60s, http_req_failed: 95% for 30s}}\ndrain: 30s\nseed: 20041202",
        )
        .replace(
            "browse: 1}",
            "browse: 1}, patience: desktop, think: {lognormal: {median: 4s, sigma: 1.17, max: 70s}}",
        )
        .replace("curve:", "burstiness: 1, curve:")
        .replace("shop:", "storefront: reference, shop:")
    )

    assert described.with_source(None, "") == plain.with_source(None, "")
    assert f"`{DEFAULT_SEED}`" in TEXT


def test_the_example_block_of_thresholds_is_read(valid_text):
    block = yaml.safe_load(re.search(r"```yaml\n(thresholds:.+?)```", TEXT, re.DOTALL)[1])
    text = valid_text.replace('thresholds: {can_browse: ["rate>=99%"]}', yaml.safe_dump(block).rstrip())

    assert len(read_scenario(text).thresholds) == 4


@pytest.mark.parametrize("model", [ShopSettings, WaitingRoomSettings])
def test_the_rows_of_the_embedded_shop_are_those_of_its_settings(model):
    prefix = PREFIXES[Shop] if model is ShopSettings else PREFIXES[WaitingRoomKeys]
    for field in fields(model):
        setting = field.metadata["setting"]
        if setting.in_scenario:
            key, meaning = prefix + scenario_key(field.name), setting.help.removesuffix(".")
            assert f"| `{key}` | {meaning[0].lower()}{meaning[1:]}" in TEXT
            if isinstance(field.default, int | float) and not setting.default_text:
                assert re.search(
                    rf"^\| `{key}` .+ \| {re.escape(setting.shown(field.default))} \| ", TEXT, re.M
                )
