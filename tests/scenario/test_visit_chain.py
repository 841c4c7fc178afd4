"""Journeys that are chains of pages."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
import yaml

from doorbuster.errors import ScenarioError
from doorbuster.scenario import ENTER, LEAVE, VisitChain, estimate, read_scenario

BASE = {
    "title": "A chain",
    "target": {"shop": {"profile": "replatformed"}},
    "demand": {"peak": "5/s", "curve": {"stages": [{"for": "60s", "at": "100%"}]}},
    "channels": {"web": {"share": "100%", "journeys": {"shopping": 1}, "think": {"constant": "1s"}}},
}
CHAIN = {
    "enter": {"home": 3, "product": 1},
    "home": {"product": 1, "leave": 1},
    "product": {"product": 1, "add_to_basket": 1, "leave": 2},
    "add_to_basket": {"checkout": 1, "leave": 1},
    "checkout": {"leave": 1},
}


def scenario(chain):
    journeys = {"shopping": {"description": "as in the log", "chain": chain}}
    return read_scenario(yaml.safe_dump({**BASE, "journeys": journeys}))


def test_visits_solve_the_chain_and_match_a_walk():
    walk, rng, seen = VisitChain(CHAIN), Random(3), Counter()
    for _ in range(20_000):
        page = walk.after(ENTER, rng)
        while page != LEAVE:
            seen[page] += 1
            page = walk.after(page, rng)
    # home 3/4; product (1/4 + 3/8) / (3/4); basket a quarter of that; checkout half of that
    exact = {"home": 0.75, "product": 5 / 6, "add_to_basket": 5 / 24, "checkout": 5 / 48}
    assert walk.visits == pytest.approx(exact)
    assert {page: count / 20_000 for page, count in seen.items()} == pytest.approx(exact, abs=0.02)


def test_the_estimate_uses_the_visits_of_the_chain():
    found = estimate(scenario(CHAIN))
    assert found.requests == pytest.approx(300 * sum(VisitChain(CHAIN).visits.values()))
    assert found.orders == pytest.approx(300 * 5 / 48)


@pytest.mark.parametrize(
    ("chain", "message"),
    [
        ({"home": {"leave": 1}}, "must map each page to the weights of what follows"),
        ({"enter": {"home": 1}}, "has no row of its own; add home: {leave: 1}"),
        ({"enter": {"home": 1}, "home": {"home": 1}}, "never ends the visit; add a way to leave"),
        ({"enter": {"hoem": 1}}, 'is not a page of a chain; did you mean "home"?'),
        ({"enter": {"leave": 1}}, "must not be the first page; a visit has a page"),
        ({"enter": {"home": 1}, "home": {"leave": -1}}, "must be a weight: a number >= 0 (got -1)"),
        ({"enter": {"home": 1}, "home": {"leave": 0}}, "must not be 0 throughout"),
        (
            {"enter": {"home": 1}, "home": {"home": 1e6, "leave": 1}},
            "must let visits end: at most 1000 pages",
        ),
    ],
)
def test_a_chain_that_cannot_work_is_refused(chain, message):
    with pytest.raises(ScenarioError) as error:
        scenario(chain)
    assert message in str(error.value)


def test_a_journey_has_steps_or_a_chain():
    both = {"description": "x", "chain": CHAIN, "steps": {"home": 1}}
    with pytest.raises(ScenarioError, match="steps"):
        read_scenario(yaml.safe_dump({**BASE, "journeys": {"shopping": both}}))
