"""The plug-in on the master, or in the only process."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from time import perf_counter
from typing import Any

import flask
import gevent
import psutil
from locust.runners import MasterRunner

from doorbuster.errors import DoorbusterError, ExitCode, RunError
from doorbuster.gate import judge, verdict
from doorbuster.load.coordination.clock_sync import (
    ClockExchange,
    ClockOffset,
    ClockReading,
    clock_offset,
    read_clocks,
)
from doorbuster.load.coordination.coordinator import RunCoordinator
from doorbuster.load.coordination.messages import (
    ACKNOWLEDGED,
    ASSIGNMENT,
    BATCH,
    CLOCK,
    CLOSE,
    TAKE_OVER,
    Acknowledgement,
    Assignment,
    ClockQuestion,
    Close,
    CloseCause,
    MasterMessage,
    TakeOver,
    batch_from_wire,
)
from doorbuster.load.coordination.model import RunRequest
from doorbuster.load.http.generator_limits import descriptor_limit
from doorbuster.load.locust_plugin.node import Node
from doorbuster.load.locust_plugin.web_ui import (
    EMBEDDED_SHOP,
    count_customers_in_csv,
    open_peak_tab,
    show_customers_as_users,
    start_hint,
)
from doorbuster.load.run_plan import Rows, RunPlan, WorkerAssignment
from doorbuster.load.runtime.generator_info import generator_info
from doorbuster.load.runtime.supervision import end_with_command
from doorbuster.load.target.endpoint import check_allowed
from doorbuster.output.termination_message import write_termination_message
from doorbuster.records.batch import Batch
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario, override
from doorbuster.storefronts import Storefront

logger = logging.getLogger("doorbuster")

END_LIMIT_S = 90.0  # Locust's shutdown waits this long for the run file to be complete
CLOCK_EXCHANGES = 5
CLOCK_LIMIT_S = 5.0
ASK_AGAIN_S = 0.3
SAME_PROCESS_S = 0.1  # no process id is reused within this time


class MasterNode(Node):
    """Coordinates one run after another, as Locust starts and stops tests."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]], scenario: Scenario) -> None:
        super().__init__(environment, drivers)
        self.scenario = scenario
        self.coordinator: RunCoordinator | None = None
        self._refused = self._is_interrupted = False
        self._waits_for_workers = environment.web_ui is None
        self._folder_option = environment.parsed_options.run_folder
        # Read now: Locust's web form may set every option later.
        self._confirmed = tuple(environment.parsed_options.confirm_host or ())
        self._workers: LocalWorkers | RemoteWorkers = (
            RemoteWorkers(environment.runner)
            if isinstance(environment.runner, MasterRunner)
            else LocalWorkers(self)
        )
        self._workers.listen(self._receive)
        # From the event loop: within the hooks of a fork, Python would drop the exception and lock logging.
        gevent.signal_handler(signal.SIGINT, self._on_interrupt)
        end_with_command(self._on_command_lost)
        events = environment.events
        events.test_start.add_listener(self._on_test_start)
        events.test_stopping.add_listener(self._on_test_stopping)
        events.test_stop.add_listener(self._on_test_stop)
        events.quitting.add_listener(self._on_test_stopping)
        if environment.web_ui is not None:
            environment.web_ui.app.before_request(self._check_form)
        self._peak_tab = open_peak_tab(environment, scenario.title, start_hint(scenario))
        show_customers_as_users(environment, scenario, self._live_stats.customers_in_shop)
        count_customers_in_csv(self._live_stats.customers_in_shop)

    def run_is_over(self) -> bool:
        return self._refused or (self.coordinator is not None and self.coordinator.over.is_set())

    # ---- Locust's events

    def _on_test_start(self, **_: Any) -> None:
        self._waits_for_workers = False
        self.reset()
        self._workers.refresh_workers()
        try:
            request = self._request()
        except DoorbusterError as error:  # the host of the web form
            logger.error("%s", error)
            self._refused = True
            return
        self._refused = False
        self.coordinator = RunCoordinator(request, self._workers)
        if self._peak_tab is not None:
            self._peak_tab.begin(request.folder, request.scenario.title)
        gevent.spawn(self._coordinate, self.coordinator)

    def _check_form(self) -> Any:
        """The answer of Locust's web UI to a form whose host may not be loaded; None lets the form pass."""
        if flask.request.method != "POST" or not flask.request.path.endswith("/swarm"):
            return None
        host = flask.request.form.get("host", "")
        try:
            url = self._scenario_for(host).target.url
            if url is not None:
                check_allowed(self.scenario, url, confirmed_hosts=self._confirmed_hosts())
        except DoorbusterError as error:
            logger.error("%s", error)
            return flask.jsonify({"success": False, "message": str(error), "host": self.environment.host})
        return None

    def _on_test_stopping(self, **_: Any) -> None:
        """Locust is being stopped: end the run properly before Locust kills the rest."""
        if self.coordinator is not None and not self.coordinator.over.is_set():
            runner = self.environment.runner
            if self._is_interrupted or not isinstance(runner, MasterRunner) or runner.worker_count:
                self.coordinator.interrupt("stopped before the end of the schedule")
            # Otherwise nobody stopped it: Locust ends a test whose last worker has left.
            self.coordinator.over.wait(timeout=END_LIMIT_S)

    def _on_test_stop(self, **_: Any) -> None:
        self.coordinator = None

    def _on_interrupt(self) -> None:
        """Ctrl-C; gevent raises it again in the main greenlet. Locust does not tell workers before a run."""
        self._is_interrupted = True
        if self._waits_for_workers:
            self.environment.runner.quit()
            raise SystemExit(int(ExitCode.INTERRUPTED))
        raise KeyboardInterrupt

    def _on_command_lost(self) -> None:
        """During a run, the coordinator ends it and keeps what is recorded."""
        if self._waits_for_workers:
            self.environment.runner.quit()
            os._exit(int(ExitCode.INTERRUPTED))

    # ---- the run

    def _receive(self, run_id: str, batch: Batch) -> None:
        """Pass on a report of the current run; late reports of an earlier run are ignored."""
        if self.coordinator is not None and self.coordinator.request.run_id == run_id:
            self.coordinator.receive(batch)

    def _coordinate(self, coordinator: RunCoordinator) -> None:
        code: ExitCode = ExitCode.BUG
        try:
            coordinator.run()
            failure = coordinator.failure
            code = failure.exit_code if failure is not None else self._log_verdict(coordinator)
        finally:
            self.environment.process_exit_code = int(code)
            coordinator.over.set()

    def _log_verdict(self, coordinator: RunCoordinator) -> ExitCode:
        folder = coordinator.request.folder
        with Run.open(folder) as run:
            result = verdict(run, judge(run, (), self.scenario.thresholds))
        logger.info("%s", result.sentence)
        if why := write_termination_message(result.sentence):  # for a container that starts Locust itself
            logger.warning("%s", why)
        logger.info("to create the full report: doorbuster report %s", folder)
        return result.exit_code

    def _request(self) -> RunRequest:
        now = datetime.now().astimezone()
        folder = self._folder_option or f"reports/{now:%Y%m%d-%H%M%S}-{self.scenario.name}"
        self._folder_option = ""  # a second run from the web UI gets its own folder
        return RunRequest(
            scenario=self._scenario_for(self.environment.host),
            driver=self.drivers[self.scenario.target.storefront],
            folder=Path(folder),
            run_id=f"{now:%Y%m%dT%H%M%S}-{token_hex(3)}",
            confirmed_hosts=self._confirmed_hosts(),
            environment=generator_info(),
        )

    def _scenario_for(self, host: str | None) -> Scenario:
        """The scenario, or the same against the host that was typed into the web form.

        Raises: ScenarioError if safety.allow does not list the host.
        """
        url = (host or "").strip().rstrip("/").removeprefix(EMBEDDED_SHOP)
        return override(self.scenario, url=url) if url and url != self.scenario.target.url else self.scenario

    def _confirmed_hosts(self) -> tuple[str, ...]:
        return self._confirmed


