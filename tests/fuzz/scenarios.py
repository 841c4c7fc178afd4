"""Scenarios: the bundled ones with values, texts and bytes changed; each gives a plan or a list of problems."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from random import Random

import yaml

from doorbuster.errors import ScenarioError
from doorbuster.output import flat
from doorbuster.scenario import LocustScenario, Scenario, load_any_scenario, plan_schedule, read_any_scenario
from tests.fuzz.mutations import mutated_bytes, mutated_text, mutated_value

SCENARIOS = Path(__file__).parent.parent.parent / "scenarios"
MAX_MESSAGE = 20_000  # characters of all problems together
MAX_PLANNED = 20_000  # customers; larger plans are valid and take long


EVERYTHING = """
title: every key
story: A scenario with most of the keys there are.
target:
  shop: {profile: replatformed, workers: 3, query_time: 5ms, merchants: [north, south], faults: []}
  rules: [{step: product, contains: "Add to basket", cause: no_button}, {step: "*", lacks: busy}]
  request_id_header: X-Trace
demand:
  peak: 10 customers/s
  curve: {stages: [{for: 2s, to: 50%}, {for: 10s, at: 100%}]}
  compress: 12s -> 6s
  burstiness: 1.7
channels:
  web:
    share: 70%
    merchant: north
    journeys: {browse: 3, buy: 1}
    think: {uniform: [1s, 2s]}
    retries: {attempts: 3, backoff: 100ms, budget: 10%}
    reloads: {after: 1s, max: 2}
    devices: {mobile: 60%, desktop: 40%}
    signed_in: 30%
    cache_busting: 5%
    pages: 4
    waiting_room: {patience: 5m}
  app: {share: 20%, merchant: south, journeys: {search: 1}, patience: {tau: 3s, shape: 1.5}}
  store: {share: 10%, merchant: north, journeys: {pos_sale: 1}, offline: {from: 2s, for: 3s}}
  phone: {seats: 3, merchant: south, journeys: {phone_order: 1}, think: {exponential: {mean: 7s, max: 70s}}}
thresholds:
  can_order: ["rate>=99%"]
  "http_req_duration{step:checkout}": [{threshold: "p(95)<3s", abortOnFail: true, delayAbortEval: 3s}]
safety: {allow: [127.0.0.1], max_rate: 500 requests/s, max_in_flight: 900, abort: {turned_away: 90% for 60s}}
seed: 3
drain: 30s
"""


OUTSIDE = """
title: an external shop
story: A scenario with the keys that EVERYTHING lacks.
target:
  storefront: vendure
  url: https://staging.example.com
  headers: {X-Bypass: "${WAF_BYPASS}", X-Plain: seven}
  protocol: h2
  assets: none
demand: {peak: 5 customers/s, curve: {stages: [{for: 4s, to: 100%}, {for: 6s, at: 40%}]}}
journeys:
  kiosk: {description: order at a terminal, steps: {home: 1, product: 2, checkout: 0.5}}
  roam: {description: wander, chain: {enter: {home: 1}, home: {product: 3, leave: 1}, product: {home: 1, leave: 2}}}
channels:
  web: {share: 100%, journeys: {browse: 1, roam: 2}, patience: none}
observe:
  sources:
    monitoring: {prometheus: {url: "https://prom.example.com", queries: {db_used: "sum(up)"}}, every: 5s}
    web: {process: {port: 8000}, metrics: ["cpu_*"]}
    database: {postgresql: {dsn: "${SHOP_DATABASE}"}}
    queue: {command: {run: "./length.sh"}}
    agent: {otlp: {port: 4318}}
  resources: {pool: {utilisation: "db_used{role:primary}", limit: 40}}
  limits: {db_used: 100}
  allow: [prom.example.com]
  trace_share: 5%
  trace_url: https://tempo.example.com/{trace_id}
browsers:
  probes: 1
  calm: 5s
  after: 2s
  device: phone
  journey: [{page: home, open: /}, {page: results, fill: {"input[name=q]": lamp}, click: button, expect: ".results a"}]
thresholds:
  observed.db_used: ["max<90%"]
  "http_req_duration{phase:peak}": ["p(95)<baseline*1.1"]
  "browser_lcp{phase:peak}": ["p(75)<2.5s"]
safety: {allow: [staging.example.com], max_rate: 50 requests/s, abort: {observed.db_used: 95% for 30s}}
"""


@lru_cache
def texts() -> tuple[str, ...]:
    found = [EVERYTHING, OUTSIDE] * 6  # as often as half of the others
    found += [path.read_text(encoding="utf-8") for path in sorted(SCENARIOS.glob("*.yaml"))]
    return tuple(sorted(found, key=len)[:28])


def case(rng: Random, folder: Path) -> str:
    text = rng.choice(texts())
    how = rng.random()
    try:
        if how < 0.5:
            found = read_any_scenario(mutated_text(rng, text), file="x.yaml")
        elif how < 0.9:
            value = mutated_value(rng, yaml.safe_load(text))
            found = read_any_scenario(_dumped(value), file="x.yaml")
        else:
            path = folder / "x.yaml"
            path.write_bytes(mutated_bytes(rng, text.encode()))
            found = load_any_scenario(path)
    except ScenarioError as error:
        check_problems(error)
        return "refused"
    use(found)
    return "accepted"


def _dumped(value: object) -> str:
    try:
        return yaml.safe_dump(value, allow_unicode=True)
    except (yaml.YAMLError, UnicodeError):
        return str(value)


def check_problems(error: ScenarioError) -> None:
    """Problems can be shown: with a place, on one line each, and not without end."""
    assert error.problems
    assert len(str(error)) <= MAX_MESSAGE, f"{len(str(error))} characters"
    for problem in error.problems:
        assert "\n" not in str(problem)
        assert "Input should" not in problem.rule, problem
        assert flat(str(problem)) == str(problem), "control characters in a message"


def use(found: Scenario | LocustScenario) -> None:
    """Plan it, as `doorbuster check` does."""
    if isinstance(found, Scenario) and found.demand.rate_curve.expected < MAX_PLANNED:
        assert plan_schedule(found).duration_s == found.demand.duration_s
