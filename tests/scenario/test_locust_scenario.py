"""Scenarios of plain Locust files: what they may state, and what is refused."""

from __future__ import annotations

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import is_locust_scenario, locust_scenario, read_locust_scenario
from doorbuster.scenario.thresholds.language import Tag, parse_metric_selector

WHOLE = """
title: Our shop
locust: {users: 50, spawn_rate: 2.5, run_time: 5m}
target: {url: "http://127.0.0.1:8000"}
thresholds:
  http_req_duration{name:/products/[id]}: ["p(95)<800ms"]
  users.longest_stall: ["value<2"]
safety: {allow: [127.0.0.1], abort: {http_req_failed: 50% for 30s}}
"""


def test_every_key_is_read():
    scenario = read_locust_scenario(WHOLE)
    assert (scenario.locust.users, scenario.locust.spawn_rate, scenario.locust.run_time_s) == (50, 2.5, 300)
    assert scenario.target.url == "http://127.0.0.1:8000"
    assert scenario.thresholds[0].tags == (Tag("step", "/products/[id]"),)
    assert scenario.safety.abort["http_req_failed"].ratio == 0.5


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "title is missing"),
        ("{title: x, channels: {web: {}}}", "channels is not a valid key"),
        ("{title: x, locust: {tasks: 3}}", "locust.tasks needs demand"),
        ("{title: x, demand: {}, locust: {users: 3}}", "locust.users cannot stand beside demand"),
        ("{title: x, locust: {classes: {A: 0}}}", "must be user classes with weights"),
        ("{title: x, locust: {users: 0}}", "locust.users"),
        ("{title: x, locust: {spawn_rate: -1}}", "must be a number of users per second"),
        ('{title: x, target: {url: "https://shop.example"}}', "must have a host listed in safety.allow"),
        ("{title: x, safety: {abort: {turned_away: 90% for 60s}}}", "which has no customers"),
        ('{title: x, thresholds: {can_order: ["rate>=99%"]}}', "is not measured for a plain Locust file"),
        (
            '{title: x, thresholds: {"http_reqs{phase:peak}": ["count>1"]}}',
            "a plain Locust file has no demand curve",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(text, problem):
    with pytest.raises(ScenarioError, match=problem):
        read_locust_scenario(text)


def test_a_scenario_of_customers_is_another_kind(valid_text):
    assert is_locust_scenario(WHOLE)
    assert not is_locust_scenario(valid_text)
    assert not is_locust_scenario("title: x\nchanels: {}\n"), "a misspelt key gets its suggestion"


def test_options_of_the_command_line_replace_those_of_the_file():
    changed = locust_scenario(read_locust_scenario(WHOLE), title="", users=7, run_time="30s")
    assert (changed.locust.users, changed.locust.spawn_rate, changed.locust.run_time_s) == (7, 2.5, 30)
    assert read_locust_scenario(changed.source_text) == changed


def test_without_a_file_the_hosts_of_the_command_line_are_allowed():
    made = locust_scenario(
        None, title="x.py", url="https://shop.example", allow=("cdn.example",), no_failures=True
    )
    assert set(made.safety.allow) == {"shop.example", "cdn.example"}
    assert [str(threshold) for threshold in made.thresholds] == ["http_req_failed: rate<=0%"]


@pytest.mark.parametrize(
    ("selector", "tags"),
    [
        ("http_reqs{name:/map/51.5,-0.1}", (Tag("step", "/map/51.5,-0.1"),)),
        ("http_reqs{name:/product/{id}}", (Tag("step", "/product/{id}"),)),
        ("http_reqs{name:/a,b,journey:GET}", (Tag("step", "/a,b"), Tag("journey", "GET"))),
        ("http_reqs{name:/at?x=1:2,3}", (Tag("step", "/at?x=1:2,3"),)),
    ],
)
def test_names_of_requests_may_contain_what_urls_contain(selector, tags):
    assert parse_metric_selector(selector).tags == tags
