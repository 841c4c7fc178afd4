"""The plug-in: how Locust's events become a run, in one process, on a master or on a worker.

`install(events)` in a locustfile is all it takes. Everything here is public Locust: events, runner messages,
a load shape, a dispatcher class and `process_exit_code`.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import astuple
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import gevent
from gevent.event import Event as Flag
from locust.runners import MasterRunner, WorkerRunner

from doorbuster.errors import DoorbusterError, ExitCode
from doorbuster.gate import judge, verdict
from doorbuster.load.about import about_this_generator
from doorbuster.load.conductor import Brief, Conductor, Orders, exit_code_of, seconds_until
from doorbuster.load.dispatch import GateDispatcher
from doorbuster.load.generator import Assignment, Generator, customer_classes
from doorbuster.records.batch import Batch
from doorbuster.records.run import Run
from doorbuster.scenario import JOURNEYS, Scenario, load_scenario, plan_schedule, read_scenario
from doorbuster.storefronts import DRIVERS, Assortment

logger = logging.getLogger("doorbuster")

ORDERS, BATCH, CLOSE = "doorbuster_orders", "doorbuster_batch", "doorbuster_close"
END_LIMIT_S = 90.0  # how long Locust's shutdown waits for the run file to be complete


def install(events: Any) -> None:
    """Make the locustfile that calls this a doorbuster run; `events` is `locust.events`."""
    events.init_command_line_parser.add_listener(_add_options)
    events.init.add_listener(_on_init)


def _add_options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("doorbuster options")
    group.add_argument(
        "--scenario", default="", help="The peak to recreate: a YAML file, such as scenarios/smoke.yaml"
    )
    group.add_argument(
        "--run-folder", default="", help="Folder for run.sqlite. Default: reports/<time>-<scenario>"
    )
    group.add_argument(
        "--shop-profile", default="", help="Profile of the embedded shop, such as replatformed"
    )
    group.add_argument(
        "--confirm-host", default="", help="Confirms by name that a host beyond loopback may be loaded"
    )
    group.add_argument(
        "--run-seed", type=int, default=None, help="Seed of arrivals and customers. Default: the scenario's"
    )


def _on_init(environment: Any, **_: Any) -> None:
    try:
        plugin: Plugin = WorkerPlugin(environment) if _is_worker(environment) else MasterPlugin(environment)
    except DoorbusterError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(int(error.exit_code))
    environment.doorbuster = plugin
    environment.dispatcher_class = GateDispatcher
    environment.stop_timeout = 0.0


def _is_worker(environment: Any) -> bool:
    return isinstance(environment.runner, WorkerRunner)


class Plugin:
    """What gate and shape ask of either side."""

    def __init__(self, environment: Any) -> None:
        self.environment = environment
        self.generator: Generator | None = None
        self._assigned = Flag()

    def hold_gate(self) -> None:
        """Let this worker's customers in and wait until the last one has left; runs in Locust's gate user."""
        self._assigned.wait()
        if self.generator is not None:
            self.generator.run()

    def run_is_over(self) -> bool:
        return False

    def _assign(self, assignment: Assignment, ship: Any) -> None:
        self.generator = Generator(self.environment, assignment, ship)
        self._assigned.set()


class WorkerPlugin(Plugin):
    """One worker of a distributed run: takes orders, ships batches."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        runner = environment.runner
        runner.register_message(ORDERS, self._on_orders, concurrent=True)
        runner.register_message(CLOSE, self._on_close, concurrent=True)
        environment.events.test_stopping.add_listener(self._on_test_stopping)

    def _on_orders(self, msg: Any, **_: Any) -> None:
        wire = msg.data
        scenario = read_scenario(wire["scenario_text"], file=wire["scenario_name"])
        scenario = scenario.with_seed(wire["seed"])
        orders = Orders(
            run_id=wire["run_id"],
            schedule=plan_schedule(scenario),
            assortment=Assortment(*(tuple(column) for column in wire["assortment"])),
            url=wire["url"],
            starts_at_unix_s=wire["starts_at_unix_s"],
        )
        share = _share(orders, scenario, wire["index"], wire["count"], self.environment.runner.client_id)
        self._assign(share, self._ship)

    def _ship(self, batch: Batch) -> None:
        self.environment.runner.send_message(BATCH, batch.to_wire())

    def _on_close(self, msg: Any, **_: Any) -> None:
        if self.generator is not None:
            self.generator.stop_cause = msg.data["cause"]
            self.generator.close()
        self._assigned.set()

    def _on_test_stopping(self, **_: Any) -> None:
        if self.generator is not None:
            self.generator.close()
        self._assigned.clear()
        self.generator = None


