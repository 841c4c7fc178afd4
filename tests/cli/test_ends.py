"""Commands that are interrupted or killed leave a documented exit code and no process behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable

import psutil
import pytest

from doorbuster.errors import ExitCode

pytestmark = pytest.mark.alone

SCENARIO = """
title: Ends
target: {shop: {profile: replatformed, query_time: 1ms, products: 200}}
demand: {peak: 20 customers/s, curve: {stages: [{for: 30s, at: 100%}]}}
channels: {store: {share: 100%, journeys: {pos_sale: 1}}}
thresholds: {can_order: ["rate>=10%"]}
drain: 2s
"""
LIMIT_S = 60.0


class Commands:
    """Commands of a test, with every process that they have started."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.processes: list[psutil.Process] = []
        self._started: list[subprocess.Popen] = []
        (folder / "ends.yaml").write_text(SCENARIO, encoding="utf-8")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = str(found.getsockname()[1])

    def start(self, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "doorbuster", *words]
        with (self.folder / "said").open("a") as said:
            process = subprocess.Popen(
                command, cwd=self.folder, stdout=said, stderr=said, start_new_session=True
            )
        self._started.append(process)
        return process

    def run_and_worker(self) -> tuple[subprocess.Popen, subprocess.Popen]:
        """A run that waits for two workers, and one worker that has joined it."""
        run = self.start(
            "run", "ends.yaml", "--expect-workers", "2", "--bind-port", self.port, "--out", "out"
        )
        worker = self.start("worker", "--master-port", self.port)
        self.wait_until(lambda: "reported as ready" in self.log())
        return run, worker

    def log(self) -> str:
        log = self.folder / "out" / "locust.log"
        return log.read_text() if log.exists() else ""

    def wait_until(self, condition: Callable[[], bool]) -> None:
        give_up_at = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < give_up_at, (self.folder / "said").read_text()
            time.sleep(0.02)

    def remember(self) -> None:
        """Note all processes that run now."""
        for process in self._started:
            if process.poll() is None:
                own = psutil.Process(process.pid)
                self.processes += [own, *own.children(recursive=True)]

    def locust_of(self, process: subprocess.Popen) -> psutil.Process:
        return next(
            child
            for child in psutil.Process(process.pid).children()
            if "doorbuster.load.plain_locust" in child.cmdline()
        )

    def all_ended(self) -> bool:
        for process in self._started:
            process.poll()
        return not [one for one in self.processes if one.is_running() and one.status() != "zombie"]

    def kill(self) -> None:
        for process in self.processes:
            if process.is_running():
                process.kill()
        for process in self._started:
            process.kill()
            process.wait()


@pytest.fixture
def commands(tmp_path):
    made = Commands(tmp_path)
    yield made
    made.kill()


def test_a_killed_master_ends_the_workers_that_wait_for_a_run(commands):
    run, worker = commands.run_and_worker()
    commands.remember()
    commands.locust_of(run).kill()
    commands.wait_until(commands.all_ended)
    assert (run.wait(), worker.wait()) == (ExitCode.NOT_RECORDED, ExitCode.NOT_RECORDED)
    said = (commands.folder / "said").read_text()
    assert "it was killed by SIGKILL" in said
    assert "the master does not answer any more; this worker ends" in said


def test_one_early_ctrl_c_ends_the_run_and_the_workers(commands):
    run, _ = commands.run_and_worker()
    commands.remember()
    run.send_signal(signal.SIGINT)
    commands.wait_until(commands.all_ended)
    assert run.wait() == ExitCode.INTERRUPTED


@pytest.mark.truth
def test_a_killed_command_leaves_nothing_running(commands):
    run, worker = commands.run_and_worker()
    commands.remember()
    run.kill()
    worker.kill()
    commands.wait_until(commands.all_ended)


@pytest.mark.truth
def test_a_worker_whose_master_never_came_ends_with_its_command(commands):
    worker = commands.start("worker", "--master-port", commands.port)
    commands.wait_until(lambda: "Failed to connect" in (commands.folder / "said").read_text())
    commands.remember()
    worker.kill()
    commands.wait_until(commands.all_ended)


def test_any_number_of_ctrl_c_has_one_exit_code(commands):
    run = commands.start("run", "ends.yaml", "--workers", "2", "--out", "out")
    commands.wait_until((commands.folder / "out" / "run.sqlite").exists)
    commands.remember()
    while run.poll() is None:
        os.kill(run.pid, signal.SIGINT)
        time.sleep(0.05)
    said = (commands.folder / "said").read_text()
    assert run.wait() == ExitCode.INTERRUPTED, said
    commands.wait_until(commands.all_ended)
    assert "Traceback" not in (commands.folder / "said").read_text()


def test_an_interrupt_while_a_class_is_made_has_the_documented_exit_code(tmp_path):
    program = (
        "import doorbuster.cli as cli\n"
        "cli._run_command_line = lambda: exec('raise KeyboardInterrupt')\n"
        "cli.main()\n"
    )
    (tmp_path / "interrupted.py").write_text(program, encoding="utf-8")
    paths = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "interrupted"], env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    assert done.returncode == ExitCode.INTERRUPTED
