"""The bundled scenarios: each is valid, planned as its curve states, and gives a source for each figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from doorbuster.cli.check import command as check
from doorbuster.scenario import estimate, expected_customers, load_scenario, plan_schedule
from doorbuster.scenario.schema import scenario_schema
from doorbuster.units import parse_duration_s

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "scenarios").glob("*.yaml"))
PAGE = (ROOT / "docs" / "reference" / "scenarios.md").read_text(encoding="utf-8")
SHIPPED = {
    "black-friday-uk", "boxing-day", "christmas-run-up", "community-evening", "dependency-trouble",
    "flash-sale-one-sku", "holding-page-reload", "last-order-day", "midnight-drop", "mix-browsing",
    "mix-ordering", "mix-shopping", "ms-christmas-2004", "noisy-neighbour", "omnichannel-peak", "promo-mail",
    "re-registration-storm", "smoke", "soak", "tv-advert", "waiting-room",
}  # fmt: skip

each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

# Figures that say nothing but "all of them" or "none": no source could make them truer.
_PLAIN = re.compile(
    r"in-house-2004|count==0|\b(?:share|to|at): 100%|\{\w+: 100%?\}|jitter: 0%|&\w+|\*\w+|\{\w+: 1\}"
)
_FIGURE = re.compile(r"(?<![A-Za-z_-])\d")
_SOURCED = {"target", "demand", "channels", "thresholds"}


def unexplained(text: str) -> list[str]:
    """Lines with a figure and no comment on the line or directly above it."""
    found, part, above = [], "", ""
    for line in text.splitlines():
        code, _, comment = line.partition("#")
        if top := re.match(r"(\w+):", line):
            part = top[1]
        said = bool(comment) or above.lstrip().startswith("#")
        if part in _SOURCED and code.strip() and not said and _FIGURE.search(_PLAIN.sub("", code)):
            found.append(line)
        above = line
    return found


def row_of(name: str) -> list[str]:
    """The cells of a scenario's row in docs/reference/scenarios.md."""
    (row,) = re.findall(
        rf"^\| \[`{name}`\]\(\.\./\.\./scenarios/{name}\.yaml\) \|(.+)\|$", PAGE, re.MULTILINE
    )
    return [cell.strip() for cell in row.split("|")]


def test_every_scenario_of_the_list_is_bundled():
    assert {path.stem for path in PATHS} == SHIPPED


@each
def test_every_figure_has_its_source_beside_it_or_is_an_assumption(path):
    text = path.read_text(encoding="utf-8")
    if path.stem == "smoke":
        assert "# All figures here keep the run short; they model no real shop." in text
    else:
        assert unexplained(text) == []
        assert "assumption" in text


def test_a_figure_without_a_comment_is_found():
    text = "demand:\n  peak: 7 customers/s\n  # Source: us.\n  compress: 1h -> 60s\n  at: 100%\n"
    assert unexplained(text) == ["  peak: 7 customers/s"]


@each
def test_a_scenario_has_a_story_thresholds_and_an_expected_verdict(path):
    scenario = load_scenario(path)
    comment = re.search(
        r"^# expected with the embedded shop: (pass|fail)\b", scenario.source_text, re.MULTILINE
    )
    assert comment
    assert 40 <= len(scenario.story.strip()) <= 400
    assert {"orders_missing", "oversold_units"} & {threshold.metric for threshold in scenario.thresholds}
    assert scenario.target.shop is not None
    assert "safety" in scenario.model_fields_set
    assert scenario.target.storefront == "reference"


@each
def test_a_scenario_is_planned_as_its_curve_says(path):
    scenario = load_scenario(path)
    schedule = plan_schedule(scenario)
    expected = expected_customers(scenario)
    burstiness = max([demand.burstiness for demand in scenario.demands.values()])
    assert abs(len(schedule) - expected) < 5 * (burstiness * expected) ** 0.5
    came = {schedule.channel_journeys[one].channel for one in set(schedule.channel_journey_index.tolist())}
    assert came == {name for name, channel in scenario.channels.items() if channel.is_open}


@each
def test_a_scenario_fits_on_two_cores_and_below_its_limits(path):
    scenario = load_scenario(path)
    found = estimate(scenario)
    assert found.peak_requests_per_s * 1.5 < scenario.safety.max_rate_per_s
    assert found.peak_requests_per_s <= 220  # the embedded shop's limit: docs/reference/shop.md
    assert scenario.demand.duration_s <= 120 or path.stem == "soak"


@each
def test_the_schema_knows_the_keys_of_a_bundled_scenario(path):
    from doorbuster.scenario.model import Scenario

    known = set(Scenario.yaml_keys())
    assert set(yaml.safe_load(path.read_text(encoding="utf-8"))) <= known
    assert set(scenario_schema()["properties"]) == known


@each
def test_check_explains_a_scenario(path):
    done = CliRunner(env={"NO_COLOR": "1", "COLUMNS": "120"}).invoke(check, [str(path)])
    scenario = load_scenario(path)
    assert done.exit_code == 0, done.output
    said = re.sub(r"\s+", " ", done.output)
    assert re.sub(r"\s+", " ", scenario.story.strip()) in said
    assert f"with seed {scenario.seed}" in said
    for name in scenario.channels:
        assert f"{name} " in said


@each
def test_the_page_of_scenarios_lists_each_scenario(path):
    scenario = load_scenario(path)
    _, arrivals, length, verdict, *_ = row_of(path.stem)
    assert int(arrivals.replace(",", "")) == len(plan_schedule(scenario))
    assert parse_duration_s(length.replace(" ", "")) == pytest.approx(scenario.demand.duration_s, abs=0.5)
    expected = re.search(
        r"^# expected with the embedded shop: (pass|fail)\b", scenario.source_text, re.MULTILINE
    )
    assert verdict.split()[0] == expected[1]


def test_the_page_of_scenarios_lists_no_other():
    assert set(re.findall(r"^\| \[`([\w-]+)`\]", PAGE, re.MULTILINE)) == SHIPPED


def test_the_readme_names_every_scenario():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in SHIPPED if f"`{name}`" in text} == SHIPPED
