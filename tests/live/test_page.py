"""The live page: its server, what it refuses, and what a browser shows of a run."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest
from axe import axe_script, serious_findings

from doorbuster.cli.live_view import shown
from doorbuster.errors import UsageError
from doorbuster.live import monitor
from doorbuster.live.server import MAX_CONNECTIONS, LiveServer
from doorbuster.live.snapshot import Snapshot
from doorbuster.live.state import EventView, SeriesView, StageView, ThresholdView, VerdictView
from doorbuster.units import format_duration, format_ratio

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


@pytest.fixture(scope="module")
def peak():
    """The sample run 40 s after its start."""
    usual, monitor.time.sleep = time.sleep, lambda _: None
    try:
        return next(one for one in monitor.replay(SAMPLE, speed=1.0) if one.at_s >= 40)
    finally:
        monitor.time.sleep = usual


@pytest.fixture(scope="module")
def server():
    with LiveServer(0, "A run") as found:
        yield found


@pytest.fixture
def own_server():
    with LiveServer(0, "A run") as found:
        yield found


def port_of(server: LiveServer) -> int:
    return int(server.url.rsplit(":", 1)[1].strip("/"))


def get(server: LiveServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def events(server: LiveServer) -> socket.socket:
    """An open stream, of which nothing is read yet."""
    found = socket.create_connection(("127.0.0.1", port_of(server)), timeout=10)
    found.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return found


def test_the_page_allows_no_script_but_its_own_and_nothing_from_elsewhere(server):
    status, headers, page = get(server, "/")
    assert status == 200
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert b"://" not in page
    for name in ("live.js", "live.css"):
        status, _, content = get(server, f"/{name}")
        assert (status, b"https:" in content) == (200, False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # DNS rebinding
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/events", "/state", "/report"])
def test_a_foreign_page_can_read_nothing(server, path, headers):
    status, answer, _ = get(server, path, **headers)
    assert status == 403
    assert not [name for name in answer if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/../server.py", "/page/live.js", "/%2e%2e/etc/passwd", "/live.py"])
def test_only_the_files_of_the_page_are_served(server, path):
    assert get(server, path)[0] == 404


def test_it_listens_on_loopback_only(server):
    assert server.url.startswith("http://127.0.0.1:")


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match=r"cannot open port .* for the live page .*; see --live"):
            LiveServer(taken.getsockname()[1], "x")


def test_browsers_that_never_read_hold_up_neither_the_command_nor_other_browsers(own_server):
    stopped = [events(own_server) for _ in range(10)]
    tracemalloc.start()
    began_s = time.monotonic()
    for number in range(30):  # more than the buffers of the sockets hold
        own_server.broadcast.publish(f"{number} {'x' * 2**20}")
    took_s, (_, most_bytes) = time.monotonic() - began_s, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took_s < 5
    assert most_bytes < (len(stopped) + 1) * 4 * 2**20  # a text, its bytes and what is being sent, for each
    with events(own_server) as stream, stream.makefile("rb") as lines:
        until_s = time.monotonic() + 20
        while not lines.readline().startswith(b"data: 29 "):
            assert time.monotonic() < until_s
    for one in stopped:
        one.close()


def test_more_browsers_than_it_serves_are_turned_away_and_the_others_stay(own_server):
    many = [events(own_server) for _ in range(MAX_CONNECTIONS)]
    assert all(one.recv(12) == b"HTTP/1.1 200" for one in many)
    with events(own_server) as refused:
        assert refused.recv(10) == b""
    own_server.publish(message="still here")
    assert many[-1].recv(10)
    for one in many:
        one.close()


def test_at_the_end_every_browser_gets_the_last_snapshot_and_the_report(tmp_path):
    report = tmp_path / "index.html"
    report.write_text("<h1>The report</h1>")
    seen: list[str] = []

    def browse(stream: socket.socket) -> None:
        with stream, stream.makefile("rb") as lines:
            seen.extend(json.loads(line[6:])["step"] for line in lines if line.startswith(b"data: "))
        status, headers, content = get(server, "/report")
        assert (status, content) == (200, b"<h1>The report</h1>")
        assert headers["content-security-policy"].startswith("sandbox allow-scripts")
        seen.append("report read")

    with LiveServer(0, "A run") as server:
        reader = threading.Thread(target=browse, args=(events(server),))
        reader.start()
        while not seen:
            time.sleep(0.01)
        server.show_report(report)
    reader.join()
    assert seen[-2:] == ["done", "report read"]


def test_a_snapshot_is_one_line_of_json_without_control_characters(peak):
    evil = replace(
        peak, title="\x1b[2J\u202e</script>\n", measures=(replace(peak.measures[0], recent=float("inf")),)
    )
    text = Snapshot("t\x00", run=evil).to_json()
    assert "\n" not in text
    assert "\x1b" not in json.loads(text)["run"]["title"]
    assert json.loads(text)["run"]["measures"][0]["recent"] is None


HOSTILE = '"><img src=x onerror="document.title=1"><script>fetch("http://127.0.0.1:1/")</script>'


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from browser import Browser

    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


def foreign_requests(page, server: LiveServer) -> list[str]:
    """What the page does that it must not; it only talks to its own server."""
    return [one for one in page.problems() if not one.startswith(f"request to {server.url}")]


def test_a_browser_shows_the_run_on_every_screen_without_sideways_scrolling(server, peak, page):
    server.publish(run=peak, step="running")
    for width, dark in ((1280, False), (1280, True), (390, False)):
        page.open(server.url, width=width, dark=dark)
        page.wait_for("document.querySelectorAll('.figure').length === 6")
        assert page.js("document.documentElement.scrollWidth") <= width
        assert foreign_requests(page, server) == []
    clock = page.js("document.getElementById('clock').textContent")
    assert clock.startswith("peak · 40 s of 1m15s · 35 s left")
    assert page.js("document.querySelector('#thresholds li').innerText").startswith("FAIL")
    assert page.js("document.querySelectorAll('.tile').length") == 3
    assert page.js("document.querySelectorAll('#chart path').length") == 3


def test_a_page_that_nobody_sees_holds_no_connection(own_server, peak, page):
    """A browser opens six connections to a server: the seventh tab would never load."""
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    tell = "document.dispatchEvent(new Event('visibilitychange'))"
    own_server.publish(run=peak, step="running")
    page.open(own_server.url)
    page.wait_for("document.querySelectorAll('.figure').length === 6")
    page.js(hide % "true" + tell)
    until_s = time.monotonic() + 20
    while own_server.readers:
        assert time.monotonic() < until_s
        own_server.publish(message="")  # the server notices a closed stream when it writes
        time.sleep(0.05)
    own_server.publish(message="seen again")
    page.js(hide % "false" + tell)
    page.wait_for("document.getElementById('message').textContent === 'seen again'")


def test_numbers_on_the_page_are_written_as_in_the_terminal(server, peak, page):
    server.publish(run=peak, step="running")
    page.open(server.url)
    page.wait_for("document.querySelectorAll('.figure').length === 6")
    for one in peak.measures:
        assert page.js(f"shown({json.dumps(one.recent)}, '{one.unit}')") == shown(one, recent=True)
    for seconds in (0.0005, 0.0123, 0.9996, 1.0, 59.94, 60.0, 3725.0, 86_400.0):
        assert page.js(f"duration({seconds})") == format_duration(seconds)
    for ratio in (0.0, 0.00001, 0.5, 0.9997, 0.99999, 1.0):
        assert page.js(f"ratio({ratio})") == format_ratio(ratio)


def test_a_browser_runs_nothing_of_the_texts_of_a_run(server, peak, page):
    evil = replace(
        peak,
        title=HOSTILE,
        target=HOSTILE,
        thresholds=(*peak.thresholds, ThresholdView(HOSTILE, "fail", HOSTILE, HOSTILE)),
        channels=tuple(replace(one, name=HOSTILE) for one in peak.channels),
        steps=tuple(replace(one, step=HOSTILE) for one in peak.steps),
        events=(EventView(1.0, HOSTILE, HOSTILE),),
    )
    stages = (StageView("12 /s", "pass", HOSTILE, 12.0), StageView("24 /s", "fail", HOSTILE, 24.0))
    server.publish(
        title=HOSTILE, run=evil, message=HOSTILE, series=SeriesView(HOSTILE, HOSTILE, stages, 12.0, 24.0),
        verdict=VerdictView("fail", HOSTILE, (HOSTILE,), HOSTILE),
    )  # fmt: skip
    page.open(server.url, width=390)
    page.wait_for("!document.getElementById('series').hidden")
    assert page.js("document.querySelectorAll('img, main script').length") == 0
    assert page.js("document.title").endswith(HOSTILE)
    assert page.js("document.documentElement.scrollWidth") <= 390
    assert foreign_requests(page, server) == []
    server.publish(title="A run", run=None, message="", series=None, verdict=None)


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    return axe_script(tmp_path_factory.mktemp("axe"))


@pytest.mark.truth
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(server, peak, page, axe, width, dark):
    server.publish(run=peak, step="running")
    page.open(server.url, width=width, dark=dark)
    page.wait_for("document.querySelectorAll('.figure').length === 6")
    assert serious_findings(page, axe) == []
