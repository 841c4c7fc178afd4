"""A valid scenario: all spellings parsed, defaults filled in, frozen."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from doorbuster.errors import ScenarioError
from doorbuster.scenario import (
    JOURNEYS,
    STEPS,
    Constant,
    Exponential,
    Lognormal,
    Patience,
    Uniform,
    expected_customers,
    find_scenario,
    load_scenario,
    override,
    read_scenario,
)
from doorbuster.scenario.customers.channels import CHANNELS, DEFAULT_PATIENCE

DESIGN = """\
title: "M&S, 2 December 2004: the one-day Christmas sale"
story: 24 million visits a year meet a 20 % sale; the site stops for hours, then is too slow to order.
target: {storefront: reference, shop: {profile: in-house-2004}}     # or url: https://staging.example.com
demand:
  peak: 13.3 customers/s          # 24m/yr x 2 % on the peak day x 10 % in the peak hour [source]
  curve: {stages: [{for: 1h, to: 20%}, {for: 30m, to: 100%}, {for: 4h, at: 100%}, {for: 2h, to: 30%}]}
  compress: 7h30m -> 90s          # time is compressed, rates are not
  burstiness: 1.7                 # index of dispersion at 1 s [source]
channels:
  web:
    share: 78%
    journeys: {browse: 55, search: 25, buy: 5, abandon_basket: 15}
    patience: desktop
    think: {lognormal: {median: 4s, sigma: 1.17}}
  phone: {seats: 12, journeys: {phone_order: 70, order_status: 30}}
  store: {share: 22%, journeys: {pos_sale: 100}, patience: none}
thresholds:
  can_order: ["rate>=99%"]
  "http_req_duration{step:checkout}":
    ["p(95)<3s", {threshold: "p(99)<10s", abortOnFail: true, delayAbortEval: 30s}]
  oversold_units: ["count==0"]
