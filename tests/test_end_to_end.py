"""The whole way, as a stranger walks it: real Locust, a real shop, a real run file, a real browser."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from doorbuster.errors import RecordError
from doorbuster.records.reader import Run

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parent.parent
SMALL_SHOP = (
    "{storefront: reference, shop: {profile: in-house-2004, workers: 1, query_time: 20ms, products: 200}}"
)
HOLDING_SHOP = SMALL_SHOP.replace("in-house-2004", "replatformed")
SCENARIO = """
title: "A small peak"
story: A few seconds of a sale.
target: %(target)s
demand:
  peak: %(peak)s customers/s
  curve: {stages: [{for: %(length)s, at: 100%%}]}
channels:
  web:
    share: 100%%
    journeys: {browse: 1, buy: 1}
    patience: %(patience)s
    think: {constant: 200ms}
thresholds:
  can_order: ["rate>=60%%"]
drain: 10s
"""


def scenario(folder: Path, **changes: str) -> Path:
    values = {"target": SMALL_SHOP, "peak": "5", "length": "4s", "patience": "desktop"} | changes
    path = folder / "peak.yaml"
    path.write_text(SCENARIO % values, encoding="utf-8")
    return path


def wait_until(condition, *, limit_s: float = 30.0) -> None:
    """Polls for something another process does; fails loudly instead of hanging."""
    give_up_at = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < give_up_at, "waited in vain"
        time.sleep(0.05)


def status_of(folder: Path) -> str:
    try:
        with Run.open(folder) as run:
            return run.meta.status
    except RecordError:
        return ""


def some_customers_have_come(folder: Path) -> bool:
    try:
        with Run.open(folder) as run:
            return any(series.started.sum() >= 5 for series in run.arrivals().values())
    except RecordError:
        return False


@pytest.fixture(scope="module")
def smoke(doorbuster, tmp_path_factory):
    """One run of the shipped smoke scenario: (what the command said, its folder)."""
    folder = tmp_path_factory.mktemp("smoke") / "run"
    return doorbuster("run", "smoke", "--out", folder), folder


def test_the_smoke_peak_passes_and_says_so(smoke):
    done, folder = smoke
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS" in done.stdout
    assert str(folder / "index.html") in done.stdout
    assert {"run.sqlite", "index.html", "summary.md", "junit.xml", "summary.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert [path.name for path in folder.iterdir() if path.stat().st_size == 0] == []


def test_the_embedded_shop_is_observed_by_itself(smoke):
    with Run.open(smoke[1]) as run:
        series = {one.title: one for one in run.observed()}
        events = [event.text for event in run.events() if event.kind == "observe"]
        length_s = run.recorded_s
    assert events == []
    assert (series["up"].values == 1).all()
    assert len(series["up"].seconds) >= length_s - 2
    used = series["utilisation{resource:database workers}"].values
    assert 0 < used.max() <= 1.1
    assert series["shop_responses_total{status:2xx}"].values.sum() > 100


def test_every_planned_customer_of_the_smoke_peak_has_exactly_one_outcome(smoke):
    with Run.open(smoke[1]) as run:
        totals = run.outcome_totals()
    assert totals.planned > 0
    assert totals.planned == totals.accounted


def test_every_acknowledged_order_of_the_smoke_peak_is_in_the_ledger(smoke):
    with Run.open(smoke[1]) as run:
        audit = run.audit()
        acknowledged = [order for order in run.orders() if order.answer == "acknowledged"]
    assert len(acknowledged) == audit.acknowledged > 0
    assert (audit.missing, audit.duplicated, audit.unacknowledged) == (0, 0, 0)


def test_the_schedule_is_what_was_delivered(smoke):
    with Run.open(smoke[1]) as run:
        for series in run.arrivals().values():
            if series.planned.any():
                assert series.planned.tolist() == series.started.tolist()


@pytest.mark.parametrize("name", ["customers", "latency"])
def test_a_section_runs_alone(smoke, name):
    script = ROOT / "analysis" / f"{name}.py"
    done = subprocess.run([sys.executable, script, smoke[1]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 5


def test_the_report_can_be_written_again_from_the_run_file(smoke, doorbuster, tmp_path):
    done = doorbuster("report", smoke[1], "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    first, again = (
        json.loads((folder / "summary.json").read_text(encoding="utf-8")) for folder in (smoke[1], tmp_path)
    )
    assert first["verdict"] == again["verdict"]
    assert first["metrics"] == again["metrics"]


def test_the_gate_judges_a_recorded_run_again(smoke, doorbuster, tmp_path):
    assert doorbuster("gate", smoke[1]).returncode == 0
    stricter = tmp_path / "stricter.yaml"
    text = (ROOT / "scenarios" / "smoke.yaml").read_text(encoding="utf-8")
    head = text.split("\nthresholds:", 1)[0]
    stricter.write_text(head + '\nthresholds: {http_req_duration: ["p(50)<0.001ms"]}\n', encoding="utf-8")
    assert doorbuster("gate", smoke[1], "--scenario", stricter).returncode == 99
    assert doorbuster("gate", smoke[1], "--scenario", stricter, "--fail-exit-code", 3).returncode == 3


def test_the_junit_file_has_a_test_case_for_each_threshold(smoke):
    tree = ET.parse(smoke[1] / "junit.xml")
    summary = json.loads((smoke[1] / "summary.json").read_text(encoding="utf-8"))
    assert len(tree.findall(".//testcase")) >= len(summary["thresholds"]) > 0
    assert tree.findall(".//failure") == []


def test_the_report_opens_in_a_real_browser(smoke, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("browser tests need Chromium: apt-get install chromium")
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (smoke[1] / "index.html").as_uri()],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "PASS" in done.stdout
    assert done.stdout.count("<svg") >= 4


@pytest.mark.truth
def test_a_shop_too_small_for_its_peak_fails(doorbuster, tmp_path):
    shop = SMALL_SHOP.replace("workers: 1, query_time: 20ms", "workers: 2, query_time: 10ms")
    peak = scenario(tmp_path, target=shop, peak="30", length="4s")
    done = doorbuster("run", peak, "--out", tmp_path / "run", "--quiet")
    assert done.returncode == 99, done.stdout + done.stderr
    assert "could not" in done.stdout
    assert "--profile replatformed" in done.stdout
    with Run.open(tmp_path / "run") as run:
        totals = run.outcome_totals()
        stopped = [row for row in run.customers() if row.step in {"home", "category", "search", "product"}]
    assert totals.abandoned > 0
    assert totals.planned == totals.accounted
    # Whoever leaves while looking around could not browse, however many pages came before.
    assert {row.browse for row in stopped if row.outcome in ("abandoned", "turned_away")} == {0}


def test_ctrl_c_ends_the_run_orderly_and_reports_what_there_is(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "doorbuster", "run", scenario(tmp_path, length="60s"), "--out", folder],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: some_customers_have_come(folder))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 105, said
    assert (folder / "index.html").exists()
    with Run.open(folder) as run:
        assert run.meta.status == "interrupted"
        totals = run.outcome_totals()
    assert totals.dropped > 0
    assert totals.planned == totals.accounted


@pytest.mark.parametrize("moment", ["locust.out", "shop.log"])
def test_a_run_ended_before_the_first_customer_leaves_no_report(moment, tmp_path):
    """Locust is about to start, or the shop is about to open; both take two seconds."""
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "doorbuster", "run", scenario(tmp_path), "--out", folder],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    wait_until((folder / moment).exists)
    process.send_signal(signal.SIGTERM)  # as a pipeline does it
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 105, said
    assert "before the first customer arrived" in said or said.endswith("interrupted\n")
    assert not (folder / "index.html").exists()


def test_ctrl_c_while_a_process_is_being_forked_is_not_lost(tmp_path):
    """The shop's process: its log exists when it is forked."""
    locustfile, log = tmp_path / "forked.py", tmp_path / "run" / "shop.log"
    interrupt = f"lambda: os.path.exists({str(log)!r}) and os.kill(os.getpid(), signal.SIGINT)"
    locustfile.write_text(
        (ROOT / "locustfiles" / "retail_peak.py").read_text(encoding="utf-8")
        + f"\n\nimport os, signal\nos.register_at_fork(after_in_parent={interrupt})\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "doorbuster", "run", scenario(tmp_path), "--locustfile", locustfile,
         "--out", tmp_path / "run"],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 105, done.stderr
    assert not (tmp_path / "run" / "index.html").exists()


