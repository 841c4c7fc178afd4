"""A real capacity search against the embedded shop: short, so its answer is rough, but whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from doorbuster.capacity.load_step import ProposedStep, judge_step
from doorbuster.capacity.runner import LoadStepRunner, open_shop
from doorbuster.capacity.scenario_bound_distances import binding_thresholds
from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario

SCENARIO = """
title: "A tiny shop"
target:
  storefront: reference
  shop: {profile: in-house-2004, workers: 1, query_time: 20ms, products: 200}
demand: {peak: 1 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}
channels:
  web: {share: 100%, journeys: {browse: 1}, patience: none, think: {constant: 10ms}}
thresholds:
  http_req_duration: ["p(95)<500ms"]
drain: 5s
"""


def start(folder, *options, text=SCENARIO):
    (folder / "tiny.yaml").write_text(text)
    args = ["capacity", "tiny.yaml", "--out", "found", "--warmup", "1s", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "doorbuster", *args], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


@pytest.mark.truth
def test_a_search_finds_the_capacity_of_a_shop_and_reports_it(tmp_path):
    fast = SCENARIO.replace("20ms", "5ms")
    process = start(tmp_path, "--budget", "250s", "--start-rate", "2 customers/s", text=fast)
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err + out
    found = json.loads((tmp_path / "found" / "capacity.json").read_text())
    assert found["finished"]
    assert 0.4 < found["rate_per_s"] < 16.0  # one worker, 5 ms a query, some ten queries a page, four pages
    assert found["low"] <= found["rate_per_s"] <= found["high"]
    assert {step["status"] for step in found["load_steps"]} >= {"fail"}
    assert out.strip().startswith("Capacity is ")
    assert "Capacity is " in (tmp_path / "found" / "index.html").read_text()
    for step in found["load_steps"]:
        with Run.open(tmp_path / "found" / step["run"]) as run:
            assert run.outcome_totals().served > 0


@pytest.mark.truth
def test_a_load_step_that_is_ended_early_is_evaluated_up_to_that_second(root, tmp_path):
    """What came after, when nobody was let in any more, would make it the generator's fault."""
    (tmp_path / "tiny.yaml").write_text(SCENARIO)
    plan, looks = load_scenario(tmp_path / "tiny.yaml"), []
    with open_shop(plan, tmp_path / "shop.log") as shop:
        locustfile = root / "locustfiles/retail_peak.py"
        runner = LoadStepRunner(plan, binding_thresholds(plan.thresholds), tmp_path, shop, locustfile, ())
        measured = runner.run(ProposedStep("ramp", 8.0, 1.0, 60.0, "far too much"), 1, looks.append)
    assert 10 <= measured.seconds < 60
    assert f"{measured.seconds} of 60 s judged" in looks
    assert measured.delivered_ratio > 0.99
    assert judge_step(measured).status == "fail"


def test_ctrl_c_keeps_the_results_so_far_and_leaves_no_process(tmp_path):
    process = start(tmp_path, "--start-rate", "4 customers/s")
    give_up_at = time.monotonic() + 60
    while not list(tmp_path.glob("found/01-*/run.sqlite")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < give_up_at
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 105, err
    found = json.loads((tmp_path / "found" / "capacity.json").read_text())
    assert (found["finished"], found["rate_per_s"]) == (False, None)
    assert "Capacity is unknown" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--start-rate", "0 customers/s"), "--start-rate: must be above 0 (got '0 customers/s')"),
        (("--max-rate", "3"), "--max-rate: must be a rate with its unit, such as"),
        (
            ("--start-rate", "9/s", "--max-rate", "3/s"),
            "--start-rate: must not exceed the maximum rate, 3 customers/s",
        ),
        (("--warmup", "soon"), "--warmup: must be a duration with its unit, such as"),
        (
            ("--budget", "1m"),
            "--budget: must be at least 5m34s with a warm-up of 3 s and 40 s of requests for a verdict (got ",
        ),
        (
            ("--budget", "1m", "--start-rate", "4/s"),
            "--budget: must be at least 3m49s with a warm-up of 3 s and 25 s of requests for a verdict (got ",
        ),
        (("--channel", "web"), "--channel requires --concurrency; a search uses all channels"),
        (
            ("--concurrency", "1,2", "--start-rate", "1/s"),
            "--start-rate and --max-rate cannot be combined with --concurrency",
        ),
        (("--concurrency", "1,x"), "--concurrency: must be whole numbers from 1 to 10,000"),
        (
            ("--concurrency", "1,2", "--channel", "till"),
            "--channel: tiny has no channel 'till'; choose from web",
        ),
    ],
)
def test_an_invalid_value_is_refused_by_the_name_of_its_option(doorbuster, tmp_path, words, said):
    (tmp_path / "tiny.yaml").write_text(SCENARIO)
    ended = doorbuster("capacity", "tiny.yaml", *words, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith(said)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("words", [(), pytest.param(("--concurrency", "1,2"), marks=pytest.mark.truth)])
def test_an_unreachable_shop_is_not_an_internal_error(doorbuster, tmp_path, words):
    (tmp_path / "tiny.yaml").write_text(SCENARIO)
    ended = doorbuster("capacity", "tiny.yaml", "--url", "http://127.0.0.1:9", *words, cwd=tmp_path)
    assert ended.returncode == 106
    assert "was not run: http://127.0.0.1:9 cannot be loaded" in ended.stderr


def test_a_scenario_without_a_threshold_that_load_can_violate_is_refused(tmp_path):
    text = SCENARIO.replace('http_req_duration: ["p(95)<500ms"]', 'customers: ["count>1"]')
    (tmp_path / "x.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "doorbuster", "capacity", "x.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "has no threshold that a higher rate can violate" in done.stderr


PLAIN = """
from locust import HttpUser, task

class Visitor(HttpUser):
    host = "http://127.0.0.1:9"

    @task
    def page(self):
        self.client.get("/")
"""


@pytest.mark.parametrize(
    "text", [SCENARIO, "title: t\nlocust: {users: 1, run_time: 1s}\n"], ids=["customers", "plain scenario"]
)
def test_a_plain_locust_file_is_refused_with_the_way_before_anything_is_written(doorbuster, tmp_path, text):
    (tmp_path / "mine.py").write_text(PLAIN, encoding="utf-8")
    (tmp_path / "tiny.yaml").write_text(text, encoding="utf-8")
    done = doorbuster("capacity", "tiny.yaml", "--locustfile", "mine.py", "--out", "found", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "a plain Locust file: a capacity search needs customers with channels" in done.stderr
    assert "a scenario with demand (a curve of stages) and locust: {tasks: 5}" in done.stderr
    assert not (tmp_path / "found").exists()


def test_a_search_needs_what_a_run_needs(doorbuster, tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SCENARIO.replace("storefront: reference", "storefront: custom:ours"), encoding="utf-8")
    done = doorbuster("capacity", path, "--locustfile", "retail_peak.py", "--out", tmp_path / "found")
    assert done.returncode == 104
    assert "has no driver 'custom:ours'" in done.stderr
    assert not (tmp_path / "found").exists()
