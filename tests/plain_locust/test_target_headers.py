"""`target.headers` with plain Locust files: each client sends them, to named hosts only."""

from __future__ import annotations

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from doorbuster.errors import ExitCode

FILE = """
from locust import FastHttpUser, HttpUser, constant
from doorbuster.load.locust_plugin.http_user import HttpUser as Ours

def page(user):
    kind = type(user).__name__
    user.client.get(f"/{kind}/page")
    user.client.get(f"/{kind}/own", headers={"X-Api-Key": "mine"})
    user.client.get(f"/{kind}/away")

class Plain(HttpUser):
    tasks, wait_time = [page], constant(0.1)

class Fast(FastHttpUser):
    tasks, wait_time = [page], constant(0.1)

class Own(Ours):
    tasks, wait_time = [page], constant(0.1)
"""
SCENARIO = """
title: keys
locust: {users: 3, spawn_rate: 3, run_time: 2s}
target: {url: "%s", headers: {X-Api-Key: "${KEY}", User-Agent: load test}}
thresholds: {http_req_failed: ["rate<=0%%"]}
"""


class Keys(BaseHTTPRequestHandler):
    """Notes the headers of each path; /away redirects to another name of this machine."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = self.headers["Host"].partition(":")[0]
        got = (self.headers.get("X-Api-Key"), self.headers.get("User-Agent"))
        self.server.seen[self.path, host].add(got)
        self.send_response(302 if self.path.endswith("/away") else 200)
        if self.path.endswith("/away"):
            self.send_header(
                "Location", f"http://localhost:{self.server.server_address[1]}{self.path}/elsewhere"
            )
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.fixture
def keys():
    with ThreadingHTTPServer(("127.0.0.1", 0), Keys) as server:
        server.seen = defaultdict(set)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    "more", [(), pytest.param(("--workers", "1"), marks=pytest.mark.truth)], ids=["one process", "worker"]
)
def test_each_client_sends_the_headers_to_the_named_host_only(run_plain, keys, tmp_path, more):
    scenario = tmp_path / "keys.yaml"
    scenario.write_text(SCENARIO % f"http://127.0.0.1:{keys.server_address[1]}", encoding="utf-8")
    done = run_plain(FILE, *more, scenario, KEY="geheim-1")
    assert done.code == ExitCode.PASS, done.stdout + done.stderr
    for kind in ("Plain", "Fast", "Own"):
        assert keys.seen[f"/{kind}/page", "127.0.0.1"] == {("geheim-1", "load test")}
        assert keys.seen[f"/{kind}/own", "127.0.0.1"] == {("mine", "load test")}
        assert keys.seen[f"/{kind}/away", "127.0.0.1"] == {("geheim-1", "load test")}
        ((key, _),) = keys.seen[f"/{kind}/away/elsewhere", "localhost"]
        assert key is None
    assert [
        file for file in done.folder.rglob("*") if file.is_file() and b"geheim-1" in file.read_bytes()
    ] == []


def test_a_variable_that_is_not_set_ends_the_command(run_plain, keys, tmp_path):
    scenario = tmp_path / "keys.yaml"
    scenario.write_text(SCENARIO % f"http://127.0.0.1:{keys.server_address[1]}", encoding="utf-8")
    done = run_plain(FILE, scenario)
    assert done.code == ExitCode.USAGE
    assert "target.headers needs the environment variable KEY" in done.stderr
    assert keys.seen == {}