class LocalWorkers:
    """The only process: it has both the coordinator and the generator."""

    def __init__(self, node: Node) -> None:
        self.names = ["local"]
        self._node = node
        self._receive: Any = None

    def listen(self, receive: Any) -> None:
        self._receive = receive

    def refresh_workers(self) -> None:
        """The only worker never changes."""

    def sync_clocks(self) -> tuple[str, ...]:
        """One process has one clock."""
        return ()

    def descriptor_limits(self) -> dict[str, int]:
        return {self.names[0]: descriptor_limit()}

    def distribute(self, plan: RunPlan) -> None:
        assignment = WorkerAssignment(plan, self.names[0], index=0, count=1)
        self._node.assign(assignment, partial(self._receive, plan.run_id))

    def ended_workers(self) -> frozenset[str]:
        """The process that calls this has not ended."""
        return frozenset()

    def acknowledge(self, *_: Any) -> None:
        """A report cannot get lost within a process."""

    def reassign(self, *_: Any) -> None:
        raise AssertionError("there is no other worker")

    def stop_worker(self, *_: Any) -> None:
        gevent.spawn(self._node.close, "worker_lost")

    def stop_all(self, cause: CloseCause) -> None:
        gevent.spawn(self._node.close, cause)


class RemoteWorkers:
    """Workers in other processes, reached over Locust's channel."""

    def __init__(self, runner: MasterRunner) -> None:
        self.names: list[str] = []
        self._runner = runner
        self._run_id = ""  # of the plan that was distributed last; none before that of the current run
        self._clock_answers: dict[str, list[ClockExchange]] = {}
        self._clocks: dict[str, ClockOffset] = {}
        self._processes: dict[str, psutil.Process] = {}
        self._descriptors: dict[str, int] = {}

    def listen(self, receive: Any) -> None:
        def on_batch(msg: Any, **_: Any) -> None:
            run_id, batch = batch_from_wire(msg.data)
            if batch.worker == msg.node_id:  # a report in another worker's name is nobody's
                receive(run_id, batch)

        self._runner.register_message(BATCH, on_batch)
        self._runner.register_message(CLOCK, self._on_clock)

    def refresh_workers(self) -> None:
        """Use the workers that are connected now."""
        clients = self._runner.clients
        self._run_id = ""
        self.names = [node.id for node in clients.ready + clients.spawning + clients.running]

    def sync_clocks(self) -> tuple[str, ...]:
        self._exchange_clocks()
        offsets = {name: clock_offset(self._clock_answers[name]) for name in self.names}
        self._clocks = {name: clock for name, clock in offsets.items() if clock is not None}
        unanswered = [name for name in self.names if name not in self._clocks]
        if len(unanswered) == len(self.names):
            connected = ", ".join(self.names) or "none"
            raise RunError(f"no worker answered within {CLOCK_LIMIT_S:g} s (connected: {connected})")
        self.names = list(self._clocks)
        return (
            *(f"{name}: clock {clock}, corrected" for name, clock in self._clocks.items()),
            *(f"{name}: left out, it did not answer within {CLOCK_LIMIT_S:g} s" for name in unanswered),
        )

    def begin(self, run_id: str) -> None:
        """Acknowledge the reports of this run from now on."""
        self._run_id = run_id

    def counter_offset_s(self, name: str) -> float:
        """How far a worker's counter is ahead of this process's; known after `sync_clocks`."""
        return self._clocks[name].counter_s

    def descriptor_limits(self) -> dict[str, int]:
        return {name: self._descriptors[name] for name in self.names}

    def distribute(self, plan: RunPlan) -> None:
        self.begin(plan.run_id)
        for index, name in enumerate(self.names):
            offset_s = self.counter_offset_s(name)
            part = Assignment.of(plan, index=index, count=len(self.names), counter_offset_s=offset_s)
            self.send(name, ASSIGNMENT, part)

    def ended_workers(self) -> frozenset[str]:
        return frozenset(name for name, process in self._processes.items() if _has_ended(process))

    def acknowledge(self, worker: str, seq: int, share_per_s: float | None = None) -> None:
        message = Acknowledgement(run_id=self._run_id, seq=seq, share_per_s=share_per_s)
        self.send(worker, ACKNOWLEDGED, message)

    def reassign(self, worker: str, rows: Rows) -> None:
        self.send(worker, TAKE_OVER, TakeOver.of(self._run_id, rows))

    def stop_worker(self, worker: str) -> None:
        self._close(worker, "worker_lost")

    def stop_all(self, cause: CloseCause) -> None:
        for name in self.names:
            self._close(name, cause)

    def send(self, worker: str, kind: str, message: MasterMessage) -> None:
        """Send a worker a message."""
        self._runner.send_message(kind, message.to_wire(), client_id=worker)

    def _close(self, worker: str, cause: CloseCause) -> None:
        self.send(worker, CLOSE, Close(run_id=self._run_id, cause=cause))

    def _exchange_clocks(self) -> None:
        self._clock_answers = {name: [] for name in self.names}
        self._processes.clear()
        with gevent.Timeout(CLOCK_LIMIT_S, False):
            for number in range(1, CLOCK_EXCHANGES + 1):
                while waiting := self._without_answers(number):
                    for name in waiting:
                        self.send(name, CLOCK, ClockQuestion(sent=list(read_clocks())))
                    ask_again_at = perf_counter() + ASK_AGAIN_S
                    while self._without_answers(number) and perf_counter() < ask_again_at:
                        gevent.sleep(0.002)

    def _without_answers(self, number: int) -> list[str]:
        """The workers that have answered less than `number` times; one that still starts hears nothing."""
        return [name for name, answers in self._clock_answers.items() if len(answers) < number]

    def _on_clock(self, msg: Any, **_: Any) -> None:
        received, answer = read_clocks(), msg.data
        exchange = ClockExchange(ClockReading(*answer["sent"]), ClockReading(*answer["there"]), received)
        if msg.node_id in self._clock_answers:
            self._clock_answers[msg.node_id].append(exchange)
            self._descriptors[msg.node_id] = answer["descriptors"]
            process = _process_here(answer["pid"], created_unix_s=answer["created_unix_s"])
            if process is not None:
                self._processes[msg.node_id] = process


def _process_here(pid: int, *, created_unix_s: float) -> psutil.Process | None:
    """The local process of this number; None if the worker with this number runs on another machine."""
    try:
        process = psutil.Process(pid)
        is_same = abs(process.create_time() - created_unix_s) < SAME_PROCESS_S
    except psutil.Error:
        return None
    return process if is_same else None


def _has_ended(process: psutil.Process) -> bool:
    """Whether a process has ended, including zombies, which their parent has not waited for."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
