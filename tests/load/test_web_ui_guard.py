"""Locust's web UI as a browser reaches it from pages of other origins, in a real Locust process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parent.parent.parent
SCENARIO = """
title: Never started
target: {storefront: "custom:one-page", url: "http://127.0.0.1:9"}
demand: {peak: 5 customers/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {order_status: 1}, patience: none}}
"""
FORM = {"user_count": "1", "spawn_rate": "1", "host": "http://203.0.113.7"}


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """The URL of the web UI."""
    folder = tmp_path_factory.mktemp("ui")
    (folder / "one.yaml").write_text(SCENARIO, encoding="utf-8")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", ROOT / "tests/load/one_step.py", "--scenario", "one.yaml",
         "--web-port", str(port)], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")},
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 60
    while True:
        try:
            requests.get(url, timeout=5)
            break
        except requests.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.1)
    yield url
    process.kill()
    process.wait()


def own_page(url, **more):
    return {"Origin": url, "Sec-Fetch-Site": "same-origin", **more}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Host": "evil.example"},  # DNS rebinding
        {"Host": "127.0.0.1.evil.example", "Origin": "http://127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:8089", "Sec-Fetch-Site": "same-origin"},
        {"Host": ""},
    ],
)
@pytest.mark.parametrize("path", ["/swarm", "/stop", "/stats/reset"])
def test_a_foreign_page_can_neither_start_nor_stop_a_load(ui, path, headers):
    answer = requests.post(f"{ui}{path}", data=FORM, headers=headers, timeout=10)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_no_answer_may_be_read_by_another_origin_or_shown_in_a_frame(ui):
    for path in ("/", "/stats/requests", "/logs"):
        assert (
            requests.get(f"{ui}{path}", headers={"Origin": "https://evil.example"}, timeout=10).status_code
            == 403
        )
        answer = requests.get(f"{ui}{path}", headers=own_page(ui), timeout=10)
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
        assert answer.headers["X-Frame-Options"] == "DENY"
    preflight = requests.options(
        f"{ui}/swarm", timeout=10,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert preflight.status_code == 403
    assert "Access-Control-Allow-Origin" not in preflight.headers


def test_its_own_page_links_and_programs_are_served(ui):
    port = ui.rpartition(":")[2]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert requests.get(ui, headers=link, timeout=10).status_code == 200
    for headers in ({}, own_page(ui), {"Sec-Fetch-Site": "none"}, {"Host": f"localhost:{port}"},
                    own_page(f"http://localhost:{port}", Host=f"localhost:{port}"),
                    {"Host": f"[::1]:{port}"}):  # fmt: skip
        answer = requests.post(f"{ui}/swarm", data=FORM, headers=headers, timeout=10)
        assert answer.status_code == 200, headers
        assert "safety.allow" in answer.json()["message"]  # the host of the form is what is refused


def test_the_form_cannot_confirm_a_host(ui):
    form = {**FORM, "host": "http://127.0.0.1:9", "confirm_host": "203.0.113.7", "scenario": "/etc/passwd"}
    requests.post(f"{ui}/swarm", data={**form, "host": FORM["host"]}, headers=own_page(ui), timeout=10)
    answer = requests.post(f"{ui}/swarm", data=FORM, headers=own_page(ui), timeout=10)
    assert answer.json()["success"] is False


def test_the_peak_tab_stands_beside_locusts_page_and_is_guarded_like_it(ui):
    page = requests.get(f"{ui}/", timeout=10).text
    assert '<a href="./peak/"' in page
    assert "about 5 customers arrive in 1 s" in page
    tab = requests.get(f"{ui}/peak", timeout=10)
    assert tab.url == f"{ui}/peak/"
    assert "script-src 'self'" in tab.headers["Content-Security-Policy"]
    assert (
        requests.get(f"{ui}/peak/live.js", timeout=10).headers["Content-Type"].startswith("text/javascript")
    )
    assert requests.get(f"{ui}/peak/live.py", timeout=10).status_code == 404
    assert requests.get(f"{ui}/peak/report", timeout=10).status_code == 404
    for path in ("/peak/", "/peak/events", "/peak/report"):
        foreign = requests.get(f"{ui}{path}", headers={"Host": "evil.example"}, timeout=10)
        assert foreign.status_code == 403
    with requests.get(f"{ui}/peak/events", stream=True, timeout=10) as stream:
        first = json.loads(next(stream.iter_lines()).removeprefix(b"data: "))
    assert (first["title"], first["step"]) == ("Never started", "starting")
    assert first["message"] == "There is no run yet. Start one on Locust's page."


def test_locust_shows_channels_and_journeys_instead_of_classes(ui):
    found = requests.get(f"{ui}/tasks", timeout=10).json()
    assert found["per_class"] == {"web": {"ratio": 1.0, "tasks": {"order_status": {"ratio": 1.0}}}}
    assert found["total"] == found["per_class"]
