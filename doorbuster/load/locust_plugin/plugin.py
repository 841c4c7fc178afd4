"""The plug-in: turns a locustfile into a run, in one process, on a master or on a worker.

A locustfile only calls `install(events)`; for another kind of shop it passes a driver with
`install(events, drivers=[MyShop])`, and the scenario names it as `target: {storefront: "custom:my-shop"}`.
Everything here uses Locust's public interfaces: events, runner messages, a load shape, a dispatcher class and
`process_exit_code`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from locust.runners import WorkerRunner

from doorbuster.errors import DoorbusterError, Problem, ScenarioError
from doorbuster.load.customers.customer import Customer
from doorbuster.load.engine.generator import customer_classes
from doorbuster.load.freshness.product_edits import missing_capabilities
from doorbuster.load.locust_plugin.dispatch import SingleUserDispatcher
from doorbuster.load.locust_plugin.master import MasterNode
from doorbuster.load.locust_plugin.worker import WorkerNode
from doorbuster.scenario import CHANNELS, Scenario, load_scenario, override
from doorbuster.storefronts import Storefront, drivers_with

Drivers = Mapping[str, type[Storefront]]

LOOPBACK = "127.0.0.1"
_OPTIONS = {
    "--scenario": "Scenario file (YAML), such as scenarios/smoke.yaml",
    "--run-folder": "Folder for run.sqlite. Default: reports/<time>-<scenario>",
    "--confirm-host": "Host name of a target that is not on loopback, to confirm that you may load it",
}


def install(events: Any, *, drivers: Sequence[type[Storefront]] = ()) -> None:
    """Turn a Locust test into a doorbuster run.

    Args:
        events: `locust.events`.
        drivers: storefronts that the locustfile adds; a scenario names one as `custom:` and its `name`.
    """
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(partial(_on_init, drivers=drivers_with(drivers)))


def _add_options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("doorbuster options")
    for option, meaning in _OPTIONS.items():
        group.add_argument(option, default="", help=meaning)
    # Locust listens on all interfaces by default, without a password.
    parser.set_defaults(web_host=LOOPBACK, master_bind_host=LOOPBACK)


def _on_init(environment: Any, drivers: Drivers, **_: Any) -> None:
    try:
        if isinstance(environment.runner, WorkerRunner):
            environment.doorbuster = WorkerNode(environment, drivers)
        else:
            environment.doorbuster = MasterNode(environment, drivers, _scenario(environment, drivers))
    except DoorbusterError as error:
        sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
        sys.exit(int(error.exit_code))
    environment.dispatcher_class = SingleUserDispatcher
    environment.stop_timeout = 0.0


def _scenario(environment: Any, drivers: Drivers) -> Scenario:
    """The scenario of the command line, checked against the locustfile and the driver.

    Locust's own --host replaces its target.

    Raises:
        ScenarioError: with every problem found.
    """
    options = environment.parsed_options
    if not options.scenario:
        raise ScenarioError([Problem("--scenario", 0, 0, "", "must name a scenario file",
                                     way_out="add --scenario scenarios/smoke.yaml")])  # fmt: skip
    scenario = override(load_scenario(options.scenario), url=environment.host or None)
    problems = list(_missing(scenario, environment, drivers))
    if problems:
        raise ScenarioError(problems)
    return scenario


def _missing(scenario: Scenario, environment: Any, drivers: Drivers) -> list[Problem]:
    """What the scenario needs and the locustfile or the driver lacks."""
    classes, driver = customer_classes(environment), drivers.get(scenario.target.storefront)
    storefront = f"storefront {scenario.target.storefront!r}"
    problems = []

    def lacks(file: str, what: str, way_out: str) -> None:
        problems.append(Problem(file, 0, 0, "", f"has no {what}, which {scenario.name} needs", "", way_out))

    if driver is None:
        lacks(environment.locustfile, f"driver {scenario.target.storefront!r}",
              "add the driver's class to install(events, drivers=[...])")  # fmt: skip
    elif scenario.freshness is not None:
        for what, way_out in missing_capabilities(scenario, driver):
            lacks(storefront, what, way_out)
    if driver is not None and driver.open_session is not None and scenario.target.content_rules:
        lacks(storefront, "HTTP responses (target.rules)", "check the answers in the driver")
    for name, channel in scenario.channels.items():
        if name not in classes:
            lacks(environment.locustfile, f"customers of channel {name!r}",
                  f"add a class with channel = {name!r}")  # fmt: skip
            continue
        for journey in channel.journeys:
            if not callable(getattr(classes[name], journey, None)):
                lacks(environment.locustfile, f"journey {journey!r} in {classes[name].__name__}",
                      f"add a method {journey}(self)")  # fmt: skip
            elif hasattr(Customer, journey):
                rule = "is the name of a method that every customer has"
                way_out = "choose another name for the journey"
                problems.append(Problem(scenario.name, 0, 0, f"journeys.{journey}", rule, way_out=way_out))
            steps = [visit.step for visit in scenario.journeys[journey].steps]
            for step in _missing_steps(driver, steps, scenario.channels) if driver else ():
                lacks(storefront, f"step {step!r} (journey {journey})",
                      f"add a method {step} to the driver")  # fmt: skip
    return problems


def _missing_steps(
    driver: type[Storefront], steps: Sequence[str], channels: Iterable[str]
) -> tuple[str, ...]:
    """The steps that the driver lacks in every channel: a journey may end in another channel."""
    missing = driver.missing_steps(steps)
    for channel in {*CHANNELS, *channels}:
        missing = driver.for_channel(channel).missing_steps(missing) if missing else ()
    return missing
