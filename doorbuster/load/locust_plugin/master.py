"""The master's side of a run, or the only side when one process does everything."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import gevent
import psutil
from locust.runners import MasterRunner

from doorbuster.errors import ExitCode, RunError
from doorbuster.gate import judge, verdict
from doorbuster.load.coordination.clock_sync import (
    ClockExchange,
    ClockOffset,
    ClockReading,
    clock_offset,
    read_clocks,
)
from doorbuster.load.coordination.coordinator import RunCoordinator, RunPlan, RunRequest
from doorbuster.load.coordination.messages import (
    ACKNOWLEDGED,
    BATCH,
    CLOCK,
    CLOSE,
    ORDERS,
    TAKE_OVER,
    batch_from_wire,
    orders_to_wire,
    rows_to_wire,
)
from doorbuster.load.coordination.worker_registry import Rows
from doorbuster.load.engine.generator import make_assignment
from doorbuster.load.locust_plugin.node import Node
from doorbuster.load.target.environment_info import about_this_generator
from doorbuster.records.batch import Batch
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario
from doorbuster.storefronts import Storefront

logger = logging.getLogger("doorbuster")

END_LIMIT_S = 90.0  # how long Locust's shutdown waits for the run file to be complete
CLOCK_QUESTIONS = 5
CLOCK_LIMIT_S = 5.0
SAME_PROCESS_S = 0.1  # two processes of one number were never started within so short a time


class MasterNode(Node):
    """Conducts one run after the other, as Locust starts and stops tests."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]], scenario: Scenario) -> None:
        super().__init__(environment, drivers)
        self.scenario = scenario
        self.conductor: RunCoordinator | None = None
        self._folder_option = environment.parsed_options.run_folder
        self._crew: LocalWorkers | RemoteWorkers = (
            RemoteWorkers(environment.runner, scenario)
            if isinstance(environment.runner, MasterRunner)
            else LocalWorkers(self, scenario)
        )
        self._crew.listen(self._receive)
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_test_stopping)

    def run_is_over(self) -> bool:
        return self.conductor is not None and self.conductor.over.is_set()

    # ---- Locust's events

    def _on_test_start(self, **_: Any) -> None:
        self.forget()
        self._crew.muster()
        self.conductor = RunCoordinator(self._brief(), self._crew)
        gevent.spawn(self._conduct, self.conductor)

    def _on_test_stopping(self, **_: Any) -> None:
        """Somebody stops Locust: end the run orderly before Locust kills what is left."""
        if self.conductor is not None and not self.conductor.over.is_set():
            self.conductor.interrupt("stopped before the end of the schedule")
            self.conductor.over.wait(timeout=END_LIMIT_S)

    def _on_test_stop(self, **_: Any) -> None:
        self.conductor = None

    # ---- the run

    def _receive(self, run_id: str, batch: Batch) -> None:
        """A report counts for its own run; one that comes when that is over counts for none."""
        if self.conductor is not None and self.conductor.brief.run_id == run_id:
            self.conductor.receive(batch)

    def _conduct(self, conductor: RunCoordinator) -> None:
        code: ExitCode = ExitCode.BUG
        try:
            conductor.run()
            failure = conductor.failure
            code = failure.exit_code if failure is not None else self._tell_verdict(conductor)
        finally:
            self.environment.process_exit_code = int(code)
            conductor.over.set()

    def _tell_verdict(self, conductor: RunCoordinator) -> ExitCode:
        folder = conductor.brief.folder
        with Run.open(folder) as run:
            result = verdict(run, judge(run, (), self.scenario.thresholds))
        logger.info("%s", result.sentence)
        logger.info("for the whole report: doorbuster report %s", folder)
        return result.exit_code

    def _brief(self) -> RunRequest:
        now = datetime.now().astimezone()
        folder = self._folder_option or f"reports/{now:%Y%m%d-%H%M%S}-{self.scenario.name}"
        self._folder_option = ""  # a second run from the web UI gets a folder of its own
        return RunRequest(
            scenario=self.scenario,
            driver=self.drivers[self.scenario.target.storefront],
            folder=Path(folder),
            run_id=f"{now:%Y%m%dT%H%M%S}-{token_hex(3)}",
            confirmed_host=self.environment.parsed_options.confirm_host or None,
            about=about_this_generator(),
        )