@pytest.mark.truth
def test_a_run_whose_command_is_killed_before_it_begins_ends_too(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "doorbuster", "run", scenario(tmp_path, length="60s"), "--out", folder],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((folder / "locust.out").exists)
    process.kill()
    process.wait()
    wait_until(lambda: status_of(folder) == "aborted")


@pytest.mark.truth
def test_a_kill_file_ends_the_run_as_aborted(tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "doorbuster", "run", scenario(tmp_path, length="60s"), "--out", folder],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: some_customers_have_come(folder))
    (folder / "STOP").touch()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 108, said
    assert "the stop file" in said


def test_a_generator_that_is_killed_leaves_a_whole_run_file(doorbuster, tmp_path):
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", ROOT / "locustfiles" / "retail_peak.py", "--headless",
         "--only-summary", "--scenario", scenario(tmp_path, length="60s"), "--run-folder", folder],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: some_customers_have_come(folder))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert sqlite3.connect(folder / "run.sqlite").execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    done = doorbuster("report", folder, "--out", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stdout.lower()


def test_a_target_that_refuses_is_said_at_once(doorbuster, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = doorbuster(
        "run", "smoke", "--url", f"http://127.0.0.1:{port}", "--out", tmp_path / "run", "--quiet"
    )
    assert done.returncode == 106, done.stdout + done.stderr
    assert f"http://127.0.0.1:{port} cannot be loaded: connect_refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "index.html").exists()


def test_a_host_that_nobody_allowed_is_refused_before_anything_is_sent(doorbuster, tmp_path):
    done = doorbuster("run", "smoke", "--url", "http://shop.example.com", "--out", tmp_path / "run")
    assert done.returncode in (2, 104)
    assert "safety.allow" in done.stderr


def test_a_wrong_scenario_is_refused_with_every_fault_at_its_place(doorbuster, tmp_path):
    path = scenario(tmp_path, patience="desktopp", peak="minus five")
    done = doorbuster("run", path, "--out", tmp_path / "run")
    assert done.returncode == 104
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{path}:") for line in lines)
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_written_over_another(smoke, doorbuster):
    done = doorbuster("run", "smoke", "--out", smoke[1])
    assert done.returncode == 2
    assert "is not empty" in done.stderr


@pytest.mark.truth  # every journey runs with Locust alone in make test: test_shipped_runs.py
def test_locust_alone_runs_the_peak_and_leaves_with_the_verdict(doorbuster, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py", "--headless", "--only-summary",
         "--scenario", "scenarios/smoke.yaml", "--run-folder", tmp_path / "run"],
        cwd=ROOT, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"doorbuster report {tmp_path / 'run'}" in done.stderr
    assert "add_to_basket" in done.stdout + done.stderr  # Locust's own table shows the steps


def test_the_web_ui_of_locust_shows_the_run_live(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py", "--autostart", "--autoquit", "0",
         "--web-host", "127.0.0.1", "--web-port", str(port),
         "--scenario", scenario(tmp_path, length="60s"), "--run-folder", tmp_path / "run"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip

    def seen() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=2) as answer:
                stats = json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return any(row["name"] == "home" and row["num_requests"] > 0 for row in stats["stats"])

    try:
        wait_until(seen)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    with Run.open(tmp_path / "run") as run:
        assert run.meta.status == "interrupted"


@pytest.mark.truth
def test_two_workers_deliver_the_same_plan_as_one(doorbuster, tmp_path):
    path = scenario(tmp_path, target=HOLDING_SHOP, patience="none", length="3s")
    done = doorbuster("run", path, "--out", tmp_path / "run", "--workers", 2, "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        assert run.meta.workers == 2
        assert [(row.missing, row.final) for row in run.workers()] == [(0, True), (0, True)]
        for series in run.arrivals().values():
            assert series.planned.tolist() == series.started.tolist()
        totals = run.outcome_totals()
    assert totals.planned == totals.served
