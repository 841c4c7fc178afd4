"""What a plain Locust file raises besides `Exception` is counted and named, like any exception of a task."""

from __future__ import annotations

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

RAISING = """
import asyncio, itertools, os
import gevent
from locust import HttpUser, TaskSet, constant, task

RAISED = [
    gevent.Timeout(), gevent.GreenletExit(), asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(),
]

class Visitor(HttpUser):
    abstract = True
    host = os.environ["SHOP"]
    wait_time = constant(0.05)

    @classmethod
    def raise_next(cls):
        cls.turn = getattr(cls, "turn", -1) + 1
        raise RAISED[cls.turn % len(RAISED)]

class InTask(Visitor):
    @task
    def page(self):
        self.client.get("/fine")
        self.raise_next()
"""
IN_OTHER_PLACES = """
class InStart(Visitor):
    def on_start(self):
        self.raise_next()

    @task
    def page(self):
        self.client.get("/fine")

class InTaskSet(Visitor):
    @task
    class Pages(TaskSet):
        def on_start(self):
            self.user.raise_next()

        @task
        def page(self):
            self.client.get("/fine")

class InConstructor(Visitor):
    def __init__(self, environment):
        super().__init__(environment)
        self.raise_next()

    @task
    def page(self):
        self.client.get("/fine")
"""
SCENARIO = """
title: Visits
demand: {peak: 40 customers/s, curve: {stages: [{for: 1s, at: 100%}]}}
locust: {tasks: 1}
thresholds: {served: ["rate>=0%"], http_req_failed: ["rate<=1%"]}
"""


def test_visits_that_end_in_any_other_way_are_not_served(run_plain, shop, tmp_path):
    scenario = tmp_path / "visits.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = run_plain(RAISING + IN_OTHER_PLACES, scenario, SHOP=shop.url)
    with Run.open(done.folder) as run:
        ends = {(row.channel, row.outcome, row.cause) for row in run.customers()}
        texts = "".join(event.text for event in run.events() if event.kind == "script_exception")
    assert ends == {
        (kind, "dropped", "script_exception") for kind in ("InTask", "InStart", "InTaskSet", "InConstructor")
    }
    for name in ("Timeout", "GreenletExit", "CancelledError", "SystemExit", "KeyboardInterrupt"):
        assert name in texts
    assert done.code == ExitCode.SCRIPT_EXCEPTION


def test_users_that_raise_what_locust_does_not_report_make_the_run_inconclusive(run_plain, shop):
    done = run_plain(RAISING, "--users", "2", "--spawn-rate", "10", "--run-time", "2s", SHOP=shop.url)
    assert "tasks ended with an exception" in done.stdout
    assert done.code == ExitCode.SCRIPT_EXCEPTION
    with Run.open(done.folder) as run:
        assert run.histogram().n > 10  # the users went on, as after any exception
