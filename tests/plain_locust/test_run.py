"""`doorbuster run` on plain Locust files: verdicts, refusals, interruption, stalls."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

VISITOR = """
import os
from locust import {base}, constant, task

class Visitor({base}):
    host = {host}
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get({path!r}, name="the page")
"""
OWN = 'os.environ["SHOP"]'
SHORT = ("--users", "2", "--spawn-rate", "10", "--run-time", "3s")
THRESHOLDS = """
title: One page
locust: {users: 2, spawn_rate: 10, run_time: 3s}
thresholds:
  "http_req_duration{name:/news}": ["p(50)<%s"]
  "http_reqs{name:/news,channel:NewsReader,journey:GET}": ["count>5"]
  "http_req_failed": ["rate<=0%%"]
"""


def visitor(path="/", base="HttpUser", host=OWN):
    return VISITOR.format(base=base, path=path, host=host)


def test_a_file_without_scenario_passes_when_no_request_failed(run_plain, shop, tmp_path):
    done = run_plain("product_pages.py", *SHORT, "--", "--csv", tmp_path / "own", SHOP=shop.url)
    assert done.code == ExitCode.FAIL  # /missing/page answers 404
    assert "requests failed" in done.stdout
    page = (done.folder / "index.html").read_text(encoding="utf-8")
    assert "closed: users of a plain Locust file" in page
    assert "Did the users keep sending requests?" in page
    assert "Could customers browse and order" not in page
    assert (tmp_path / "own_stats.csv").exists()
    with Run.open(done.folder) as run:
        assert run.meta.title.endswith("without a scenario")
        assert run.meta.target_url == shop.url


@pytest.mark.parametrize(
    ("bound", "code"), [("5s", ExitCode.PASS), pytest.param("1us", ExitCode.FAIL, marks=pytest.mark.truth)]
)
def test_thresholds_by_request_name_decide(run_plain, shop, tmp_path, command, bound, code):
    scenario = tmp_path / "news.yaml"
    scenario.write_text(THRESHOLDS % bound, encoding="utf-8")
    own = ("--", "--tags", "read", "--", "NewsReader")
    done = run_plain("kinds_of_users.py", scenario, "--workers", "2", *own, SHOP=shop.url)
    assert done.code == code, done.stdout + done.stderr
    gate = command("gate", done.folder, cwd=tmp_path)
    assert gate.returncode == code
    assert gate.stdout.count("pass") >= 2
    with Run.open(done.folder) as run:
        assert run.meta.workers == 2
        assert {series.step for series in run.series} == {"/news"}


def test_an_exit_code_of_the_file_itself_is_kept(run_plain, shop):
    done = run_plain("before_and_after.py", *SHORT, SHOP=shop.url)
    assert done.code == 3
    assert "exit code 3: set by" in done.stderr


@pytest.mark.parametrize(
    ("text", "args", "code", "sentence"),
    [
        (visitor(), (), ExitCode.USAGE, "the run would never end"),
        (visitor(), ("--run-time", "2s", "--", "--tags", "no"), ExitCode.USAGE, "no task with these tags"),
        (visitor(host="None"), ("--run-time", "2s"), ExitCode.USAGE, "Visitor in mine.py has no host"),
        (
            visitor(host='"https://shop.example"'), ("--run-time", "2s"), ExitCode.USAGE,
            "loading shop.example needs a confirmation: add --confirm-host shop.example",
        ),
        (
            visitor(), ("--run-time", "2s", "--url", "https://shop.example"), ExitCode.USAGE,
            "loading shop.example needs a confirmation",
        ),
        (visitor(), ("smoke",), ExitCode.INVALID_CONFIGURATION, "mine.py is a plain Locust file"),
        (visitor(), ("smoke", "--users", "3"), ExitCode.USAGE, "--users has no effect on smoke"),
        (visitor(), ("--seed", "3"), ExitCode.USAGE, "--seed has no effect on a plain Locust file"),
        (visitor(), ("--", "--host", "http://127.0.0.1:1"), ExitCode.USAGE, "with --url URL instead"),
        (
            visitor() + "\nfrom locust import LoadTestShape\nclass Endless(LoadTestShape):\n"
            "    def tick(self):\n        return 1, 1\n",
            (), ExitCode.USAGE, "cannot tell when Endless in mine.py ends",
        ),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_the_first_request(run_plain, shop, text, args, code, sentence):
    before = shop.requests
    done = run_plain(text, *args, SHOP=shop.url)
    assert sentence in done.stderr
    assert done.code == code
    assert shop.requests == before
    assert not (done.folder / "run.sqlite").exists()


@pytest.mark.parametrize("base", ["HttpUser", pytest.param("FastHttpUser", marks=pytest.mark.truth)])
def test_requests_to_hosts_that_were_not_confirmed_are_not_sent(run_plain, shop, base):
    done = run_plain(visitor("/elsewhere", base), *SHORT, SHOP=shop.url)
    assert done.code == ExitCode.INCONCLUSIVE
    assert "because 203.0.113.7 was not confirmed: add --confirm-host" in done.stdout
    with Run.open(done.folder) as run:
        assert {series.cause for series in run.series} == {"host_not_allowed"}
        assert run.histogram().n >= 5


def test_a_dead_target_fails_with_its_cause(run_plain):
    done = run_plain(visitor(host='"http://127.0.0.1:9"'), *SHORT)
    assert done.code == ExitCode.FAIL
    with Run.open(done.folder) as run:
        assert {series.cause for series in run.series} == {"connect_refused"}


@pytest.mark.truth
def test_a_stall_that_percentiles_hide_is_shown_and_does_not_pass(run_plain, shop):
    shop.stall_after(100, for_s=8.0)
    done = run_plain(
        visitor(), "--users", "4", "--spawn-rate", "20", "--run-time", "14s", SHOP=shop.url
    )  # fmt: skip
    assert done.code == ExitCode.INCONCLUSIVE
    assert "because the target stalled and a closed workload sends nothing meanwhile" in done.stdout
    with Run.open(done.folder) as run:
        times = run.histogram()
        assert times.quantile_us(0.9) < 1_000_000  # four of hundreds of requests waited
        assert times.max_us > 7_000_000
    page = (done.folder / "index.html").read_text(encoding="utf-8")
    assert "the target answered nothing for" in page


@pytest.mark.truth
def test_a_target_that_answers_slowly_has_not_stalled(run_plain, shop):
    done = run_plain(visitor("/report"), *SHORT, SHOP=shop.url)
    assert done.code == ExitCode.PASS


def test_exceptions_in_tasks_without_failed_requests_make_the_run_inconclusive(run_plain, shop):
    text = visitor() + "        raise KeyError('price')\n"
    done = run_plain(text, *SHORT, SHOP=shop.url)
    assert done.code == ExitCode.SCRIPT_EXCEPTION
    assert "tasks ended with an exception, such as KeyError: 'price'" in done.stdout


def test_ctrl_c_ends_the_run_and_keeps_what_was_recorded(tmp_path, shop, environment):
    (tmp_path / "mine.py").write_text(visitor(), encoding="utf-8")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "doorbuster", "run", "--locustfile", "mine.py", "--run-time", "5m",
            "--quiet", "--out", "out",
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environment(SHOP=shop.url),
    )  # fmt: skip
    wait_for_requests(tmp_path / "out" / "run.sqlite")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert said.strip().startswith("INTERRUPTED")
    with Run.open(tmp_path / "out") as run:
        assert run.meta.status == "interrupted"
        assert run.histogram().n > 0


def wait_for_requests(path):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if path.exists():
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                if db.execute("SELECT count(*) FROM requests").fetchone()[0]:
                    return
        time.sleep(0.2)
    raise AssertionError("no request was recorded within a minute")


@pytest.mark.truth
def test_settings_of_locust_from_elsewhere_change_nothing_and_are_named_in_a_note(run_plain, shop, tmp_path):
    """Neither the target nor the mode, the confirmations or the number of users."""
    dead = "http://192.0.2.7:9"
    for name in ("locust.conf", "home/.locust.conf"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f"host = {dead}\nworker = true\nconfirm-host = [192.0.2.7]\nusers = 500\nweb-port = 1\n",
            encoding="utf-8",
        )
    outside = {"LOCUST_HOST": dead, "LOCUST_MODE_WORKER": "true", "LOCUST_HEADLESS": "false",
               "LOCUST_PROCESSES": "3", "LOCUST_LOCUSTFILE": "other.py", "LOCUST_LIST": "true"}  # fmt: skip
    done = run_plain(visitor(), *SHORT, SHOP=shop.url, HOME=str(tmp_path / "home"), **outside)
    assert done.code == ExitCode.PASS, done.stderr
    for name in ("LOCUST_HOST", "LOCUST_MODE_WORKER", "LOCUST_PROCESSES", "~/.locust.conf", " locust.conf"):
        assert name in done.stderr
    with Run.open(done.folder) as run:
        assert run.meta.target_url == shop.url
