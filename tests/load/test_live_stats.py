"""Locust's chart of response times while the shop collapses, as its web UI reads it."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from doorbuster.locust_process import local_workers

pytestmark = [pytest.mark.alone, pytest.mark.truth]

ONE_STEP = Path(__file__).with_name("one_step.py")
SCENARIO = """
title: A shop that stops answering
target: {{storefront: "custom:one-page", url: "{url}"}}
demand: {{peak: 20 customers/s, curve: {{stages: [{{for: 40s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, think: {{constant: 1ms}}}}}}
drain: 5s
"""
ANSWERS_FOR_S = 3.0
WATCHED_S = 26  # longer than Locust remembers response times


@pytest.fixture
def stalling():
    """A server that answers at once for three seconds after its first request, and never after that."""
    ends = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        first_at: float | None = None

        def do_GET(self) -> None:
            Handler.first_at = Handler.first_at or time.monotonic()
            if time.monotonic() - Handler.first_at > ANSWERS_FOR_S:
                ends.wait(60)
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Handler
    ends.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=[0, 2], ids=["one process", "two workers"])
def web_ui(request, stalling, tmp_path):
    """The web UI of a run against that server, in one process or with two workers."""
    scenario = tmp_path / "stops.yaml"
    scenario.write_text(SCENARIO.format(url=stalling[0]), encoding="utf-8")
    port = local_workers(1)[3]
    bus = local_workers(1)[3]
    workers = ["--processes", request.param, "--master-bind-port", bus, "--master-port", bus]
    words = [
        *(sys.executable, "-m", "locust", "-f", ONE_STEP, "--scenario", scenario, "--only-summary"),
        *("--run-folder", tmp_path / "run", "--web-host", "127.0.0.1", "--web-port", port, "--autostart"),
        *("--csv", tmp_path / "locust", *(workers if request.param else ())),
    ]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([*map(str, words)], stdout=said, stderr=said)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


def requests_shown(url: str, tmp_path: Path) -> dict[str, Any]:
    give_up_at = time.monotonic() + 60
    while True:
        try:
            with urlopen(f"{url}/stats/requests", timeout=10) as answer:
                return json.loads(answer.read())
        except (URLError, ConnectionError):
            assert time.monotonic() < give_up_at, (tmp_path / "said").read_text()
            time.sleep(0.1)


def test_the_chart_rises_with_the_waiting_requests_while_nothing_is_answered(web_ui, stalling, tmp_path):
    url, handler = web_ui, stalling[1]
    shown: list[tuple[float, float, int]] = []
    while not shown or shown[-1][0] < WATCHED_S:
        page = requests_shown(url, tmp_path)
        if handler.first_at is not None:
            percentile = page["current_response_time_percentiles"]["response_time_percentile_0.95"]
            at_s = time.monotonic() - handler.first_at - ANSWERS_FOR_S
            shown.append((at_s, percentile or 0, page["stats"][-1]["num_requests"]))
        time.sleep(0.5)
    collapse = [(at_s, percentile) for at_s, percentile, _ in shown if at_s > 8]
    assert len(collapse) > 20
    # The oldest 5 % of 20 waiting requests per second have waited 95 % of the collapse, the newest nothing;
    # reports are up to 4 s old, and the answers of the last ten seconds count at first.
    late = [(at_s, percentile / 1e3) for at_s, percentile in collapse if at_s > 15]
    assert all(0.9 * (at_s - 5) < percentile_s < at_s + 1 for at_s, percentile_s in late), shown
    assert min(percentile for _, percentile in collapse) > 1_000, shown
    answered = [n for _, _, n in shown]
    assert answered[-1] == pytest.approx(20 * ANSWERS_FOR_S, rel=0.5)  # only requests that ended
    with (tmp_path / "locust_stats_history.csv").open(newline="") as file:
        users = [int(row["User Count"]) for row in csv.DictReader(file)]
    assert max(users) > 20 * 5, users  # customers who wait, not the generators of two workers
