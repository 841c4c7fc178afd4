"""Checks a scenario against a locustfile and a driver without sending anything, for `doorbuster check`.

Each problem is a row of kind "error".
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from doorbuster.errors import ExitCode, ScenarioError, UsageError
from doorbuster.load.engine.generator import customer_classes
from doorbuster.load.locust_plugin.requirements import unmet_requirements
from doorbuster.load.target.driver_lookup import drivers_of, has_installed, load_files
from doorbuster.load.tools.command_interface import run_tool
from doorbuster.scenario import NO_CAPACITY, read_scenario
from doorbuster.storefronts import drivers_with


def check_requirements(
    *, scenario_text: str, scenario_name: str, locustfile: str, for_capacity: bool = False
) -> ExitCode:
    """Check a scenario against one locustfile, or several with commas between them.

    Args: for_capacity: the scenario is for a capacity search, which plain Locust files cannot have.

    Raises: UsageError if a file cannot be loaded; ScenarioError with every unmet requirement.
    """
    scenario = read_scenario(scenario_text, file=scenario_name).with_source(
        Path(scenario_name), scenario_text
    )
    modules = load_files(locustfile)
    if for_capacity and not has_installed():
        raise UsageError(f"{locustfile} is a plain Locust file: {NO_CAPACITY}")
    classes = [value for module in modules for value in vars(module).values() if inspect.isclass(value)]
    driver = drivers_with(drivers_of(modules)).get(scenario.target.storefront)
    problems = unmet_requirements(scenario, customer_classes(classes), driver, locustfile)
    if problems:
        raise ScenarioError(problems)
    return ExitCode.PASS


if __name__ == "__main__":
    sys.exit(run_tool(check_requirements))
