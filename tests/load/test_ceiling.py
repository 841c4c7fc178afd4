"""The ceiling of customers in flight: customers beyond it are dropped and counted, never started late."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from doorbuster.records.reader import Run
from doorbuster.scenario import load_scenario, plan_schedule

CEILING = 10
SERVICE_S = 0.5
LENGTH_S = 2


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
    """60 customers/s, a shop that takes half a second for each, ten in flight at most: (exit code, output,
    folder, requests that the shop counted)."""
    folder = tmp_path_factory.mktemp("ceiling")
    server = [sys.executable, root / "tests/truth/stall_server.py", "--kind", "infinite", "--service-ms",
              str(round(SERVICE_S * 1000))]  # fmt: skip
    with subprocess.Popen(server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shop:
        url = shop.stdout.readline().strip()
        scenario = folder / "ceiling.yaml"
        scenario.write_text(f"""
title: No room
target: {{storefront: "custom:one-page", url: "{url}", source_addresses: [127.0.0.1, 127.0.0.3]}}
demand: {{peak: 60 customers/s, curve: {{stages: [{{for: {LENGTH_S}s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none, think: {{constant: 1s}}}}}}
thresholds: {{http_req_failed: ["rate<=1%"]}}
safety: {{max_rate: 1000 requests/s, max_in_flight: {CEILING}}}
drain: 10s
""")
        done = subprocess.run(
            [sys.executable, "-m", "locust", "-f", root / "tests/load/one_step.py", "--headless",
             "--only-summary", "--scenario", scenario, "--run-folder", folder / "run"],
            cwd=root, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        with urllib.request.urlopen(f"{url}/count", timeout=10) as answer:
            delivered = json.loads(answer.read())
        shop.stdin.close()
    return done.returncode, done.stdout + done.stderr, folder, delivered


def test_every_planned_customer_starts_or_is_dropped_at_the_ceiling(run):
    _, said, folder, delivered = run
    planned = len(plan_schedule(load_scenario(folder / "ceiling.yaml")).intended_s)
    with Run.open(folder / "run") as record:
        totals = record.outcome_totals()
        causes = {count.cause for count in record.customers() if count.outcome == "dropped"}
        arrivals = record.arrivals()["web"]
    assert totals.planned == planned == totals.served + totals.dropped, said
    assert totals.served == delivered
    assert causes == {"in_flight_ceiling"}
    assert np.sum(arrivals.dropped) == totals.dropped
    assert np.sum(arrivals.started) == totals.served


def test_in_flight_never_exceeds_the_ceiling_and_dropped_customers_do_not_arrive_later(run):
    _, _, folder, delivered = run
    with Run.open(folder / "run") as record:
        together = [second.in_flight for seconds in record.health().values() for second in seconds]
    assert max(together) <= CEILING
    places = CEILING * (LENGTH_S / SERVICE_S)
    assert CEILING < delivered <= places  # each customer is in flight for half a second


def test_a_run_with_dropped_customers_is_inconclusive_and_states_why(run, doorbuster):
    code, said, folder, _ = run
    assert code == 96, said
    judged = doorbuster("gate", folder / "run")
    assert judged.returncode == 96
    with Run.open(folder / "run") as record:
        totals = record.outcome_totals()
    assert f"{totals.dropped} of {totals.planned} planned customers" in judged.stdout
