"""`safety.max_rate` with plain Locust files: the requests of all clients together, redirects included."""

from __future__ import annotations

import json

import pytest

from doorbuster.errors import ExitCode

LIMIT_PER_S = 40
FILE = """
from locust import FastHttpUser, HttpUser, constant
from doorbuster.load.locust_plugin.http_user import HttpUser as Ours

def page(user):
    user.client.get("/page")
    user.client.get("/away")

class Plain(HttpUser):
    tasks, wait_time = [page], constant(0)

class Fast(FastHttpUser):
    tasks, wait_time = [page], constant(0)

class Own(Ours):
    tasks, wait_time = [page], constant(0)
"""
SCENARIO = """
title: paced
locust: {users: 6, spawn_rate: 6, run_time: %ss}
target: {url: "%s"}
safety: {max_rate: %s requests/s}
thresholds: {http_req_failed: ["rate<=0%%"]}
"""


@pytest.mark.parametrize(
    "more",
    [(), pytest.param(("--workers", "2"), marks=pytest.mark.truth)],
    ids=["one process", "two workers"],
)
def test_no_second_has_more_requests_than_allowed(run_plain, own_shop, tmp_path, more):
    scenario = tmp_path / "paced.yaml"
    scenario.write_text(SCENARIO % (3, own_shop.url, LIMIT_PER_S), encoding="utf-8")
    done = run_plain(FILE, *more, scenario)
    at_s = sorted(own_shop.requests_at_s)
    highest = max(sum(start <= other < start + 1 for other in at_s) for start in at_s)
    assert highest <= LIMIT_PER_S * 1.05
    assert len(at_s) >= LIMIT_PER_S * 2, "the users ask for far more than the limit"
    assert done.code == ExitCode.INCONCLUSIVE, done.stdout + done.stderr
    summary = json.loads((done.folder / "summary.json").read_text(encoding="utf-8"))
    assert "safety.max_rate delayed" in json.dumps(summary)


def test_a_rate_that_the_client_would_not_keep_is_refused(run_plain, tmp_path):
    own = "from locust import User, task\nclass Own(User):\n    @task\n    def wait(self):\n        pass\n"
    scenario = tmp_path / "paced.yaml"
    scenario.write_text(SCENARIO % (3, "http://127.0.0.1:1", LIMIT_PER_S), encoding="utf-8")
    done = run_plain(own, scenario)
    assert done.code == ExitCode.USAGE
    assert "safety.max_rate cannot limit Own" in done.stderr


def test_fewer_requests_than_workers_are_refused(run_plain, own_shop, tmp_path):
    scenario = tmp_path / "paced.yaml"
    scenario.write_text(SCENARIO % (3, own_shop.url, 1), encoding="utf-8")
    done = run_plain(FILE, "--workers", "2", scenario)
    assert done.code == ExitCode.USAGE
    assert "which 2 workers cannot share" in done.stderr
    assert not own_shop.requests
