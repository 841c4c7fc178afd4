"""Workers on another host: the same run across two network namespaces that the test creates.

The delay is made by tests/load/relay.py, because not every kernel can delay packets.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from doorbuster.records.reader import Run
from doorbuster.shop_settings import ShopSettings

pytestmark = [pytest.mark.truth, pytest.mark.alone]

ROOT = Path(__file__).parent.parent.parent
MASTER, WORKER = "doorbuster-m", "doorbuster-w"
MASTER_IP, WORKER_IP = "10.231.7.1", "10.231.7.2"
SCENARIO = """
title: "Two hosts"
story: Customers of another machine.
target: {url: "http://%(ip)s:%(port)d"}
demand:
  peak: 20 customers/s
  curve: {stages: [{for: 5s, at: 100%%}]}
channels:
  store: {share: 100%%, journeys: {pos_sale: 1}}
thresholds:
  can_order: ["rate>=90%%"]
safety: {allow: [%(ip)s]}
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(namespace: str, *words: object, **options) -> subprocess.Popen:
    command = ["ip", "netns", "exec", namespace, sys.executable, *map(str, words)]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True, **options)


@pytest.fixture
def two_hosts():
    """Two connected network namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2: apt-get install iproute2")
    try:
        ip("netns", "add", MASTER)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not let us make a network namespace: {error.stderr.decode().strip()}")
    try:
        ip("netns", "add", WORKER)
        ip("link", "add", "dbm0", "netns", MASTER, "type", "veth", "peer", "name", "dbw0", "netns", WORKER)
        for namespace, device, address in ((MASTER, "dbm0", MASTER_IP), (WORKER, "dbw0", WORKER_IP)):
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", device)
            ip("-n", namespace, "link", "set", device, "up")
            ip("-n", namespace, "link", "set", "lo", "up")
        yield
    finally:
        for namespace in (MASTER, WORKER):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)


@pytest.fixture
def started():
    """Processes that are ended after the test, in the order of their start."""
    processes: list[subprocess.Popen] = []
    yield processes
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=20)
        if process.stdout is not None:
            process.stdout.close()


def cable(port: int, delay_ms: float, started: list[subprocess.Popen]) -> int:
    """The port of a relay to `port` of the master's host, with this delay each way."""
    if not delay_ms:
        return port
    relay = inside(
        MASTER, "tests/load/relay.py", "--to", f"{MASTER_IP}:{port}", "--delay-ms", delay_ms,
        "--listen", MASTER_IP, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    started.append(relay)
    return int(relay.stdout.readline())


@pytest.mark.parametrize("delay_ms", [0, 20])
def test_a_worker_on_another_host_delivers_its_share(delay_ms, two_hosts, started, tmp_path):
    shop = inside(MASTER, "-m", "doorbuster.shop", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.append(shop)
    shop.stdin.write(ShopSettings(host=MASTER_IP, products=200, query_time_s=0.001).to_json().encode())
    shop.stdin.flush()
    port = int(json.loads(shop.stdout.readline())["url"].rsplit(":", 1)[1])
    scenario = tmp_path / "two.yaml"
    shop_port = cable(port, delay_ms, started)
    scenario.write_text(SCENARIO % {"ip": MASTER_IP, "port": shop_port}, encoding="utf-8")
    locust = ["-m", "locust", "-f", "locustfiles/retail_peak.py", "--only-summary"]
    with (tmp_path / "said").open("w") as said:
        master = inside(
            MASTER, *locust, "--headless", "--scenario", scenario, "--run-folder", tmp_path / "run",
            "--master", "--master-bind-host", MASTER_IP, "--expect-workers", 1,
            "--confirm-host", MASTER_IP, stdout=said, stderr=said,
        )  # fmt: skip
    started.append(master)
    worker = inside(
        WORKER, *locust, "--worker", "--master-host", MASTER_IP,
        "--master-port", cable(5557, delay_ms, started),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    started.append(worker)
    assert master.wait(timeout=60) == 0, (tmp_path / "said").read_text()
    with Run.open(tmp_path / "run") as run:
        series, totals = run.arrivals()["store"], run.outcome_totals()
        (clock,) = [event.text for event in run.events() if event.kind == "clock"]
        quickest_us = run.histogram("response").min_us
    assert series.planned.tolist() == series.started.tolist()
    assert totals.planned == totals.served
    offset_ms, uncertainty_ms = map(float, re.search(r"clock (\S+) ms ± (\S+) ms, corrected", clock).groups())
    assert delay_ms <= uncertainty_ms  # half of the round trip
    assert abs(offset_ms) <= uncertainty_ms + 0.1  # both ends share one clock
    assert quickest_us >= 2 * delay_ms * 1000
