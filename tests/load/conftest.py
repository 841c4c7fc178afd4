"""Runs of one master and workers started one by one, so that a test can do something to each of them; and
customers in a process of their own, whose behaviour and whose shop a test decides (behave.py, moody.py)."""

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
from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario, plan_schedule

ROOT = Path(__file__).parent.parent.parent
ONE_STEP = ROOT / "tests/load/one_step.py"


@dataclass(frozen=True)
class Hand:
    """One worker to start: its locustfile, its extra environment, and where it finds the master."""

    locustfile: Path = ONE_STEP
    environment: Mapping[str, str] = field(default_factory=dict)
    master_port: int = 0


@dataclass
class WorkerPool:
    """A run of several processes under way, and what its server and its run file say afterwards."""

    url: str
    folder: Path
    master: subprocess.Popen
    workers: list[subprocess.Popen]
    run_folder: Path

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def started_at(self) -> float:
        """The run's zero in Unix seconds, once it is written down."""
        return self._wait_for(lambda run: run.meta.started_at_unix_ns / 1e9)

    def wait_for_second(self, second: int) -> None:
        """Wait until so many seconds of the run are recorded."""
        self._wait_for(lambda run: run.recorded_s >= second)

    def end(self, *, limit_s: float = 90) -> int:
        """Wait for the run to end; its exit code."""
        return self.master.wait(timeout=limit_s)

    def planned_s(self) -> np.ndarray:
        """When who was to come, in seconds of the run."""
        return plan_schedule(load_scenario(self.folder / "one-page.yaml")).intended_s

    def arrivals_s(self) -> np.ndarray:
        """When somebody came to the server, by its own clock, in seconds of the run."""
        return np.sort(json.loads(_ask(f"{self.url}/arrivals"))) - self.started_at()

    def delivered(self) -> int:
        """How many requests the server itself counted."""
        return json.loads(_ask(f"{self.url}/count"))

    def rows(self, query: str) -> list[tuple]:
        """What SQL says about the run file."""
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
                assert self.master.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(self.said)


def _ask(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read()


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def hand() -> type[Hand]:
    return Hand


@pytest.fixture
def port() -> int:
    """A port for Locust's own channel that no other run uses."""
    return free_port()


@pytest.fixture
def crew(tmp_path, one_page, port) -> Iterator[Callable[..., WorkerPool]]:
    """Starts a master and workers for a server's URL; whatever is left of them at the end is killed."""
    started: list[subprocess.Popen] = []

    def begin(
        url: str,
        hands: Sequence[Hand],
        *,
        peak: float,
        length_s: float,
        seed: int = 1,
        environment: Mapping[str, str] = {},
        run_folder: Path | None = None,
    ) -> WorkerPool:
        scenario = one_page(url, tmp_path, peak=peak, length_s=length_s, seed=seed)
        run_folder = run_folder or tmp_path / "run"
        locust = [sys.executable, "-m", "locust", "--only-summary"]

        def start(said: str, environment: Mapping[str, str], *words: object) -> subprocess.Popen:
            with (tmp_path / said).open("w") as out:
                process = subprocess.Popen(
                    [*locust, *map(str, words)], cwd=ROOT, env={**os.environ, **environment},
                    stdout=out, stderr=out, start_new_session=True,
                )  # fmt: skip
            started.append(process)
            return process

        master = start(
            "said", environment, "-f", ONE_STEP, "--headless", "--scenario", scenario,
            "--run-folder", run_folder, "--master", "--expect-workers", len(hands),
            "--master-bind-port", port,
        )  # fmt: skip
        workers = [
            start(f"said-{number}", one.environment, "-f", one.locustfile, "--worker",
                  "--master-port", one.master_port or port)
            for number, one in enumerate(hands)
        ]  # fmt: skip
        return WorkerPool(url, tmp_path, master, workers, run_folder)

    yield begin
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


# ---- customers whose behaviour a test decides

ONE_VISITOR = [["web", "order_status", 0.0]]


@pytest.fixture(scope="module")
def moody():
    """The module with the server of moods."""
    spec = importlib.util.spec_from_file_location("moody_server", Path(__file__).parent / "moody.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program():
    """Customers wait in a process of their own for what they are to do."""
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "behave.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture
def visit(program, moody, tmp_path):
    """A function from (moods of the server, channels, ...) to what was recorded and asked."""
    servers = []

    def run(mood, channels, arrivals=ONE_VISITOR, *, rules="[]", drain="10s", duration_s=1, **case):
        server = moody.MoodyServer(mood)
        servers.append(server)
        case |= {"url": server.url, "folder": str(tmp_path), "channels": channels, "arrivals": arrivals,
                 "rules": rules, "drain": drain, "duration_s": duration_s}  # fmt: skip
        program.stdin.write(json.dumps(case) + "\n")
        program.stdin.flush()
        seen = json.loads(program.stdout.readline())
        assert seen["events"] == []
        return Seen(seen, server)

    yield run
    for server in servers:
        server.close()


class Seen(SimpleNamespace):
    """What a run recorded."""

    def __init__(self, rows: dict, server) -> None:
        super().__init__(asked=server.asked, gaps_s=server.gaps_s(), orders=rows["orders"])
        self.left = Counter()
        for _, channel, _, outcome, step, cause, *_, n in rows["customers"]:
            self.left[channel, outcome, step, cause] += n
        self.browse_and_order = {(row[6], row[7]) for row in rows["customers"]}
        self.counted = Counter()
        for _, channel, name, n in rows["counters"]:
            self.counted[channel, name] += n
        self.requests = Counter()
        self.times = {}
        for _, channel, _, step, outcome, cause, n, blob in rows["requests"]:
            self.requests[channel, step, outcome, cause] += n
            self.times.setdefault((step, outcome), []).append(bytes.fromhex(blob))

    def slowest_s(self, step: str, outcome: str = "ok") -> float:
        return Histogram.from_blobs(self.times[step, outcome]).max_us / 1e6


@pytest.fixture
def first(moody):
    """A function from moods to the server's course: the first requests get them in turn, the others "ok"."""

    def course(*moods):
        return lambda asked: moods[asked.number - 1] if asked.number <= len(moods) else moody.Mood()

    return course
