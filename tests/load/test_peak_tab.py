"""Locust's web UI and its tab Peak in a real browser: a run from the start button to the report."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from axe import axe_script, serious_findings

from doorbuster.locust_process import local_workers

pytestmark = [pytest.mark.alone, pytest.mark.truth]

ROOT = Path(__file__).parents[2]
SCENARIO = """
title: A slow shop in the web UI
target: {storefront: reference, shop: {profile: in-house-2004}}
demand: {peak: 12 customers/s, curve: {stages: [{for: 2s, at: 30%}, {for: 12s, at: 100%}]}}
channels:
  web: {share: 80%, journeys: {browse: 60, buy: 40}, patience: {min: 20ms, shape: 2, tau: 100ms}}
  store: {share: 20%, journeys: {pos_sale: 1}}
  phone: {seats: 2, journeys: {phone_order: 1}}
thresholds: {can_order: ["rate>=95%"], http_req_duration: ["p(95)<3s"]}
drain: 8s
"""


@pytest.fixture(params=[0, 2], ids=["one process", "two workers"])
def ui(request, tmp_path):
    """The URL of the web UI."""
    (tmp_path / "web.yaml").write_text(SCENARIO, encoding="utf-8")
    port, bus = local_workers(1)[3], local_workers(1)[3]
    workers = ["--processes", request.param, "--master-bind-port", bus, "--master-port", bus]
    words = [
        *(sys.executable, "-m", "locust", "-f", ROOT / "locustfiles/retail_peak.py"),
        *("--scenario", "web.yaml", "--web-port", port),
        *(workers if request.param else ()),
    ]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen([*map(str, words)], cwd=tmp_path, stdout=said, stderr=said)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


@pytest.fixture
def page(tmp_path):
    from browser import Browser

    found = Browser(tmp_path / "profile")
    yield found
    found.close()


def wait_for_port(url: str) -> None:
    give_up_at = time.monotonic() + 60
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(url.rsplit(":", 1)[1]))) == 0:
                return
        assert time.monotonic() < give_up_at
        time.sleep(0.1)


def test_a_run_from_the_start_button_to_the_report(ui, page, tmp_path):
    url = ui
    wait_for_port(url)
    page.open(f"{url}/")
    page.wait_for("document.querySelector('button[type=submit]')")
    assert page.js("document.querySelector('input[name=host]').value") == "embedded shop"
    page.js("document.querySelector('button[type=submit]').click()")
    page.open(f"{url}/peak/")
    page.wait_for("document.querySelectorAll('.tile').length === 3")
    page.wait_for("document.querySelectorAll('#thresholds li').length === 2")
    users = "fetch('/stats/requests').then((answer) => answer.json()).then((found) => found.user_count)"
    page.wait_for("Number(document.querySelectorAll('.figure b')[1].textContent) > 10")
    assert page.js(users) > 5  # customers, not workers
    axe = axe_script(tmp_path)
    assert serious_findings(page, axe) == []  # while it runs
    page.wait_for("document.documentElement.dataset.step === 'done'", limit_s=120)
    assert serious_findings(page, axe) == []
    assert page.js("document.querySelector('#verdict strong').textContent")
    assert page.js("document.getElementById('report-link').textContent") == "Open the report"
    assert "A slow shop in the web UI" in page.js(
        "fetch('report').then((answer) => answer.text()).then((text) => text.match(/<title>(.*?)</)[1])"
    )
    assert [one for one in page.problems() if not one.startswith(f"request to {url}")] == []
    page.open(f"{url}/?tab=ratios")
    page.wait_for("document.body.innerText.includes('Ratio Per Class')")
    shown = page.js("document.body.innerText")
    assert "80.0% web" in shown
    assert "User" not in shown.split("Ratio Per Class")[1]
    for name in ("GeneratorUser", "run_generator"):
        assert name not in page.js("fetch('/stats/report').then((answer) => answer.text())")
    errors = page.js("fetch('/stats/requests').then((answer) => answer.json()).then((found) => found.errors)")
    assert {one["error"] for one in errors} == {"patience"}  # and not what the end of the run cut off
    assert all(0 < one["first_seen"] <= one["last_seen"] for one in errors)
