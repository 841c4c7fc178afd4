"""Any file gives a scenario or a ScenarioError with usable problems."""

from __future__ import annotations

import copy

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doorbuster.errors import ScenarioError
from doorbuster.scenario import Scenario, plan_schedule, read_scenario
from doorbuster.scenario.customers.channels import CHANNELS
from doorbuster.scenario.customers.journeys import JOURNEYS
from doorbuster.scenario.thresholds.metrics import METRICS

WORDS = [
    *("title", "target", "shop", "profile", "url", "demand", "peak", "curve", "stages", "for", "to", "at"),
    *("hourly", "cumulative", "compress", "channels", "share", "seats", "journeys", "think", "lognormal"),
    *("thresholds", "safety", "allow", "abort", "none", "desktop", "10s", "-5m", "1e9s", "100%", "-1%", "->"),
    *(
        "13.3/s",
        "0/s",
        "p(95)<3s",
        "rate>=99%",
        "count==0",
        "24m/yr",
        "<<",
        "{",
        "http://127.0.0.1",
        "http://[",
    ),
]
WORDS += ["7h30m -> 90s", "90% for 60s", "9" * 400 + "s", "", " ", "\x00", "\u2028", "é"]
WORDS += [*CHANNELS, *JOURNEYS, *METRICS]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.dates(),
    st.sampled_from(WORDS),
    st.text(max_size=8),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(WORDS), scalars), inner, max_size=4),
    ),
    max_leaves=12,
)
VALID = yaml.safe_load("""
title: t
story: s
target: {storefront: reference, shop: {profile: replatformed, workers: 3, query_time: 5ms}}
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 2s, to: 50%}, {for: 10s, at: 100%}]}
  compress: 12s -> 6s
  burstiness: 1.7
channels:
  web: {share: 70%, journeys: {browse: 3, buy: 1}, think: {uniform: [1s, 2s]}}
  app: {share: 0.3, journeys: {search: 1}, patience: {tau: 3s, shape: 1.5}}
  phone: {seats: 3, journeys: {phone_order: 1}, think: {exponential: {mean: 7s, max: 70s}}}
thresholds:
  can_order: ["rate>=99%"]
  "http_req_duration{step:checkout}": [{threshold: "p(95)<3s", abortOnFail: true, delayAbortEval: 3s}]
safety: {allow: [127.0.0.1], max_rate: 500 requests/s, abort: {turned_away: 90% for 60s}}
seed: 3
drain: 30s
""")


def places(value, path=()):
    """Every path in a nested value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def read_or_refuse(text):
    """The scenario, or None after checking that its problems can be used."""
    try:
        return read_scenario(text, file="x.yaml")
    except ScenarioError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        assert problem.file == "x.yaml"
        assert problem.line <= text.count("\n") + 1
        assert "\n" not in str(problem)
        assert "Input should" not in problem.rule
    return None


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values)
def test_any_yaml_is_a_scenario_or_a_scenario_error(value):
    read_or_refuse(yaml.safe_dump(value, allow_unicode=True))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), values)
def test_a_valid_scenario_with_one_value_replaced_is_valid_or_a_scenario_error(data, value):
    path = data.draw(st.sampled_from([path for path in places(VALID) if path]))
    changed = copy.deepcopy(VALID)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value

    scenario = read_or_refuse(yaml.safe_dump(changed, allow_unicode=True))

    if scenario is not None and scenario.demand.rate_curve.expected < 1e5:
        assert plan_schedule(scenario).duration_s == scenario.demand.duration_s


@settings(max_examples=200, deadline=None)
@example("\ud800")
@example("%YAML 3.0\n---\n")
@example("a: !!binary x")
@example("? ? a")
@example("?")
@given(
    st.text(
        alphabet=st.one_of(st.sampled_from(":-[]{}&*!|>'\"%@`#,? \n\tab1~<"), st.characters()), max_size=60
    )
)
def test_any_text_is_a_scenario_or_a_scenario_error(text):
    read_or_refuse(text)


@settings(max_examples=200, deadline=None)
@given(values)
def test_the_models_take_any_python_value_without_surprise(value):
    from pydantic import ValidationError

    with pytest.raises(ValidationError):
        Scenario.model_validate(
            {"title": "t", "demand": value, "channels": value, "thresholds": value, "zz": value}
        )
