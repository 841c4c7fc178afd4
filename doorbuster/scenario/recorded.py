"""The scenario text that a run file recorded."""

from __future__ import annotations

from doorbuster.errors import ScenarioError
from doorbuster.scenario.demand.phases import Phase, find_phases
from doorbuster.scenario.reader import read_scenario


def recorded_phases(scenario_text: str) -> tuple[Phase, ...]:
    """The phases of a recorded scenario; empty when the text is not a doorbuster scenario."""
    try:
        scenario = read_scenario(scenario_text)
    except ScenarioError:  # an imported run holds another tool's scenario, or none
        return ()
    return find_phases(scenario.demand.rate_curve)
