"""The scenario text that a run file recorded."""

from __future__ import annotations

from doorbuster.errors import ScenarioError
from doorbuster.scenario.demand.phases import Phase, find_phases
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.reader import read_scenario


def recorded_scenario(scenario_text: str) -> Scenario | None:
    """The recorded scenario; None if the text is empty or not a doorbuster scenario."""
    try:
        return read_scenario(scenario_text)
    except ScenarioError:
        return None


def recorded_phases(scenario_text: str) -> tuple[Phase, ...]:
    """The phases of a recorded scenario; empty if the text is not a doorbuster scenario."""
    scenario = recorded_scenario(scenario_text)
    return () if scenario is None else find_phases(scenario.demand.rate_curve)
