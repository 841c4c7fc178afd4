"""Hosts that are not loopback: only the confirmed ones are loaded, each of them, across redirects."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from doorbuster.errors import ExitCode

NAMESPACE = "doorbuster-hosts"
FIRST, SECOND, THIRD = (f"10.231.8.{number}" for number in (1, 2, 3))
PORT = 18080
SERVER = f"""
import sys
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = Counter()
    def do_GET(self):
        address = self.connection.getsockname()[0]
        self.seen[address] += 1
        self.send_response(302 if self.path == "/away" else 200)
        if self.path == "/away":
            self.send_header("Location", "http://{THIRD}:{PORT}/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("0.0.0.0", {PORT}), Handler)
print("ready", flush=True)
import threading
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
print(dict(Handler.seen), flush=True)
"""
FILE = f"""
from locust import FastHttpUser, HttpUser, constant
from doorbuster.load.locust_plugin.http_user import HttpUser as Ours

def page(user):
    user.client.get("/page")

def away(user):
    user.client.get("/away")

class Plain(HttpUser):
    host, tasks, wait_time = "http://{FIRST}:{PORT}", [page], constant(0.2)

class Fast(FastHttpUser):
    host, tasks, wait_time = "http://{SECOND}:{PORT}", [page, away], constant(0.2)

class Own(Ours):
    host, tasks, wait_time = "http://{SECOND}:{PORT}", [page, away], constant(0.2)
"""
SCENARIO = f"""
title: Two hosts
locust: {{users: 3, spawn_rate: 3, run_time: 3s}}
safety: {{allow: [{FIRST}, {SECOND}]}}
"""


@pytest.fixture
def namespace():
    """A network of its own with three addresses that are not loopback."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2: apt-get install iproute2")
    made = subprocess.run(["ip", "netns", "add", NAMESPACE], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this machine does not let us make a network namespace: {made.stderr.strip()}")
    try:
        for address in (FIRST, SECOND, THIRD):
            subprocess.run(
                ["ip", "-n", NAMESPACE, "address", "add", f"{address}/32", "dev", "lo"], check=True
            )
        subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
        yield ("ip", "netns", "exec", NAMESPACE)
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=False, capture_output=True)


@pytest.mark.truth
@pytest.mark.parametrize(
    ("confirmed", "code", "loaded"),
    [((FIRST,), ExitCode.USAGE, set()), ((FIRST, SECOND), ExitCode.INCONCLUSIVE, {FIRST, SECOND})],
    ids=["one of two", "both"],
)
def test_only_confirmed_hosts_are_loaded(namespace, tmp_path, environment, confirmed, code, loaded):
    (tmp_path / "mine.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "hosts.yaml").write_text(SCENARIO, encoding="utf-8")
    server = subprocess.Popen(
        [*namespace, sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout.readline() == "ready\n"
        words = [word for host in confirmed for word in ("--confirm-host", host)]
        done = subprocess.run(
            [
                *namespace, sys.executable, "-m", "doorbuster", "run", "hosts.yaml",
                "--locustfile", "mine.py", "--quiet", "--out", "out", *words,
            ],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    finally:
        seen = server.communicate("", timeout=20)[0]
    assert done.returncode == code, done.stdout + done.stderr
    for host in (FIRST, SECOND, THIRD):
        assert (host in seen) == (host in loaded), seen
    if loaded:
        assert f"were not sent, because {THIRD} was not confirmed" in done.stdout
    else:
        assert f"add --confirm-host {SECOND}" in done.stderr
