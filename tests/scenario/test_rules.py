"""Content rules: violations in responses, and the errors of invalid rules."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from doorbuster.scenario import ContentRule, describe_rule, override

DOCUMENT = {"data": {"search": {"totalItems": 7, "items": [{"price": "12.50"}, {"price": None}]}}, "ok": True}
TARGET = "target: {{shop: {{profile: replatformed}}, rules: {}}}"


def answer(text: str):
    return SimpleNamespace(text=text, json=lambda: json.loads(text))


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        ({"json": "data.search.totalItems", "above": 0}, None),
        ({"json": "data.search.totalItems", "above": 7}, "data.search.totalItems is 7"),
        ({"json": "data.search.items[0].price", "above": 12}, None),
        ({"json": "data.search.items.0.price", "above": 13}, "data.search.items.0.price is '12.50'"),
        ({"json": "data.search.items[1].price", "exists": True}, "data.search.items[1].price is None"),
        ({"json": "data.search.items[2]", "exists": False}, None),
        ({"json": "data.nothing", "above": 0}, "data.nothing is nothing"),
        ({"json": "data.search", "above": 0}, "data.search is {'totalItems': 7"),
        ({"json": "ok", "equals": True}, None),
        ({"json": "ok", "equals": 1}, "ok is True"),
        ({"json": "ok", "above": 0}, "ok is True"),
        ({"json": "data.search.totalItems", "equals": 7.0}, None),
        ({"contains": "12.50"}, None),
        ({"contains": "Add to basket"}, "lacks 'Add to basket'"),
        ({"lacks": "totalItems"}, "contains "),
        ({"lacks": "Please wait"}, None),
    ],
)
def test_a_rule_reports_its_violation(rule, breach):
    found = ContentRule.model_validate({"step": "search", **rule}).violation(answer(json.dumps(DOCUMENT)))
    assert found is breach if breach is None else found.startswith(breach)


def test_a_response_that_is_not_json_violates_a_json_rule():
    rule = ContentRule.model_validate({"step": "search", "json": "a", "exists": False})
    assert rule.violation(answer("<html>")) == "is not JSON: <html>"


@pytest.mark.parametrize(
    ("rules", "messages"),
    [
        ("[{step: prodct, contains: x}]",
         ['rules[0].step is not a known step (got prodct); did you mean "product"?']),
        ("[{step: product}]", ['rules[0] needs "contains", "lacks" or "json"']),
        ("[{step: product, contains: x, lacks: y}]", ['rules[0].lacks cannot be combined with "contains"']),
        ("[{step: product, json: a}]", ['rules[0].json also needs "above", "equals" or "exists"']),
        ("[{step: product, json: a, above: 1, exists: true}]",
         ['rules[0].exists cannot be combined with "above"']),
        ("[{step: product, contains: x, above: 1}]", ['rules[0].above requires "json"']),
        ('[{step: product, json: "a..b", exists: true}]', ["rules[0].json must be a path"]),
        ("[{step: product, contains: x, cause: Busy page}]", ["rules[0].cause must consist of"]),
        ("{step: product}", ["rules must be a list"]),
        ("[{step: x, contains: x}, {step: product, contain: y}]",
         ["rules[0].step is not a known step",
          'rules[1].contain is not a valid key; did you mean "contains"?']),
    ],
)  # fmt: skip
def test_errors_of_rules_have_locations(problems_with, rules, messages):
    problems = problems_with(2, TARGET.format(rules))
    assert len(problems) == len(messages)
    for problem, message in zip(problems, messages, strict=True):
        assert problem.startswith("2:")
        assert f"target.{message}" in problem


def test_rules_stay_when_the_target_changes(scenario_with):
    scenario = scenario_with(2, TARGET.format("[{step: product, contains: x}]"))
    moved = override(scenario, url="http://127.0.0.1:8000")
    assert moved.target.content_rules == scenario.target.content_rules


@pytest.mark.parametrize(
    ("rule", "described"),
    [
        ({"step": "*", "lacks": "Please wait", "cause": "busy_page"},
         "the response to every step must not contain 'Please wait'; a violation counts as busy_page"),
        ({"step": "search", "json": "total", "above": 0},
         "the response to search must have a value above 0 at total; a violation counts as content_rule"),
        ({"step": "search", "json": "state", "equals": "OPEN"},
         "the response to search must have 'OPEN' at state; a violation counts as content_rule"),
        ({"step": "search", "json": "total", "exists": False},
         "the response to search must have no value at total; a violation counts as content_rule"),
    ],
)  # fmt: skip
def test_a_rule_has_a_description(rule, described):
    assert describe_rule(ContentRule.model_validate(rule)) == described
