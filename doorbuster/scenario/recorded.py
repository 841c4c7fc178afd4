"""Reading the scenario that a run file recorded."""

from __future__ import annotations

from doorbuster.errors import ScenarioError
from doorbuster.scenario.demand.phases import Phase, phases
from doorbuster.scenario.reader import read_scenario


def recorded_phases(scenario_text: str) -> tuple[Phase, ...]:
    """The phases of a recorded scenario; none if the text is not a scenario, as in an imported run."""
    try:
        return phases(read_scenario(scenario_text).demand.rate_curve)
    except ScenarioError:
        return ()
