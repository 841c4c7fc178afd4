"""`doorbuster run --no-retries`: the same peak without the part that retries play, on every worker."""

from __future__ import annotations

import json
import urllib.request

import pytest

from doorbuster.records.reader import Run

SCENARIO = """
title: A shop that refuses everybody
target: {storefront: "custom:one-page", url: "%s"}
demand: {peak: 10 customers/s, curve: {stages: [{for: 3s, at: 100%%}]}}
channels:
  web:
    {share: 100%%, journeys: {order_status: 1}, patience: none, retries: {attempts: 3, backoff: 10ms}}
thresholds: {served: ["rate>=99%%"]}
drain: 5s
"""


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.truth
def test_without_retries_every_request_is_sent_once_and_the_run_file_says_so(
    workers, root, tmp_path, doorbuster, stall_server
):
    url = stall_server("--kind", "fifo", "--service-ms", 10, "--shed-ms", 0)
    scenario = tmp_path / "refused.yaml"
    scenario.write_text(SCENARIO % url, encoding="utf-8")
    asked = [0]
    for name, options in (("with", []), ("without", ["--no-retries"])):
        done = doorbuster(
            "run", scenario, "--out", tmp_path / name, "--quiet", "--workers", workers,
            "--locustfile", root / "tests/load/one_step.py", *options,
        )  # fmt: skip
        assert done.returncode == 99, done.stderr
        with urllib.request.urlopen(f"{url}/count", timeout=5) as answer:
            asked.append(json.loads(answer.read()))
        with Run.open(tmp_path / name) as run:
            attempts, totals, text = run.histogram("response").n, run.outcome_totals(), run.meta.scenario_text
            retries = sum(int(n.sum()) for (_, what), n in run.counters().items() if what == "retries")
        assert totals.turned_away == totals.planned
        assert asked[-1] - asked[-2] == attempts
        expected = (totals.planned, 0, True)
        if name == "with":
            expected = (3 * totals.planned, 2 * totals.planned, False)
        assert (attempts, retries, "# changed by --no-retries" in text) == expected