class MasterPlugin(Plugin):
    """The master of a distributed run, or the only process of a local one."""

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        options = environment.parsed_options
        self.scenario = _scenario(options, environment)
        self.conductor: Conductor | None = None
        self._folder_option = options.run_folder
        if isinstance(environment.runner, MasterRunner):
            environment.runner.register_message(BATCH, self._on_batch)
        for event, listener in (
            (environment.events.test_start, self._on_test_start),
            (environment.events.test_stopping, self._on_test_stopping),
            (environment.events.test_stop, self._on_test_stop),
            (environment.events.quitting, self._on_test_stopping),
        ):
            event.add_listener(listener)

    def run_is_over(self) -> bool:
        return self.conductor is not None and self.conductor.over.is_set()

    # ---- Locust's events

    def _on_test_start(self, **_: Any) -> None:
        self._assigned.clear()
        self.generator = None
        self.conductor = Conductor(
            self._brief(), self._workers(), hand_out=self._hand_out, close_gates=self._close_gates
        )
        gevent.spawn(self._conduct, self.conductor)

    def _on_test_stopping(self, **_: Any) -> None:
        """Somebody stops Locust: end the run orderly before Locust kills what is left."""
        if self.conductor is not None and not self.conductor.over.is_set():
            self.conductor.interrupt("stopped before the end of the schedule")
            self.conductor.over.wait(timeout=END_LIMIT_S)

    def _on_test_stop(self, **_: Any) -> None:
        self.conductor = None

    def _on_batch(self, msg: Any, **_: Any) -> None:
        if self.conductor is not None:
            self.conductor.receive(Batch.from_wire(msg.data))

    # ---- the run

    def _conduct(self, conductor: Conductor) -> None:
        conductor.run()
        code = exit_code_of(conductor.failure, "finished")
        if code is None:
            code = self._tell_verdict(conductor)
        self.environment.process_exit_code = int(code)

    def _tell_verdict(self, conductor: Conductor) -> ExitCode:
        folder = conductor.brief.folder
        with Run.open(folder) as run:
            result = verdict(run, judge(run, (), self.scenario.thresholds))
        logger.info("%s", result.sentence)
        logger.info("for the whole report: doorbuster report %s", folder)
        return result.exit_code

    def _brief(self) -> Brief:
        now = datetime.now().astimezone()
        folder = self._folder_option or f"reports/{now:%Y%m%d-%H%M%S}-{self.scenario.name}"
        self._folder_option = ""  # a second run from the web UI gets a folder of its own
        return Brief(
            scenario=self.scenario,
            folder=Path(folder),
            run_id=f"{now:%Y%m%dT%H%M%S}-{token_hex(3)}",
            confirmed_host=self.environment.parsed_options.confirm_host or None,
            about=about_this_generator(),
        )

    def _workers(self) -> list[str]:
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            return [
                node.id for node in runner.clients.ready + runner.clients.spawning + runner.clients.running
            ]
        return ["local"]

    def _hand_out(self, orders: Orders) -> None:
        assert self.conductor is not None
        names = self.conductor.workers
        if not isinstance(self.environment.runner, MasterRunner):
            share = _share(orders, self.scenario, 0, 1, "local")
            self._assign(share, self.conductor.receive)
            return
        common = {
            "run_id": orders.run_id,
            "scenario_text": self.scenario.source_text,
            "scenario_name": self.scenario.name,
            "seed": self.scenario.seed,
            "assortment": astuple(orders.assortment),
            "url": orders.url,
            "starts_at_unix_s": orders.starts_at_unix_s,
            "count": len(names),
        }
        for index, name in enumerate(names):
            self.environment.runner.send_message(ORDERS, {**common, "index": index}, client_id=name)

    def _close_gates(self, cause: str) -> None:
        runner = self.environment.runner
        if isinstance(runner, MasterRunner):
            runner.send_message(CLOSE, {"cause": cause})
        elif self.generator is not None:
            self.generator.stop_cause = cause
            gevent.spawn(self.generator.close)
        self._assigned.set()


def _share(orders: Orders, scenario: Scenario, index: int, count: int, worker: str) -> Assignment:
    """The part of the orders that is for worker `index` of `count`; its own customers, seats and ceilings."""
    return Assignment(
        run_id=orders.run_id,
        worker=worker,
        index=index,
        count=count,
        scenario=scenario,
        schedule=orders.schedule.share(index, count),
        assortment=orders.assortment,
        url=orders.url,
        started_at=seconds_until(orders.starts_at_unix_s),
        max_in_flight=max(scenario.safety.max_in_flight // count, 1),
        max_rate_per_s=scenario.safety.max_rate_per_s / count,
    )


def _scenario(options: Any, environment: Any) -> Scenario:
    """The scenario of the command line, with its overrides, checked against the locustfile and the driver.

    Raises:
        ScenarioError: with every problem found.
        DoorbusterError: no scenario was named, or the locustfile lacks a channel or a journey.
    """
    if not options.scenario:
        raise _usage("name the peak to recreate: --scenario scenarios/smoke.yaml")
    scenario = load_scenario(options.scenario)
    if environment.host or options.shop_profile:
        scenario = scenario.with_target(url=environment.host or None, profile=options.shop_profile or None)
    if options.run_seed is not None:
        scenario = scenario.with_seed(options.run_seed)
    _check_customers(scenario, environment)
    return scenario


def _check_customers(scenario: Scenario, environment: Any) -> None:
    classes, driver = customer_classes(environment), DRIVERS[scenario.target.storefront]
    missing = []
    for name, channel in scenario.channels.items():
        if name not in classes:
            missing.append(f"a Customer class with channel = {name!r}")
            continue
        for journey in channel.journeys:
            if not callable(getattr(classes[name], journey, None)):
                missing.append(f"the journey {journey!r} in {classes[name].__name__}")
            lacks = driver.supports([visit.step for visit in JOURNEYS[journey].steps])
            missing += [
                f"the step {step!r} in the driver {driver.name!r} (journey {journey})" for step in lacks
            ]
    if missing:
        raise _usage(f"{environment.locustfile} cannot play {scenario.name}; it needs " + "; ".join(missing))


def _usage(text: str) -> DoorbusterError:
    error = DoorbusterError(text)
    error.exit_code = ExitCode.INVALID_CONFIGURATION
    return error
