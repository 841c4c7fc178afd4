"""Locust gives users to a worker that joins a run; its requests would not be in the run file."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import time

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

FILE = """
from locust import FastHttpUser, constant, task
class Visitor(FastHttpUser):
    host, wait_time = "{url}", constant(0.2)
    @task
    def page(self):
        self.client.get("/", name="page")
"""


@pytest.mark.truth
def test_a_worker_that_joins_a_run_sends_nothing(own_shop, tmp_path, environment):
    (tmp_path / "mine.py").write_text(FILE.format(url=own_shop.url), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def start(log, *args):
        with (tmp_path / log).open("w") as stderr:
            return subprocess.Popen(
                [sys.executable, "-m", "doorbuster", *args, "--locustfile", "mine.py"], cwd=tmp_path,
                stderr=stderr, env=environment(),
            )  # fmt: skip

    run = start(
        "run.log", "run", "--users", "4", "--spawn-rate", "4", "--run-time", "12s", "--quiet", "--out", "out",
        "--expect-workers", "1", "--bind-port", port,
    )  # fmt: skip
    first = start("first.log", "worker", "--master-port", port)
    file = tmp_path / "out" / "run.sqlite"
    give_up_at = time.monotonic() + 30
    while _recorded_seconds(file) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    late = start("late.log", "worker", "--master-port", port)
    code = late.wait(timeout=60)
    if code != ExitCode.PASS:  # Locust may also leave it without users until the end
        assert code == ExitCode.NOT_RECORDED
        assert "the run began before this worker joined it" in (tmp_path / "late.log").read_text()
    assert run.wait(timeout=60) == ExitCode.PASS
    assert first.wait(timeout=30) == ExitCode.PASS
    with Run.open(tmp_path / "out") as recorded:
        counters = recorded.counters()
        unanswered = sum(int(n.sum()) for key, n in counters.items() if key.name == "unanswered")
        assert recorded.histogram("service").n + unanswered == own_shop.requests


def _recorded_seconds(file):
    if not file.exists():
        return 0
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as connection:
        return connection.execute("SELECT count(DISTINCT second) FROM health").fetchone()[0]
