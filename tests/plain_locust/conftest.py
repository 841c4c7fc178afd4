"""Runs plain Locust files against a shop in this process, and reads what was recorded."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
FILES = HERE / "locustfiles"
_spec = importlib.util.spec_from_file_location("plain_locust_shop_server", HERE / "shop_server.py")
servers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(servers)


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str
    folder: Path


@pytest.fixture(scope="session")
def shop():
    with servers.ShopServer() as server:
        yield server
        server.shutdown()


@pytest.fixture
def own_shop():
    """A shop whose requests are those of one test."""
    with servers.ShopServer() as server:
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def feed():
    with servers.FeedServer() as server:
        yield server
        server.shutdown()


def clean_environment(**more):
    """Without variables that configure Locust from outside."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    return {**kept, "HOME": "/nonexistent", **more}


def doorbuster(*args, cwd, timeout=90, **environment):
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "doorbuster", *map(str, args)], cwd=cwd, capture_output=True, text=True,
        timeout=timeout, env=clean_environment(**environment), check=False,
    )  # fmt: skip


@pytest.fixture(scope="session")
def environment():
    """The environment of a process."""
    return clean_environment


@pytest.fixture(scope="session")
def command():
    """The command line."""
    return doorbuster


@pytest.fixture(scope="session")
def record():
    """Records a locustfile without writing a report."""
    return _record


@pytest.fixture
def run_plain(tmp_path):
    """`doorbuster run` on one of the locustfiles, or on a text."""

    def run(file, *args, timeout=90, **environment):
        if "\n" in file:
            path = tmp_path / "mine.py"
            path.write_text(file, encoding="utf-8")
        else:
            path = FILES / file
        folder = tmp_path / "out"
        done = doorbuster(
            "run", "--locustfile", path, "--quiet", "--out", folder, *args,
            cwd=tmp_path, timeout=timeout, **environment,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr, folder)

    return run


def _record(file, folder, *args, code=0, **environment):
    """Record a locustfile without a report; returns Locust's own statistics by request name."""
    folder.mkdir()
    scenario = folder / "scenario.yaml"
    scenario.write_text("title: Counts\n", encoding="utf-8")
    statistics = folder / "statistics"
    files = file if "," in file else str(FILES / file)
    done = subprocess.run(
        [
            sys.executable, "-m", "doorbuster.load.plain_locust", "-f", files, "--headless",
            "--only-summary", "--scenario", str(scenario), "--run-folder", str(folder),
            "--json-file", str(statistics), "--exit-code-on-error", "0", *args,
        ],
        cwd=folder, capture_output=True, text=True, timeout=90, env=clean_environment(**environment),
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr + done.stdout
    found = defaultdict(list)
    for entry in json.loads(statistics.with_suffix(".json").read_text(encoding="utf-8")):
        found[entry["name"]].append(entry)
    return dict(found)
