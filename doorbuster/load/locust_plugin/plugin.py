"""The plug-in: turns a locustfile into a run, in one process, on a master or on a worker.

A locustfile only calls `install(events)`; for another kind of shop it passes a driver with
`install(events, drivers=[MyShop])`, and the scenario names it as `target: {storefront: "custom:my-shop"}`.
Everything here uses Locust's public interfaces: events, runner messages, a load shape, a dispatcher class and
`process_exit_code`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import psutil
from locust.runners import WorkerRunner

from doorbuster.errors import DoorbusterError, FileProblem, ScenarioError, UsageError
from doorbuster.load.engine.generator import customer_classes
from doorbuster.load.http.generator_limits import raise_descriptor_limit
from doorbuster.load.locust_plugin.channel_key import protect_channel
from doorbuster.load.locust_plugin.dispatch import GeneratorUser, RunShape, SingleUserDispatcher
from doorbuster.load.locust_plugin.master import MasterNode
from doorbuster.load.locust_plugin.master_port import check_messages
from doorbuster.load.locust_plugin.requirements import unmet_requirements
from doorbuster.load.locust_plugin.worker import WorkerNode
from doorbuster.load.locust_plugin.worker_port import check_messages_of_master
from doorbuster.load.runtime.notes import note
from doorbuster.load.target.driver_lookup import INSTALLED, check_names
from doorbuster.load.target.endpoint import target_headers
from doorbuster.output import protect_streams
from doorbuster.output.logs import log_text, protect_logs
from doorbuster.output.secret_masking import remember_variables_of_drivers
from doorbuster.scenario import Scenario, find_scenario, is_locust_scenario, load_scenario, override
from doorbuster.storefronts import Storefront, drivers_with

Drivers = Mapping[str, type[Storefront]]

LOOPBACK = "127.0.0.1"
_NOT_FOR_SCHEDULES = {  # Locust's options by their names in its namespace
    "--tags": "tags",
    "--exclude-tags": "exclude_tags",
    "--users": "num_users",
    "--spawn-rate": "spawn_rate",
    "--run-time": "run_time",
    "--class-picker": "class_picker",
}
_OPTIONS = {
    "--scenario": "Scenario file (YAML), such as scenarios/smoke.yaml",
    "--run-folder": "Folder for run.sqlite. Default: reports/<time>-<scenario>",
}


def install(events: Any, *, drivers: Sequence[type[Storefront]] = ()) -> None:
    """Turn a Locust test into a doorbuster run; further calls only add drivers.

    Args:
        events: `locust.events`.
        drivers: storefronts that the locustfile adds; a scenario names one as `custom:` and its `name`.
    """
    added: list[type[Storefront]] | None = getattr(events, INSTALLED, None)
    if added is None:
        protect_streams(log_text)
        check_messages()
        check_messages_of_master()
        with exit_on_error():
            protect_channel()
        added = []
        setattr(events, INSTALLED, added)
        events.init_command_line_parser.add_listener(add_options)
        events.init.add_listener(partial(_on_init, added=added))
    added.extend(driver for driver in drivers if driver not in added)


def is_installed(events: Any) -> bool:
    """Whether a locustfile has called `install`."""
    return hasattr(events, INSTALLED)


def add_options(parser: Any, **_: Any) -> None:
    """Add doorbuster's options to Locust's parser, once."""
    if parser.get_default("run_folder") is not None:
        return
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


def _on_init(environment: Any, added: Sequence[type[Storefront]], **_: Any) -> None:
    raise_descriptor_limit()
    protect_logs()
    remember_variables_of_drivers()
    with exit_on_error():
        drivers = drivers_with(check_names(added))
        if isinstance(environment.runner, WorkerRunner):
            environment.doorbuster = WorkerNode(environment, drivers)
        else:
            scenario = _scenario(environment, drivers)
            check_options(environment)
            environment.doorbuster = MasterNode(environment, drivers, scenario)
    environment.dispatcher_class = SingleUserDispatcher
    environment.stop_timeout = 0.0


@contextmanager
def exit_on_error() -> Iterator[None]:
    """End this process and the workers it has forked, with message and exit code, on a DoorbusterError."""
    try:
        yield
    except DoorbusterError as error:
        sys.stderr.write("".join(f"doorbuster: {line}\n" for line in str(error).splitlines()))
        for worker in psutil.Process().children():  # Locust would leave those it has forked running
            with suppress(psutil.Error):
                worker.kill()
        sys.exit(int(error.exit_code))


def check_options(environment: Any) -> None:
    """Refuse options of Locust that have no meaning when customers arrive by a schedule.

    Raises: UsageError naming the options.
    """
    options = environment.parsed_options
    given = [name for name, key in _NOT_FOR_SCHEDULES.items() if getattr(options, key, None)]
    if getattr(options, "user_classes", None):
        given.append(f"class names ({', '.join(options.user_classes)})")
    if given:
        raise UsageError(
            f"{', '.join(given)} cannot be used with {environment.locustfile}: the scenario's demand and "
            "channels decide which customers arrive, and when; remove them from the command line, from "
            "LOCUST_ variables and from locust.conf"
        )
    if GeneratorUser not in environment.user_classes or not isinstance(environment.shape_class, RunShape):
        raise UsageError(
            f"{environment.locustfile} must import GeneratorUser and RunShape from doorbuster.load.locustfile"
        )


def host_on_command_line(args: Sequence[str]) -> bool:
    """Whether Locust's command line names the host itself, rather than a variable or a configuration file."""
    return any(arg.startswith(("--host=", "-H")) or arg == "--host" for arg in args)


def _scenario(environment: Any, drivers: Drivers) -> Scenario:
    """The scenario of the command line, checked against the locustfile and the driver.

    A --host on Locust's command line replaces its target; a host from elsewhere is ignored.

    Raises:
        ScenarioError: with every problem found.
    """
    options = environment.parsed_options
    if not options.scenario:
        raise ScenarioError([FileProblem("--scenario", 0, 0, "", "must name a scenario file",
                                     way_out="add --scenario scenarios/smoke.yaml")])  # fmt: skip
    path = find_scenario(options.scenario)
    if is_locust_scenario(path.read_text(encoding="utf-8-sig", errors="replace")):
        rule = f"has neither demand nor channels, which {environment.locustfile} needs"
        raise ScenarioError([FileProblem(str(path), 0, 0, "", rule, way_out="give a scenario of customers")])
    scenario = load_scenario(path)
    if environment.host and host_on_command_line(sys.argv[1:]):
        scenario = override(scenario, url=environment.host)
    elif environment.host and environment.host.rstrip("/") != scenario.target.url:
        note(
            f"the host {environment.host} of LOCUST_HOST or locust.conf is ignored; the target is "
            f"{scenario.target.url or 'the embedded shop'}, and --url names another"
        )
    environment.host = scenario.target.url  # what the web form shows
    driver = drivers.get(scenario.target.storefront)
    problems = unmet_requirements(
        scenario, customer_classes(environment.user_classes), driver, environment.locustfile
    )
    if problems:
        raise ScenarioError(problems)
    target_headers(scenario)  # refuse variables that are not set before anything is written
    return scenario
