"""`safety.max_rate` holds by the server's own clock: in no second more requests than the limit × 1.05.

Over all workers together, whatever the customers do: too many arrivals, a storm of retries and reloads
against a server that refuses everything, and workers that are stopped or killed meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
import pytest

from doorbuster.errors import ExitCode, RecordError
from doorbuster.records.reader import Run

pytestmark = [pytest.mark.truth, pytest.mark.alone]

LIMIT_PER_S = 50
TOLERANCE = 1.05
LENGTH_S = 8
OVERLOAD = "patience: none"
STORM = (
    "patience: none, retries: {attempts: 20, timeout: 5s, backoff: 10ms, jitter: 0%},"
    " reloads: {after: 100ms, max: 40, jitter: 0%}"
)


class Ceiling:
    """A run against a server that notes when each request came."""

    def __init__(self, url: str, folder: Path, workers: int, behaviour: str, peak: int) -> None:
        self.url, self.folder = url, folder / "run"
        scenario = folder / "ceiling.yaml"
        scenario.write_text(f"""
title: Ceiling
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: {peak} customers/s, curve: {{stages: [{{for: {LENGTH_S}s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, think: {{constant: 50ms}}, {behaviour}}}}}
thresholds: {{http_req_failed: ["rate<=100%"]}}
safety: {{max_rate: {LIMIT_PER_S} requests/s}}
drain: 4s
""")
        root = Path(__file__).parent.parent.parent
        options = ["--workers", str(workers)] if workers else []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "doorbuster", "run", scenario, "--locustfile",
             root / "tests/load/one_step.py", "--out", self.folder, "--quiet", *options],
            cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def wait_for_second(self, second: int) -> None:
        """Wait until this many seconds of the run are recorded."""
        give_up_at = time.monotonic() + 60
        while time.monotonic() < give_up_at and self.process.poll() is None:
            try:
                with Run.open(self.folder) as run:
                    if run.recorded_s >= second:
                        return
            except RecordError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.process.communicate()[0])

    def a_worker(self) -> psutil.Process:
        """A worker process, which Locust's master has forked."""
        (master,) = [one for one in psutil.Process(self.process.pid).children() if one.children()]
        return master.children()[0]

    def end(self) -> str:
        """Wait for the end of the run; returns what it said."""
        return self.process.communicate(timeout=90)[0]

    def most_in_a_second(self) -> int:
        """The largest number of requests in any second, by the server's clock."""
        with urllib.request.urlopen(f"{self.url}/arrivals", timeout=10) as answer:
            at_s = np.sort(np.array(json.loads(answer.read())))
        assert len(at_s) > LIMIT_PER_S  # there was load
        return int((np.searchsorted(at_s, at_s + 1.0, side="left") - np.arange(len(at_s))).max())


@pytest.fixture
def ceiling(stall_server, tmp_path):
    """A function that starts a run against a server that refuses everything, or nothing."""
    started = []

    def start(*, workers: int, storm: bool) -> Ceiling:
        refuse = ("--service-ms", "1", "--shed-ms", "0") if storm else ("--service-ms", "1")
        behaviour, peak = (STORM, 30) if storm else (OVERLOAD, 400)
        run = Ceiling(stall_server(*refuse), tmp_path, workers, behaviour, peak)
        started.append(run)
        return run

    yield start
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()


@pytest.mark.parametrize("storm", [False, True], ids=["overload", "storm"])
@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_no_second_has_more_requests_than_the_limit(workers, storm, ceiling):
    run = ceiling(workers=workers, storm=storm)
    said = run.end()
    assert 0.85 * LIMIT_PER_S <= run.most_in_a_second() <= TOLERANCE * LIMIT_PER_S, said
    assert run.process.returncode == ExitCode.INCONCLUSIVE, said
    assert "safety.max_rate delayed" in said


@pytest.mark.parametrize("storm", [False, True], ids=["overload", "storm"])
def test_a_worker_that_is_stopped_for_a_while_does_not_raise_the_rate(storm, ceiling):
    """Its share goes to the other worker while it is stopped, and it wakes up with requests that wait."""
    run = ceiling(workers=2, storm=storm)
    run.wait_for_second(1)
    worker = run.a_worker()
    worker.send_signal(signal.SIGSTOP)
    time.sleep(8.0)
    worker.send_signal(signal.SIGCONT)
    said = run.end()
    assert run.most_in_a_second() <= TOLERANCE * LIMIT_PER_S, said


def test_the_share_of_a_killed_worker_goes_to_the_others(ceiling):
    run = ceiling(workers=2, storm=True)
    run.wait_for_second(2)
    os.kill(run.a_worker().pid, signal.SIGKILL)
    killed_at_s = time.time()
    said = run.end()
    assert run.most_in_a_second() <= TOLERANCE * LIMIT_PER_S, said
    with urllib.request.urlopen(f"{run.url}/arrivals", timeout=10) as answer:
        at_s = np.array(json.loads(answer.read()))
    later = np.count_nonzero((at_s > killed_at_s + 3) & (at_s <= killed_at_s + 4))
    assert later > 0.75 * LIMIT_PER_S, said
