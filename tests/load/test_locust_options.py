"""Locust's own options, hosts and web form with a locustfile of customers who arrive by a schedule."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from locust.env import Environment
from locust.stats import StatsCSVFileWriter

from doorbuster.errors import ExitCode
from doorbuster.load.locust_plugin.web_ui import count_customers_in_csv
from doorbuster.locust_process import local_workers
from doorbuster.records.reader import Run

ONE_STEP = Path(__file__).with_name("one_step.py")
SCENARIO = """
title: One page
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: 20 customers/s, curve: {{stages: [{{for: 1s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, think: {{constant: 1ms}}}}}}
drain: 5s
"""


class PageHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@pytest.fixture
def pages():
    """Two servers that answer everything and count requests."""
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), PageHandler) for _ in range(2)]
    for server in servers:
        server.requests = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
    yield servers
    for server in servers:
        server.shutdown()
        server.server_close()


def url_of(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def locust(tmp_path, pages):
    """Starts Locust on a locustfile of customers, with a scenario against the first server."""
    (tmp_path / "one.yaml").write_text(SCENARIO.format(url=url_of(pages[0])), encoding="utf-8")
    started = []

    def start(*args, locustfile=ONE_STEP, headless=True, home=None, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
        process = subprocess.Popen(
            [
                sys.executable, "-m", "locust", "-f", str(locustfile), "--scenario", "one.yaml",
                "--run-folder", "out", *(["--headless", "--only-summary"] if headless else []), *args,
            ],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**kept, "HOME": str(home or "/nonexistent"), **environment},
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.parametrize(
    ("args", "environment", "named"),
    [
        (["--tags", "fast"], {}, "--tags"),
        (["--exclude-tags", "fast"], {}, "--exclude-tags"),
        ([], {"LOCUST_TAGS": "fast"}, "--tags"),
        (["--users", "5"], {}, "--users"),
        ([], {"LOCUST_SPAWN_RATE": "5"}, "--spawn-rate"),
        (["--run-time", "5s"], {}, "--run-time"),
        (["CustomerUser"], {}, "class names (CustomerUser)"),
        (["--class-picker"], {}, "--class-picker"),
    ],
)
def test_an_option_that_schedules_leave_without_meaning_is_refused(locust, pages, args, environment, named):
    process = locust(*args, **environment)
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.USAGE
    assert f"{named} cannot be used with one_step.py: the scenario's demand and channels decide" in said
    assert pages[0].requests == 0


def test_an_option_is_refused_with_workers_too(locust, pages):
    process = locust("--tags", "fast", *local_workers(2))
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.USAGE
    assert "--tags cannot be used" in said


def test_a_host_from_variables_and_configuration_files_is_ignored_with_a_note(locust, pages, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".locust.conf").write_text(f"host = {url_of(pages[1])}\n", encoding="utf-8")
    for environment in ({"LOCUST_HOST": url_of(pages[1])}, {"home": home}):
        process = locust("--run-folder", f"out{len(environment)}{'home' in environment}", **environment)
        _, said = process.communicate(timeout=60)
        assert f"the host {url_of(pages[1])} of LOCUST_HOST or locust.conf is ignored" in said
    assert pages[1].requests == 0
    assert pages[0].requests >= 20


def test_a_host_on_the_command_line_of_locust_is_the_target(locust, pages, tmp_path):
    process = locust("--host", url_of(pages[1]))
    process.communicate(timeout=60)
    assert (pages[0].requests, pages[1].requests > 5) == (0, True)
    with Run.open(tmp_path / "out") as run:
        assert run.meta.target_url == url_of(pages[1])


def test_install_called_twice_adds_the_drivers_of_both(locust, tmp_path):
    text = ONE_STEP.read_text(encoding="utf-8")
    twice = tmp_path / "twice.py"
    twice.write_text(text.replace("install(events, ", "install(events)\ninstall(events, "), encoding="utf-8")
    process = locust(locustfile=twice)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    assert (tmp_path / "out" / "run.sqlite").exists()


def test_a_locustfile_without_the_two_classes_is_refused(locust, tmp_path):
    lacking = tmp_path / "lacking.py"
    text = ONE_STEP.read_text(encoding="utf-8").replace(
        "Customer, GeneratorUser, RunShape, install", "Customer, install"
    )
    lacking.write_text(text.replace('"GeneratorUser", "RunShape"', ""), encoding="utf-8")
    process = locust(locustfile=lacking)
    _, said = process.communicate(timeout=60)
    assert process.returncode == ExitCode.USAGE
    assert "must import GeneratorUser and RunShape from doorbuster.load.locustfile" in said


def test_the_web_form_loads_the_host_it_shows(locust, pages, tmp_path):
    port = local_workers(1)[3]
    process = locust("--web-port", port, headless=False)
    page = f"http://127.0.0.1:{port}"
    assert url_of(pages[0]) in wait_for_page(page)
    form = {"user_count": 1, "spawn_rate": 1, "host": "http://203.0.113.7"}
    refused = requests.post(f"{page}/swarm", data=form, timeout=10).json()
    assert refused["success"] is False
    assert "safety.allow" in refused["message"]
    accepted = requests.post(f"{page}/swarm", data={**form, "host": url_of(pages[1])}, timeout=10).json()
    assert accepted["success"] is True
    until = time.monotonic() + 60
    while not (tmp_path / "out" / "run.sqlite").exists() or pages[1].requests < 5:
        assert time.monotonic() < until, process
        time.sleep(0.1)
    assert pages[0].requests == 0
    with Run.open(tmp_path / "out") as run:
        assert run.meta.target_url == url_of(pages[1])


def wait_for_page(url):
    until = time.monotonic() + 60
    while True:
        try:
            return requests.get(url, timeout=5).text
        except requests.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.2)


def test_the_csv_history_counts_customers_as_users(tmp_path):
    environment, shown = Environment(), iter((37, 41))
    environment.create_local_runner()
    for customers in (lambda: 0, lambda: next(shown)):  # the second run of a process counts its own
        count_customers_in_csv(customers)
    files = StatsCSVFileWriter(environment, [0.5], str(tmp_path / "locust"))
    files.stats_history_csv_writer.writerow(files.stats_history_csv_columns)
    for now in (1.0, 2.0):
        files._stats_history_data_rows(files.stats_history_csv_writer, now)
    files.close_files()
    with Path(files.stats_history_file_name()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["Timestamp"], row["User Count"], row["Name"]) for row in rows] == [
        ("1", "37", "Aggregated"),
        ("2", "41", "Aggregated"),
    ]
