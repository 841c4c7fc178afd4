"""Fixtures: runs of a master and workers as separate processes, which a test can kill or cut off; customers
and a server whose behaviour a test sets (run_customers.py, flaky_server.py)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from doorbuster.errors import RecordError
from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import PROTOCOL
from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario, plan_schedule

ROOT = Path(__file__).parent.parent.parent
ONE_STEP = ROOT / "tests/load/one_step.py"


@dataclass(frozen=True)
class WorkerSpec:
    """One worker to start: its locustfile, environment variables, and the port of the master."""

    locustfile: Path = ONE_STEP
    environment: Mapping[str, str] = field(default_factory=dict)
    master_port: int = 0


@dataclass
class DistributedRun:
    """A run of several processes, with its server and its run file."""

    url: str
    folder: Path
    master: subprocess.Popen
    workers: list[subprocess.Popen]
    run_folder: Path

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text()

    def started_at(self) -> float:
        """Start of the run in Unix seconds; waits until it is recorded."""
        return self._wait_for(lambda run: run.meta.started_at_unix_ns / 1e9)

    def wait_for_second(self, second: int) -> None:
        """Wait until this many seconds of the run are recorded."""
        self._wait_for(lambda run: run.recorded_s >= second)

    def end(self, *, limit_s: float = 90) -> int:
        """Wait for the end of the run; returns its exit code."""
        return self.master.wait(timeout=limit_s)

    def planned_s(self) -> np.ndarray:
        """The planned arrivals, in seconds of the run."""
        return plan_schedule(load_scenario(self.folder / "one-page.yaml")).intended_s

    def arrivals_s(self) -> np.ndarray:
        """The arrivals at the server by its own clock, in seconds of the run."""
        return np.sort(json.loads(_ask(f"{self.url}/arrivals"))) - self.started_at()

    def delivered(self) -> int:
        """The number of requests that the server counted."""
        return json.loads(_ask(f"{self.url}/count"))

    def rows(self, query: str) -> list[tuple]:
        """The result of an SQL query on the run file."""
        with sqlite3.connect(f"file:{self.run_folder / 'run.sqlite'}?mode=ro", uri=True) as db:
            return db.execute(query).fetchall()

    def _wait_for(self, look: Callable[[Run], object]):
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at:
            try:
                with Run.open(self.run_folder) as run:
                    if found := look(run):
                        return found
            except RecordError:
                assert self.master.poll() is None, self.output
            time.sleep(0.05)
        raise AssertionError(self.output)


def _ask(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def free_port() -> int:
    """A port that is not in use."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def worker() -> type[WorkerSpec]:
    return WorkerSpec


@pytest.fixture
def port() -> int:
    """A free port for Locust's channel."""
    return free_port()


@pytest.fixture
def start_run(tmp_path, one_page, port) -> Iterator[Callable[..., DistributedRun]]:
    """Starts a master and workers for a server's URL; kills the remaining ones at the end."""
    started: list[subprocess.Popen] = []

    def begin(
        url: str,
        specs: Sequence[WorkerSpec],
        *,
        peak: float,
        length_s: float,
        seed: int = 1,
        environment: Mapping[str, str] = {},
        run_folder: Path | None = None,
    ) -> DistributedRun:
        scenario = one_page(url, tmp_path, peak=peak, length_s=length_s, seed=seed)
        run_folder = run_folder or tmp_path / "run"
        locust = [sys.executable, "-m", "locust", "--only-summary"]

        def start(output: str, environment: Mapping[str, str], *words: object) -> subprocess.Popen:
            with (tmp_path / output).open("w") as out:
                process = subprocess.Popen(
                    [*locust, *map(str, words)], cwd=ROOT, env={**os.environ, **environment},
                    stdout=out, stderr=out, start_new_session=True,
                )  # fmt: skip
            started.append(process)
            return process

        master = start(
            "output", environment, "-f", ONE_STEP, "--headless", "--scenario", scenario,
            "--run-folder", run_folder, "--master", "--expect-workers", len(specs),
            "--master-bind-port", port,
        )  # fmt: skip
        workers = [
            start(f"output-{number}", one.environment, "-f", one.locustfile, "--worker",
                  "--master-port", one.master_port or port)
            for number, one in enumerate(specs)
        ]  # fmt: skip
        return DistributedRun(url, tmp_path, master, workers, run_folder)

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# ---- customers whose behaviour a test sets

ONE_VISITOR = [["web", "order_status", 0.0]]


@pytest.fixture(scope="module")
def flaky():
    """The module flaky_server."""
    spec = importlib.util.spec_from_file_location("flaky_server", Path(__file__).parent / "flaky_server.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program():
    """A process that runs customers, one case at a time."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "run_customers.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture
def visit(program, flaky, tmp_path):
    """A function from (reply of the server, channels, ...) to the records of a run and its server."""
    servers = []

    def run(
        reply, channels, arrivals=ONE_VISITOR, *, rules="[]", drain="10s", duration_s=1, raises=False, **case
    ):
        server = flaky.FlakyServer(reply)
        servers.append(server)
        case |= {"url": server.url, "folder": str(tmp_path), "channels": channels, "arrivals": arrivals,
                 "rules": rules, "drain": drain, "duration_s": duration_s}  # fmt: skip
        program.stdin.write(json.dumps(case) + "\n")
        program.stdin.flush()
        seen = json.loads(program.stdout.readline())
        if not raises:
            assert seen["events"] == []
        return Seen(seen, server)

    yield run
    for server in servers:
        server.close()


class Seen(SimpleNamespace):
    """What a run recorded and its server received."""

    def __init__(self, rows: dict, server) -> None:
        super().__init__(received=server.received, gaps_s=server.gaps_s(), orders=rows["orders"])
        self.events = [(row["kind"], row["text"]) for row in rows["events"]]
        self.left = Counter()
        for _, channel, _, outcome, step, cause, *_, n in rows["customers"]:
            self.left[channel, outcome, step, cause] += n
        self.browse_and_order = {(row[6], row[7]) for row in rows["customers"]}
        self.counted = Counter()  # without the protocols of connections
        self.protocols = Counter()
        for _, channel, name, n in rows["counters"]:
            counted = self.protocols if name.startswith(PROTOCOL) else self.counted
            counted[channel, name] += n
        self.requests = Counter()
        self.times = {}
        for _, channel, _, step, outcome, cause, n, blob in rows["requests"]:
            self.requests[channel, step, outcome, cause] += n
            self.times.setdefault((step, outcome), []).append(bytes.fromhex(blob))

    def slowest_s(self, step: str, outcome: str = "ok") -> float:
        return Histogram.from_blobs(self.times[step, outcome]).max_us / 1e6


@pytest.fixture
def first(flaky):
    """A function from replies to a server's reply: the first requests get them in turn, the others "ok"."""

    def reply_in_turn(*replies):
        return lambda request: (
            replies[request.number - 1] if request.number <= len(replies) else flaky.Reply()
        )

    return reply_in_turn
