"""A name whose address changes, in a network and with a hosts file of its own; run by `unshare -mn`.

    python tests/load/moved_names.py FOLDER

Two servers have the same port at 127.0.0.1 and at 10.99.0.1. Prints how many requests each got, and the
causes of the requests of a distributed run whose worker resolves the name differently, and of a plain Locust
file that sees the name move after its start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
HERE, ELSEWHERE = "127.0.0.1", "10.99.0.1"
SCENARIO = """
title: A name that moves
target: {{storefront: "custom:one-page", url: "http://shop.test:{port}"}}
demand: {{peak: 10 customers/s, curve: {{stages: [{{for: 1s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none}}}}
safety: {{allow: [shop.test]}}
drain: 3s
"""
PLAIN = """
import os
from pathlib import Path
from locust import FastHttpUser, HttpUser, constant, events, task
from doorbuster.load.locust_plugin.http_user import HttpUser as OwnHttpUser

@events.test_start.add_listener
def move(**_):
    Path("/etc/hosts").write_text("10.99.0.1 shop.test\\n")

class Requests(HttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")

class Fast(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")

class Own(OwnHttpUser):
    wait_time = constant(0.1)

    @task
    def page(self):
        self.client.get("/")
"""
received: Counter[str] = Counter()


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        received[self.server.server_address[0]] += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def causes(folder: Path) -> dict[str, int]:
    from doorbuster.records.reader import Run

    with Run.open(folder) as run:
        return {
            cause: run.histogram("service", match=lambda series, cause=cause: series.cause == cause).n
            for cause in {series.cause for series in run.series}
        }


def distributed(folder: Path, port: int) -> dict[str, int]:
    """The worker's hosts file says something else than the master's."""
    scenario, hosts = folder / "moved.yaml", folder / "worker-hosts"
    scenario.write_text(SCENARIO.format(port=port), encoding="utf-8")
    hosts.write_text(f"{ELSEWHERE} shop.test\n", encoding="utf-8")
    locust = [sys.executable, "-m", "locust", "-f", "tests/load/one_step.py", "--only-summary"]
    master = subprocess.Popen(
        [*locust, "--headless", "--scenario", scenario, "--run-folder", folder / "distributed", "--master",
         "--expect-workers", "1"], cwd=ROOT, stdout=sys.stderr, stderr=sys.stderr,
    )  # fmt: skip
    worker = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', hosts,
         *locust, "--worker"],
        cwd=ROOT, stdout=sys.stderr, stderr=sys.stderr,
    )  # fmt: skip
    try:
        master.wait(60)
        worker.wait(20)
    finally:
        master.kill()
        worker.kill()
    return causes(folder / "distributed")


def plain(folder: Path, port: int) -> dict[str, int]:
    """The name moves after the check at the start."""
    (folder / "moving.py").write_text(PLAIN, encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "doorbuster", "run", "--locustfile", "moving.py", "--users", "6",
         "--spawn-rate", "6", "--run-time", "2s", "--url", f"http://shop.test:{port}", "--out",
         "plain", "--quiet"],
        cwd=folder, stdout=sys.stderr, stderr=sys.stderr, timeout=80, check=False,
    )  # fmt: skip
    return causes(folder / "plain")


def main(folder: Path) -> None:
    for words in (["link", "set", "lo", "up"], ["address", "add", f"{ELSEWHERE}/32", "dev", "lo"]):
        subprocess.run(["ip", *words], check=True)
    hosts = folder / "hosts"
    hosts.write_text(f"{HERE} shop.test\n", encoding="utf-8")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    first = ThreadingHTTPServer((HERE, 0), Page)
    port = first.server_address[1]
    for server in (first, ThreadingHTTPServer((ELSEWHERE, port), Page)):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    answer = {
        "distributed": distributed(folder, port),
        "plain": plain(folder, port),
        "received": dict(received),
    }
    print(json.dumps(answer), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
