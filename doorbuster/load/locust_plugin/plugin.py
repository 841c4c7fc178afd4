"""The plug-in: turns a locustfile into a run, in one process, on a master or on a worker.

A locustfile only calls `install(events)`; for another kind of shop it passes a driver with
`install(events, drivers=[MyShop])`, and the scenario names it as `target: {storefront: "custom:my-shop"}`.
Everything here uses Locust's public interfaces: events, runner messages, a load shape, a dispatcher class and
`process_exit_code`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from locust.runners import WorkerRunner

from doorbuster.errors import DoorbusterError, Problem, ScenarioError
from doorbuster.load.engine.generator import customer_classes
from doorbuster.load.locust_plugin.dispatch import SingleUserDispatcher
from doorbuster.load.locust_plugin.master import MasterNode
from doorbuster.load.locust_plugin.requirements import unmet_requirements
from doorbuster.load.locust_plugin.worker import WorkerNode
from doorbuster.scenario import Scenario, load_scenario, override
from doorbuster.storefronts import Storefront, drivers_with

Drivers = Mapping[str, type[Storefront]]

LOOPBACK = "127.0.0.1"
_OPTIONS = {
    "--scenario": "Scenario file (YAML), such as scenarios/smoke.yaml",
    "--run-folder": "Folder for run.sqlite. Default: reports/<time>-<scenario>",
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
    group.add_argument(
        "--confirm-host",
        action="append",
        metavar="HOST",
        help="Confirm that you may load this host",
    )
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
    driver = drivers.get(scenario.target.storefront)
    problems = unmet_requirements(
        scenario, customer_classes(environment.user_classes), driver, environment.locustfile
    )
    if problems:
        raise ScenarioError(problems)
    return scenario
