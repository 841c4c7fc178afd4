"""The scenario text that a run file recorded."""

from __future__ import annotations

from doorbuster.errors import ScenarioError
from doorbuster.scenario.demand.phases import Phase, find_phases
from doorbuster.scenario.locust_scenario import LocustScenario
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.reader import read_any_scenario
from doorbuster.scenario.thresholds.language import Threshold


def recorded_scenario(scenario_text: str) -> Scenario | LocustScenario | None:
    """The recorded scenario; None if the text is empty or not a doorbuster scenario."""
    try:
        return read_any_scenario(scenario_text)
    except ScenarioError:
        return None


def recorded_thresholds(scenario_text: str) -> tuple[Threshold, ...]:
    """The thresholds of a recorded scenario; empty for another tool's."""
    scenario = recorded_scenario(scenario_text)
    return () if scenario is None else scenario.thresholds


def recorded_phases(scenario_text: str) -> tuple[Phase, ...]:
    """The phases of a recorded scenario; empty without a demand curve."""
    return planned_phases(recorded_scenario(scenario_text))


def planned_phases(scenario: Scenario | LocustScenario | None) -> tuple[Phase, ...]:
    """The phases of a scenario; empty without a demand curve."""
    if scenario is None or scenario.demand is None:
        return ()
    return find_phases(scenario.demand.rate_curve)