safety: {allow: [127.0.0.1], max_rate: 500 requests/s, abort: {turned_away: 90% for 60s}}
"""


@pytest.fixture
def design():
    return read_scenario(DESIGN, file="design.yaml")


def test_every_key_of_the_example_is_read(design):
    assert design.demand.peak_per_s == 13.3
    assert (design.demand.compress.from_s, design.demand.compress.to_s) == (27000.0, 90.0)
    assert design.demand.burstiness == 1.7
    assert design.demand.duration_s == 90.0
    assert design.channels["web"].share_ratio == pytest.approx(0.78)
    assert design.channels["web"].patience == Patience(tau="4.7s", shape=1.5)
    assert design.channels["web"].think == Lognormal(median_s=4.0, sigma=1.17)
    assert design.channels["phone"].seats == 12
    assert not design.channels["phone"].is_open
    assert design.channels["store"].patience is None
    assert design.safety.allow == ("127.0.0.1",)
    assert design.safety.max_rate_per_s == 500.0
    assert design.safety.max_in_flight == 20_000
    assert design.safety.abort["turned_away"].ratio == 0.9
    assert design.safety.abort["turned_away"].for_s == 60.0
    assert (design.seed, design.drain_s) == (20041202, 30.0)


def test_the_area_of_the_design_curve_gives_its_customers(design):
    area_h = 1 * 0.1 + 0.5 * 0.6 + 4 * 1.0 + 2 * 0.65

    assert expected_customers(design) == pytest.approx(13.3 * area_h / 7.5 * 90)


def test_a_scenario_cannot_be_changed(design):
    with pytest.raises(ValidationError):
        design.title = "another"
    with pytest.raises(ValidationError):
        design.demand.burstiness = 2.0


def test_a_scenario_remembers_its_file_and_text(tmp_path):
    path = tmp_path / "design.yaml"
    path.write_text(DESIGN)

    scenario = load_scenario("design", search=[tmp_path])

    assert scenario.source_path == path
    assert scenario.source_text == DESIGN
    assert scenario.thresholds[3].source == f"{path}:21:20"


def test_a_path_takes_precedence_over_a_bundled_name(tmp_path, monkeypatch):
    shipped = tmp_path / "shipped"
    shipped.mkdir()
    (shipped / "peak.yaml").write_text(DESIGN)
    (tmp_path / "peak.yaml").write_text(DESIGN)
    monkeypatch.chdir(tmp_path)

    assert find_scenario("peak.yaml", [shipped]).resolve() == tmp_path / "peak.yaml"
    assert find_scenario("peak", [shipped]) == shipped / "peak.yaml"


@pytest.mark.parametrize(
    ("text", "think", "mean_s"),
    [
        ("{constant: 2s}", Constant(constant_s=2.0), 2.0),
        ("{uniform: [1s, 4s]}", Uniform(low_s=1.0, high_s=4.0), 2.5),
        ("{exponential: {mean: 7s}}", Exponential(mean_s=7.0), 7.0),
        (
            "{exponential: {mean: 7s, max: 70s}}",
            Exponential(mean_s=7.0, max_s=70.0),
            7.0 * (1 - math.exp(-10)),
        ),
        (
            "{lognormal: {median: 4s, sigma: 1.17}}",
            Lognormal(median_s=4.0, sigma=1.17),
            4 * math.exp(1.17**2 / 2),
        ),
    ],
)
def test_a_think_time_is_read_and_its_mean_is_known(scenario_with, text, think, mean_s):
    scenario = scenario_with(4, f"channels: {{web: {{share: 100%, journeys: {{browse: 1}}, think: {text}}}}}")

    assert scenario.channels["web"].think == think
    assert scenario.channels["web"].think.mean_think_s == pytest.approx(mean_s)


def test_the_mean_of_a_cut_lognormal_is_the_mean_of_its_draws():
    import numpy as np

    think = Lognormal(median_s=2.0, sigma=1.0, max_s=10.0)
    drawn = np.minimum(np.random.default_rng(1).lognormal(np.log(2.0), 1.0, 1_000_000), 10.0)

    assert think.mean_think_s == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 1000)


@pytest.mark.parametrize(("name", "waited_s", "gone"), [("desktop", 3.0, 0.40), ("mobile", 3.0, 0.53)])
def test_patience_loses_the_published_share_at_three_seconds(scenario_with, name, waited_s, gone):
    scenario = scenario_with(4, f"channels: {{web: {{share: 1, journeys: {{browse: 1}}, patience: {name}}}}}")

    patience = scenario.channels["web"].patience
    assert 1 - math.exp(-((waited_s / patience.tau_s) ** patience.shape)) == pytest.approx(gone, abs=0.005)


def test_the_median_patience_is_at_least_the_minimum_wait():
    assert Patience(tau="4.7s").median_s == pytest.approx(4.7 * math.log(2) ** (1 / 1.5))
    assert Patience(tau="1s").median_s == 1.0


def test_patience_of_your_own_is_read(scenario_with):
    scenario = scenario_with(4, "channels: {app: {share: 1, journeys: {buy: 1}, patience: {tau: 2s}}}")

    assert scenario.channels["app"].patience == Patience(tau="2s", shape=1.5)


@pytest.mark.parametrize("channel", sorted(CHANNELS))
def test_every_channel_has_a_default_patience(scenario_with, channel):
    scenario = scenario_with(4, f"channels: {{{channel}: {{share: 100%, journeys: {{browse: 1}}}}}}")
    tau_s = {"desktop": 4.7, "mobile": 3.6, "none": None}[DEFAULT_PATIENCE[channel]]

    patience = scenario.channels[channel].patience

    assert (patience.tau_s if patience else None) == tau_s


@pytest.mark.parametrize(
    ("text", "peak_per_s"),
    [
        ("peak: 800/min", 800 / 60),
        ("peak: 48_000 visits/hour", 48_000 / 3600),
        ("annual: {visits: 24m/yr, peak_day_share: 2%, peak_hour_share: 10%}", 48_000 / 3600),
        ("annual: {visits: 24_000_000, peak_day_share: 0.02, peak_hour_share: 10%}", 48_000 / 3600),
        (
            "annual: {visits: 24m, peak_day_share: 2%, peak_hour_share: 10%, growth: 46%}",
            1.46 * 48_000 / 3600,
        ),
        (
            "annual: {visits: 24m visits/year, peak_day_share: 2%, peak_hour_share: 10%, growth: -5%}",
            0.95 * 40 / 3,
        ),
        ("customers: 36k", 10.0),
        ("customers: 36_000", 10.0),
    ],
)
def test_the_peak_follows_from_each_form_of_demand(scenario_of_demand, text, peak_per_s):
    scenario = scenario_of_demand(f"{text}, curve: {{stages: [{{for: 1h, at: 100%}}]}}")

    assert scenario.demand.peak_per_s == pytest.approx(peak_per_s)


def test_customers_of_a_cumulative_curve_are_the_whole_hundred_percent(scenario_of_demand):
    scenario = scenario_of_demand("customers: 1000, curve: {cumulative: {10s: 50%, 110s: 80%}}")

    assert scenario.demand.peak_per_s == pytest.approx(50.0)
    assert expected_customers(scenario) == pytest.approx(800.0)


def test_closed_channels_alone_plan_no_arrivals(scenario_with):
    scenario = scenario_with(4, "channels: {phone: {seats: 3, journeys: {phone_order: 1}}}")

    assert expected_customers(scenario) == 0.0


def test_another_profile_stands_on_the_same_hardware_with_the_same_products(scenario_with):
    scenario = scenario_with(
        2, "target: {shop: {profile: in-house-2004, workers: 2, query_time: 5ms, products: 100, seed: 3}}"
    )

    shop = override(scenario, profile="replatformed").target.shop

    assert (shop.profile, shop.workers, shop.query_time_s, shop.products, shop.seed) == (
        "replatformed", 2, 0.005, 100, 3,
    )  # fmt: skip
    assert override(scenario, profile="in-house-2004").target.shop == scenario.target.shop


def plain(scenario):
    """The scenario without its file and text, and its thresholds without their places."""
    thresholds = tuple(threshold.model_copy(update={"source": ""}) for threshold in scenario.thresholds)
    return scenario.with_source(None, "").model_copy(update={"thresholds": thresholds})


def test_another_address_replaces_the_shop_and_nothing_else(design):
    moved = override(design, url="http://127.0.0.1:8000/")

    assert moved.target.url == "http://127.0.0.1:8000"
    assert moved.target.host == "127.0.0.1"
    assert moved.target.shop is None
    assert plain(moved).model_copy(update={"target": design.target}) == plain(design)
    assert read_scenario(moved.source_text) == moved.with_source(None, moved.source_text)
    assert override(design) is design


WRONG_TARGETS = [
    (
        {"url": "ftp://x"},
        (
            "--url: target.url must be an http:// or https:// URL, "
            'such as "https://staging.example.com" (got ftp://x)'
        ),
    ),
    (
        {"url": "http://shop.example.com"},
        (
            "--url: target.url must have a host listed in safety.allow, unless it is this machine "
            "(got shop.example.com); add safety: {allow: [shop.example.com]}"
        ),
    ),
    (
        {"profile": "replatform"},
        (
            "--profile: target.shop.profile must be a known profile "
            '(got replatform); did you mean "replatformed"?'
        ),
    ),
    (
        {"url": "http://[::1]", "profile": "replatformed"},
        "--url: cannot be combined with --profile; use only one of them",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_TARGETS)
def test_an_invalid_override_is_reported_with_its_option(design, changes, message):
    with pytest.raises(ScenarioError) as caught:
        override(design, **changes)

    assert str(caught.value) == message


def test_another_seed_changes_nothing_else(design):
    assert override(design, seed=7).seed == 7
    assert plain(override(override(design, seed=7), seed=design.seed)) == plain(design)
    with pytest.raises(ScenarioError, match=r"--seed: seed must be between 0 and"):
        override(design, seed=-1)


def test_a_scenario_is_named_after_its_file(design, tmp_path):
    assert design.name == "scenario"
    assert design.with_source(tmp_path / "black-friday.yaml", "").name == "black-friday"


def test_a_stage_too_short_for_floating_point_is_dropped(scenario_of_demand):
    stages = "[{for: 1h, at: 50%}, {for: 0.0000000001us, to: 100%}, {for: 1h, at: 50%}]"
    scenario = scenario_of_demand(f"peak: 2/s, curve: {{stages: {stages}}}")

    assert expected_customers(scenario) == pytest.approx(7200.0)


def test_an_allowed_host_may_be_a_target(valid_text):
    scenario = read_scenario(
        valid_text.replace("shop: {profile: replatformed}", "url: https://Staging.example.com/de/").replace(
            "[127.0.0.1]", "[Staging.Example.com]"
        )
    )

    assert scenario.target.url == "https://Staging.example.com/de"
    assert scenario.target.host == "staging.example.com"


@pytest.mark.parametrize("name", ["ms-christmas-2004", "smoke"])
def test_the_bundled_scenarios_are_valid(bundled_folder, name):
    scenario = load_scenario(name, search=[bundled_folder])

    assert scenario.source_path == bundled_folder / f"{name}.yaml"
    assert {"orders_missing", "orders_duplicated", "oversold_units", "can_order", "can_browse"} <= {
        threshold.metric for threshold in scenario.thresholds
    }
    assert scenario.channels["web"].is_open
    assert scenario.source_text.startswith("# yaml-language-server: $schema=scenario.schema.json\n")


def test_the_peak_of_2004_is_derived_from_yearly_figures(bundled_folder):
    scenario = load_scenario("ms-christmas-2004", search=[bundled_folder])

    assert scenario.demand.peak_per_s == pytest.approx(24e6 * 0.02 * 0.10 / 3600, rel=0.003)
    assert 75.0 <= scenario.demand.duration_s <= 90.0


def test_the_smoke_test_lets_customers_in_for_less_than_ten_seconds(bundled_folder):
    scenario = load_scenario("smoke", search=[bundled_folder])

    assert scenario.demand.duration_s < 10.0


def test_every_journey_takes_known_steps_at_least_once():
    assert {step.step for journey in JOURNEYS.values() for step in journey.steps} == set(STEPS)
    assert all(journey.requests >= 1 for journey in JOURNEYS.values())
    assert all(step.visits > 0 for journey in JOURNEYS.values() for step in journey.steps)


def test_the_founding_mix_has_the_published_share_of_searches(bundled_folder):
    journeys = load_scenario("ms-christmas-2004", search=[bundled_folder]).channels["web"].journeys
    views = sum(weight * JOURNEYS[name].requests for name, weight in journeys.items())
    searches = sum(
        weight * step.visits
        for name, weight in journeys.items()
        for step in JOURNEYS[name].steps
        if step.step == "search"
    )

    assert searches / views == pytest.approx(0.065, abs=0.001)