class LocalWorkers:
    """The only process: conductor and generator side by side."""

    def __init__(self, side: Node, scenario: Scenario) -> None:
        self.names = ["local"]
        self._side = side
        self._scenario = scenario
        self._receive: Any = None

    def listen(self, receive: Any) -> None:
        self._receive = receive

    def muster(self) -> None:
        """There is nobody to call together."""

    def meet(self) -> tuple[str, ...]:
        """One process has one clock."""
        return ()

    def distribute(self, orders: RunPlan) -> None:
        share = make_assignment(orders, self._scenario, index=0, count=1, worker=self.names[0])
        self._side.assign(share, partial(self._receive, orders.run_id))

    def gone(self) -> frozenset[str]:
        """Whoever asks is there."""
        return frozenset()

    def acknowledge(self, *_: Any) -> None:
        """A report cannot get lost within a process."""

    def take_over(self, *_: Any) -> None:
        raise AssertionError("a single worker has no heirs")

    def stop_worker(self, *_: Any) -> None:
        gevent.spawn(self._side.close, "worker_lost")

    def stop_all(self, cause: str) -> None:
        gevent.spawn(self._side.close, cause)


class RemoteWorkers:
    """Workers in other processes, reached over Locust's channel."""

    def __init__(self, runner: MasterRunner, scenario: Scenario) -> None:
        self.names: list[str] = []
        self._runner = runner
        self._scenario = scenario
        self._run_id = ""
        self._clock_answers: dict[str, list[ClockExchange]] = {}
        self._clocks: dict[str, ClockOffset] = {}
        self._processes: dict[str, psutil.Process] = {}

    def listen(self, receive: Any) -> None:
        self._runner.register_message(BATCH, lambda msg, **_: receive(*batch_from_wire(msg.data)))
        self._runner.register_message(CLOCK, self._on_clock)

    def muster(self) -> None:
        """The workers of the next run are those connected now."""
        clients = self._runner.clients
        self.names = [node.id for node in clients.ready + clients.spawning + clients.running]

    def meet(self) -> tuple[str, ...]:
        self._ask_the_time()
        offsets = {name: clock_offset(self._clock_answers[name]) for name in self.names}
        self._clocks = {name: clock for name, clock in offsets.items() if clock is not None}
        silent = [name for name in self.names if name not in self._clocks]
        if len(silent) == len(self.names):
            connected = ", ".join(self.names) or "none"
            raise RunError(f"no worker answered within {CLOCK_LIMIT_S:g} s (connected: {connected})")
        self.names = list(self._clocks)
        return (
            *(f"{name}: clock {clock}, corrected" for name, clock in self._clocks.items()),
            *(f"{name}: left out, it did not answer within {CLOCK_LIMIT_S:g} s" for name in silent),
        )

    def distribute(self, orders: RunPlan) -> None:
        self._run_id = orders.run_id
        for index, name in enumerate(self.names):
            wire = orders_to_wire(
                orders,
                self._scenario,
                index=index,
                count=len(self.names),
                counter_offset_s=self._clocks[name].counter_s,
            )
            self._runner.send_message(ORDERS, wire, client_id=name)

    def gone(self) -> frozenset[str]:
        return frozenset(name for name, process in self._processes.items() if _has_ended(process))

    def acknowledge(self, worker: str, seq: int) -> None:
        self._runner.send_message(ACKNOWLEDGED, {"run_id": self._run_id, "seq": seq}, client_id=worker)

    def take_over(self, worker: str, rows: Rows) -> None:
        self._runner.send_message(TAKE_OVER, rows_to_wire(rows), client_id=worker)

    def stop_worker(self, worker: str) -> None:
        self._runner.send_message(CLOSE, {"cause": "worker_lost"}, client_id=worker)

    def stop_all(self, cause: str) -> None:
        for name in self.names:
            self._runner.send_message(CLOSE, {"cause": cause}, client_id=name)

    def _ask_the_time(self) -> None:
        self._clock_answers = {name: [] for name in self.names}
        self._processes.clear()
        with gevent.Timeout(CLOCK_LIMIT_S, False):
            for question in range(1, CLOCK_QUESTIONS + 1):
                for name in self.names:
                    self._runner.send_message(CLOCK, {"sent": read_clocks()}, client_id=name)
                while any(len(answers) < question for answers in self._clock_answers.values()):
                    gevent.sleep(0.002)

    def _on_clock(self, msg: Any, **_: Any) -> None:
        received, answer = read_clocks(), msg.data
        exchange = ClockExchange(ClockReading(*answer["sent"]), ClockReading(*answer["there"]), received)
        if msg.node_id in self._clock_answers:
            self._clock_answers[msg.node_id].append(exchange)
            process = _process_here(answer["pid"], created_unix_s=answer["created_unix_s"])
            if process is not None:
                self._processes[msg.node_id] = process


def _process_here(pid: int, *, created_unix_s: float) -> psutil.Process | None:
    """The process of that number, unless it is one of another machine that happens to have the number."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - created_unix_s) < SAME_PROCESS_S
    except psutil.Error:
        return None
    return process if same else None


def _has_ended(process: psutil.Process) -> bool:
    """Whether it is no more; killed ones stay listed until their parent has looked at them."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
