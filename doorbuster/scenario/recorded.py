"""The scenario text that a run file recorded."""

from __future__ import annotations

from doorbuster.errors import ScenarioError
from doorbuster.scenario.demand.phases import Phase, find_phases
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.reader import read_any_scenario
from doorbuster.scenario.thresholds.language import Threshold


def recorded_scenario(scenario_text: str) -> Scenario | None:
    """The recorded scenario; None if the text is empty or not a doorbuster scenario."""
    try:
        return Scenario.read(scenario_text)
    except ScenarioError:
        return None


def recorded_thresholds(scenario_text: str) -> tuple[Threshold, ...]:
    """The thresholds of a recorded scenario, also that of a plain Locust file; empty for another tool's."""
    try:
        return read_any_scenario(scenario_text).thresholds
    except ScenarioError:
        return ()


def recorded_phases(scenario_text: str) -> tuple[Phase, ...]:
    """The phases of a recorded scenario; empty if the text is not a doorbuster scenario."""
    try:
        demand = read_any_scenario(scenario_text).demand
    except ScenarioError:
        return ()
    return () if demand is None else find_phases(demand.rate_curve)
