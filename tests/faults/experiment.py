"""One run that something is done to: its processes, its server, its run file, and what must hold then."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import psutil

from doorbuster.errors import RecordError
from doorbuster.locust_process import local_workers
from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario, plan_schedule

ROOT = Path(__file__).parent.parent.parent
PEAK_PER_S, LENGTH_S = 40, 7
PAGE = """
title: A run that something happens to
target: {{storefront: "custom:one-page", url: "{url}"{sources}}}
demand: {{peak: {peak} customers/s, curve: {{stages: [{{for: {length_s}s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, {behaviour}}}}}
thresholds: {{served: ["rate>=99%"], http_req_failed: ["rate<=1%"]}}
safety: {{max_rate: {max_rate} requests/s}}
drain: 10s
"""
ORDERS = """
title: Orders while a clock is set
target: {{storefront: reference, {target}}}
demand: {{peak: 8 customers/s, curve: {{stages: [{{for: {length_s}s, at: 100%}}]}}}}
channels: {{store: {{share: 100%, journeys: {{pos_sale: 1}}}}}}
thresholds: {{orders_missing: ["count==0"]}}
drain: 10s
"""


class SkippedError(Exception):
    """The machine does not allow this experiment."""


class Experiment:
    """One round. `expect` collects what did not hold."""

    def __init__(self, folder: Path, rng: Random) -> None:
        folder.mkdir(parents=True)
        self.folder, self.rng = folder, rng
        self.run_folder = folder / "run"
        self.violations: list[str] = []
        self.url = ""
        self.said = ""
        self._processes: list[subprocess.Popen] = []
        self._mounts: list[Path] = []
        self._command: subprocess.Popen | None = None

    def expect(self, holds: object, what: str) -> None:
        """Note a guarantee that did not hold."""
        if not holds:
            self.violations.append(what)

    # ---- starting

    def spawn(
        self, *words: object, environ: dict[str, str] | None = None, output: str = ""
    ) -> subprocess.Popen:
        """Start a process that `close` ends."""
        said = (self.folder / output).open("w") if output else subprocess.PIPE
        process = subprocess.Popen(
            list(map(str, words)), cwd=ROOT, stdin=subprocess.PIPE, stdout=said,
            stderr=subprocess.STDOUT if output else None, text=True, start_new_session=True,
            env={**os.environ, **(environ or {})},
        )  # fmt: skip
        self._processes.append(process)
        return process

    def serve(self, *options: object, prefix: tuple[object, ...] = ()) -> str:
        """Start the server of one page; returns its URL."""
        server = self.spawn(*prefix, sys.executable, ROOT / "tests/truth/stall_server.py", *options)
        self.url = server.stdout.readline().strip()
        return self.url

    def start(
        self,
        scenario: str = "",
        *,
        workers: int = 2,
        peak: int = PEAK_PER_S,
        length_s: int = LENGTH_S,
        behaviour: str = "think: {constant: 1s}",
        max_rate: int = 1000,
        sources: str = "",
        options: tuple[object, ...] = (),
        prefix: tuple[object, ...] = (),
        environ: dict[str, str] | None = None,
    ) -> subprocess.Popen:
        """Start `doorbuster run` against the server of one page, or with another scenario."""
        file = self.folder / "scenario.yaml"
        file.write_text(scenario or PAGE.format(
            url=self.url, peak=peak, length_s=length_s, behaviour=behaviour, max_rate=max_rate,
                sources=f", source_addresses: [{sources}]" if sources else "",
        ))  # fmt: skip
        words = [sys.executable, "-m", "doorbuster", "run", file, "--out", self.run_folder, "--quiet"]
        if not scenario:
            words += ["--locustfile", ROOT / "tests/load/one_step.py"]
        if workers:
            words += ["--workers", workers]
        self._command = self.spawn(*prefix, *words, *options, environ=environ, output="said")
        return self._command

    def start_locust(self, scenario: str, *, workers: int, environ: dict[str, str]) -> subprocess.Popen:
        """Start the process that loads, without the command that waits for it."""
        file = self.folder / "scenario.yaml"
        file.write_text(scenario)
        words: list[object] = [
            sys.executable, "-m", "doorbuster.load.plain_locust", "-f", ROOT / "locustfiles/retail_peak.py",
            "--headless", "--only-summary", "--scenario", file, "--run-folder", self.run_folder,
        ]  # fmt: skip
        self._command = self.spawn(
            *words, *(local_workers(workers) if workers else ()), environ=environ, output="said"
        )
        return self._command

    def small_disk(self, size: str = "1m") -> Path:
        """A disk of this size; the run is recorded on it. Raises: SkippedError without the right to mount."""
        disk = self.folder / "disk"
        disk.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk], capture_output=True
        )
        if done.returncode:
            raise SkippedError("needs the right to mount a file system")
        self._mounts.append(disk)
        self.run_folder = disk / "run"
        return disk

    # ---- looking

    def wait_for_second(self, second: float, *, limit_s: float = 60) -> None:
        """Wait until this many seconds of the run are recorded."""
        give_up_at = time.monotonic() + limit_s
        while time.monotonic() < give_up_at:
            try:
                with Run.open(self.run_folder) as run:
                    if run.recorded_s >= second:
                        return
            except RecordError:
                if self._command.poll() is not None:
                    break
            time.sleep(0.05)
        raise AssertionError(f"second {second} was never recorded: {self.output()[-600:]}")

    def at_a_random_moment(self, first_s: float = 1.0, last_s: float = 3.0) -> None:
        """Wait until some time of the run."""
        self.wait_for_second(int(first_s))
        time.sleep(self.rng.uniform(0, last_s - first_s))

    def master(self) -> psutil.Process:
        """The process that records the run."""
        return next(
            child for child in psutil.Process(self._command.pid).children(recursive=True)
            if "plain_locust" in " ".join(child.cmdline())
        )  # fmt: skip

    def workers(self) -> list[psutil.Process]:
        """The worker processes that the master has forked."""
        return [child for child in self.master().children() if "plain_locust" in " ".join(child.cmdline())]

    def a_worker(self) -> psutil.Process:
        return self.rng.choice(self.workers())

    def end(self, limit_s: float = 150) -> int:
        """Wait for the end of the command; returns its exit code."""
        code = self._command.wait(timeout=limit_s)
        self.said = self.output()
        return code

    def output(self) -> str:
        file = self.folder / "said"
        return file.read_text(errors="replace") if file.exists() else ""

    def events(self, kind: str) -> list[str]:
        with Run.open(self.run_folder) as run:
            return [event.text for event in run.events() if event.kind == kind]

    def dropped(self) -> Counter[str]:
        """Dropped customers by cause."""
        causes: Counter[str] = Counter()
        with Run.open(self.run_folder) as run:
            for row in run.customers():
                if row.outcome == "dropped":
                    causes[row.cause] += row.n
        return causes

    def arrivals_s(self) -> np.ndarray:
        """When the server got its requests, by its own clock."""
        with urllib.request.urlopen(f"{self.url}/arrivals", timeout=10) as answer:
            return np.sort(json.loads(answer.read()))

    def most_in_a_second(self) -> int:
        at_s = self.arrivals_s()
        return int((np.searchsorted(at_s, at_s + 1.0, side="left") - np.arange(len(at_s))).max(initial=0))

    # ---- guarantees

    def expect_nothing_lost(self) -> None:
        """Every planned customer was sent, served and recorded once."""
        planned = len(plan_schedule(load_scenario(self.folder / "scenario.yaml")))
        with Run.open(self.run_folder) as run:
            served, recorded = run.outcome_totals().served, run.histogram().n
            self.expect(run.meta.status == "finished", f"the run is {run.meta.status}")
        came = len(self.arrivals_s())
        self.expect(
            planned == served == recorded == came,
            f"{planned} planned, {served} served, {recorded} recorded, {came} at the server",
        )

    def expect_balanced(self) -> None:
        """Every planned customer has exactly one outcome."""
        with Run.open(self.run_folder) as run:
            missing = run.outcome_totals().in_flight_or_missing
            self.expect(not missing, f"{missing} customers have no outcome")
            recorded, delivered = run.histogram().n, len(self.arrivals_s())
            self.expect(recorded <= delivered, f"{recorded} requests recorded, {delivered} at the server")

    def expect_code(self, *codes: int) -> None:
        """How the command must end; a traceback is never right."""
        code = self.end()
        self.expect(code in codes, f"exit code {code}: {self.said.strip()[-400:]}")
        self.expect("Traceback" not in self.said, f"a traceback: {self.said.strip()[-400:]}")

    def expect_processes_end(self, processes: list[psutil.Process], limit_s: float = 25) -> None:
        _, alive = psutil.wait_procs(processes, timeout=limit_s)
        alive = [one for one in alive if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        self.expect(not alive, f"{len(alive)} processes outlive the run")

    # ---- ending

    def close(self) -> None:
        """End every process that was started, and unmount."""
        for process in self._processes:
            try:
                family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
            except psutil.Error:
                family = []
            for one in family:
                try:
                    one.kill()
                except psutil.Error:
                    continue
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
        for mount in self._mounts:
            subprocess.run(["umount", "--lazy", mount], check=False)


def fill(file: Path) -> None:
    """Write until there is no room left for a single byte."""
    with file.open("wb", buffering=0) as out:
        for size in (4096, 1):
            try:
                while out.write(b"-" * size):
                    pass
            except OSError:
                continue


def lock(file: Path) -> sqlite3.Connection:
    """A connection that keeps everybody else from writing to a run file, until it is closed."""
    db = sqlite3.connect(file, isolation_level=None, timeout=30)
    db.execute("BEGIN IMMEDIATE")
    return db


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
