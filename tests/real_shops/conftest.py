"""Real shops for the tests of this folder: built once, started on a free port, stopped at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LEDGER_TOKEN = "the-token-of-the-tests"
BUILD_LIMIT_S = 900
START_LIMIT_S = 90
_VENDURE_SOURCES = """
observe:
  sources:
    server: {{process: {{port: {port}}}}}
    node: {{scrape: {{url: "http://127.0.0.1:{metrics_port}/metrics"}}}}
  resources:
    event loop of Vendure: {{utilisation: nodejs_event_loop_active_seconds_total}}
"""
_OSCAR_SOURCES = """
observe:
  sources:
    server: {{process: {{port: {port}}}}}
    sqlite:
      command:
        run: >-
          sqlite3 -readonly -cmd '.timeout 3000' -separator ' ' {database}
          "SELECT 'orders', count(*) FROM order_order"
"""


@pytest.fixture(scope="session")
def observed() -> dict[str, str]:
    """The `observe` of a scenario, by shop, once the shop is open."""
    return {}


@pytest.fixture(scope="session")
def vendure_url(tmp_path_factory: pytest.TempPathFactory, observed: dict[str, str]) -> Iterator[str]:
    """A Vendure shop with its database in memory: every session starts with a full stock."""
    if shutil.which("npm") is None:
        pytest.skip("Vendure needs Node.js with npm")
    port, metrics_port = _free_port(), _free_port()
    log = tmp_path_factory.mktemp("vendure") / "shop.log"
    where = {"SHOP_PORT": str(port), "NODE_METRICS_PORT": str(metrics_port)}
    command = ["node", "--require", str(HERE / "node_metrics.cjs"), "server.js"]
    with _running(command, _built("vendure"), log, where):
        _await(f"http://127.0.0.1:{port}/health", log)
        observed["vendure"] = _VENDURE_SOURCES.format(port=port, metrics_port=metrics_port)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def oscar_url(tmp_path_factory: pytest.TempPathFactory, observed: dict[str, str]) -> Iterator[str]:
    """A django-oscar shop on a copy of the built database."""
    built, own, port = _built("oscar"), tmp_path_factory.mktemp("oscar"), _free_port()
    shutil.copyfile(built / "shop.sqlite", own / "shop.sqlite")
    shutil.copytree(built / "index", own / "index")
    where = {
        "SHOP_FOLDER": str(own), "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(built),
        "DOORBUSTER_LEDGER_TOKEN": LEDGER_TOKEN,
    }  # fmt: skip
    command = [str(built / "venv/bin/gunicorn"), "-b", f"127.0.0.1:{port}", "-w", "2", "--threads", "4"]
    with _running([*command, "--no-control-socket", "wsgi:application"], built, own / "shop.log", where):
        _await(f"http://127.0.0.1:{port}/api/", own / "shop.log")
        observed["oscar"] = _OSCAR_SOURCES.format(port=port, database=own / "shop.sqlite")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session", autouse=True)
def _ledger_token() -> Iterator[None]:
    """The drivers and the commands of these tests may read the ledger and sign in as staff."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOORBUSTER_LEDGER_TOKEN", LEDGER_TOKEN)
        patch.setenv("DOORBUSTER_OSCAR_USER", "staff@example.com")
        patch.setenv("DOORBUSTER_OSCAR_PASSWORD", "only-for-tests")
        yield


def _built(name: str) -> Path:
    done = subprocess.run(
        [sys.executable, str(HERE / "install.py"), name],
        capture_output=True, text=True, timeout=BUILD_LIMIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip().partition(": ")[2])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _running(command: list[str], folder: Path, log: Path, environment: dict[str, str]) -> Iterator[None]:
    """A program that lives as long as the block; closing its input tells Vendure to end."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )  # fmt: skip
    try:
        yield
    finally:
        process.stdin.close()
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await(url: str, log: Path) -> None:
    """Until the shop answers; a shop that is opening refuses connections."""
    give_up_at = time.monotonic() + START_LIMIT_S
    while time.monotonic() < give_up_at:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.25)
    pytest.fail(f"{url} did not answer within {START_LIMIT_S} s:\n{log.read_text(errors='replace')[-2000:]}")
