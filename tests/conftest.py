"""What tests of more than one part share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Append the reasons of skipped tests to the file that `make test` sums up in its last line."""
    path = os.environ.get("DOORBUSTER_SKIPPED")
    if path is None or "PYTEST_XDIST_WORKER" in os.environ:
        return
    with Path(path).open("a", encoding="utf-8") as file:
        for report in terminalreporter.stats.get("skipped", []):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            file.write(" ".join(reason.removeprefix("Skipped: ").split()) + "\n")


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Refuse Locust outside tests/load: it would turn threads of later tests into greenlets."""
    monkey = sys.modules.get("gevent.monkey")
    is_of_locust = item.path.parent == ROOT / "tests" / "load"
    if not is_of_locust and monkey is not None and monkey.is_module_patched("threading"):
        pytest.exit(f"{item.nodeid} imported Locust, which patches this process; move it to tests/load")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def doorbuster() -> Callable[..., subprocess.CompletedProcess]:
    """Runs the command line in a process of its own, as a user does."""

    def call(*words: object, cwd: Path = ROOT, timeout_s: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "doorbuster", *map(str, words)],
            cwd=cwd, capture_output=True, text=True, timeout=timeout_s,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "120"},
        )  # fmt: skip

    return call


@pytest.fixture
def stall_server() -> Iterator[Callable[..., str]]:
    """A function from options of tests/truth/stall_server.py to the URL of such a server."""
    running = []

    def start(*options: object) -> str:
        command = [sys.executable, ROOT / "tests/truth/stall_server.py", *map(str, options)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process.stdout.readline().strip()

    yield start
    for process in running:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


@pytest.fixture
def drive(tmp_path) -> Callable[..., dict]:
    """Runs the real generator with given intended starts; see tests/load/run_schedule.py."""

    def call(
        url: str, intended_s: list[float], duration_s: float, *, stall: tuple[float, float] | None = None
    ) -> dict:
        done = subprocess.run(
            [sys.executable, ROOT / "tests/load/run_schedule.py", url, tmp_path],
            input=json.dumps({"intended_s": intended_s, "duration_s": duration_s, "stall": stall}),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return call


@pytest.fixture
def one_page() -> Callable[..., Path]:
    """Writes folder/one-page.yaml: customers who look at one page of the server at a URL and leave."""

    def write(url: str, folder: Path, *, peak: float, length_s: float, seed: int = 1) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        scenario = folder / "one-page.yaml"
        scenario.write_text(
            ONE_PAGE % {"url": url, "peak": peak, "length_s": length_s, "seed": seed}, encoding="utf-8"
        )
        return scenario

    return write


@pytest.fixture
def one_page_run(tmp_path, one_page) -> Callable[..., subprocess.Popen]:
    """Starts Locust with our plug-in and customers of one request each; the run file is in folder/run."""

    def start(
        url: str, *, peak: float, length_s: float, seed: int = 1, workers: int = 1, folder: Path = tmp_path
    ) -> subprocess.Popen:
        scenario = one_page(url, folder, peak=peak, length_s=length_s, seed=seed)
        command = [sys.executable, "-m", "locust", "-f", ROOT / "tests/load/one_step.py", "--headless",
                   "--only-summary", "--scenario", scenario, "--run-folder", folder / "run"]  # fmt: skip
        if workers > 1:
            with socket.socket() as found:
                found.bind(("127.0.0.1", 0))
                port = str(found.getsockname()[1])
            command += ["--processes", str(workers), "--master-bind-port", port, "--master-port", port]
        with (folder / "said").open("w") as said:
            return subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)

    return start


ONE_PAGE = """
title: One page
target: {storefront: "custom:one-page", url: "%(url)s"}
demand: {peak: %(peak)s customers/s, curve: {stages: [{for: %(length_s)ss, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {order_status: 1}, patience: none, think: {constant: 1s}}}
thresholds: {served: ["rate>=99%%"], http_req_failed: ["rate<=1%%"]}
safety: {max_rate: 1000000 requests/s}
seed: %(seed)s
drain: 30s
"""
