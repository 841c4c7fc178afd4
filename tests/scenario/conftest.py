"""A small valid scenario, and the problems reported when one of its lines is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from doorbuster.errors import ScenarioError
from doorbuster.scenario import read_scenario

VALID = """\
title: t
target: {shop: {profile: replatformed}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}}}
thresholds: {can_browse: ["rate>=99%"]}
safety: {allow: [127.0.0.1]}
"""


@pytest.fixture
def valid_text():
    """The text of a valid scenario of six lines."""
    return VALID


@pytest.fixture
def scenario_with(valid_text):
    """Function (line number, text) -> the scenario with that line replaced."""

    def read(line, text):
        rows = valid_text.splitlines()
        rows[line - 1] = text
        return read_scenario("\n".join(rows) + "\n", file="x.yaml")

    return read


@pytest.fixture
def problems_with(scenario_with):
    """Function (line number, text) -> the messages about it, without the file's name."""

    def read(line, text):
        with pytest.raises(ScenarioError) as caught:
            scenario_with(line, text)
        return [str(problem).removeprefix("x.yaml:") for problem in caught.value.problems]

    return read


@pytest.fixture
def scenario_of_demand(scenario_with):
    """Function (text of the demand mapping) -> scenario."""
    return lambda text: scenario_with(3, f"demand: {{{text}}}")


@pytest.fixture
def bundled_folder():
    """The folder of the bundled scenarios."""
    return Path(__file__).parents[2] / "scenarios"
