"""The tasks of a plain Locust file on open arrivals: each arrival is one visit."""

from __future__ import annotations

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

SCENARIO = """
title: Visits
demand: {peak: %s customers/s, curve: {stages: [{for: 4s, at: 100%%}]}}
locust: {tasks: 4%s}
drain: %s
thresholds: {served: ["rate>=99%%"]}
safety: {max_in_flight: %s}
"""
FAILING = """
import os
from locust import HttpUser, task

class Visitor(HttpUser):
    host = os.environ["SHOP"]

    @task
    def page(self):
        self.client.get("/fine")
        self.client.get("/broken")
        raise KeyError("price")
"""


@pytest.fixture
def visit(run_plain, shop, tmp_path):
    """Runs visits of a locustfile and opens the run."""
    opened = []

    def run(file, *args, rate=12, more="", drain="10s", max_in_flight=1000):
        scenario = tmp_path / "visits.yaml"
        scenario.write_text(SCENARIO % (rate, more, drain, max_in_flight), encoding="utf-8")
        done = run_plain(file, scenario, *args, SHOP=shop.url)
        opened.append(Run.open(done.folder) if (done.folder / "run.sqlite").exists() else None)
        return done, opened[-1]

    yield run
    for run in opened:
        if run is not None:
            run.close()


def requests_by_name(run):
    return {name: times.n for name, times in run.histograms_by(lambda series: series.step).items()}


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.truth)])
def test_every_arrival_runs_on_start_its_tasks_and_on_stop(visit, workers):
    done, run = visit("whole_visits.py", "--workers", str(workers))
    assert done.code == ExitCode.PASS, done.stdout + done.stderr
    balance = run.outcome_totals()
    visits = balance.planned
    assert visits > 20
    assert balance.served == visits
    assert requests_by_name(run) == {"/start": visits, "task": 4 * visits, "/end": visits}
    assert set(run.outcome_totals_by_channel()) == {"Walker", "Buyer"}
    assert (
        run.outcome_totals_by_channel()["Walker"].planned > run.outcome_totals_by_channel()["Buyer"].planned
    )
    assert run.meta.workload == "open"
    assert run.meta.workers == max(workers, 1)


@pytest.mark.truth
def test_weights_of_classes_come_from_the_scenario(visit):
    done, run = visit("whole_visits.py", more=", classes: {Buyer: 1}")
    assert done.code == ExitCode.PASS
    assert set(run.outcome_totals_by_channel()) == {"Buyer"}


@pytest.mark.truth
def test_arrivals_continue_while_the_shop_stalls_and_wait_from_their_intended_start(visit, shop):
    shop.stall_after(20, for_s=3.0)
    _, run = visit("whole_visits.py")
    arrivals = run.arrivals()
    planned = sum(series.planned for series in arrivals.values())
    started = sum(series.started for series in arrivals.values())
    assert started.tolist() == planned.tolist()
    waited = run.histogram(match=lambda series: series.step == "/start")
    assert waited.quantile_us(0.5) > 300_000  # about three of four seconds of arrivals met the stall


def test_a_failed_request_turns_the_visit_away_at_its_step(visit):
    done, run = visit(FAILING)
    assert done.code == ExitCode.FAIL
    assert {(row.outcome, row.step, row.cause) for row in run.customers()} == {
        ("turned_away", "/broken", "status_5xx")
    }


@pytest.mark.truth
def test_an_exception_without_a_failed_request_is_a_fault_of_the_file(visit):
    done, run = visit(FAILING.replace('        self.client.get("/broken")\n', ""))
    assert {(row.outcome, row.cause) for row in run.customers()} == {("dropped", "script_exception")}
    assert done.code == ExitCode.SCRIPT_EXCEPTION


@pytest.mark.truth
def test_visits_beyond_the_limit_are_dropped_and_those_that_never_end_are_cut(visit, shop):
    shop.stall_after(1, for_s=12.0)
    done, run = visit("whole_visits.py", drain="1s", max_in_flight=5)
    causes = {row.cause: row.n for row in run.customers(3600)}
    assert set(causes) <= {"in_flight_ceiling", "drain_limit"}
    balance = run.outcome_totals()
    assert balance.dropped == balance.planned
    assert done.code == ExitCode.INCONCLUSIVE


@pytest.mark.parametrize(
    ("args", "more", "sentence"),
    [
        (["--users", "5"], "", "locust.users cannot stand beside demand"),
        ([], ", classes: {Nobody: 1}", "has no user class Nobody; locust.classes may name Walker, Buyer"),
    ],
)
def test_what_open_arrivals_cannot_use_is_refused(visit, args, more, sentence):
    done, run = visit("whole_visits.py", *args, more=more)
    assert sentence in done.stderr
    assert run is None
