"""What a scenario breaks behind the embedded shop breaks in the run, at its time, and is in the run file."""

from __future__ import annotations

from collections import Counter

import pytest

from doorbuster.records.reader import Run
from doorbuster.report import RunContext, load_analysis

pytestmark = [pytest.mark.alone, pytest.mark.truth]

SCENARIO = """
title: "Payments fail for a while"
target:
  storefront: reference
  shop:
    profile: replatformed
    products: 100
    query_time: 1ms
    faults: [{dependency: payment, at: 3s, for: 3s, fail: 100%}]
demand: {peak: 8 customers/s, curve: {stages: [{for: 9s, at: 100%}]}}
channels: {store: {share: 100%, journeys: {pos_sale: 1}}}
thresholds: {can_order: ["rate>=20%"]}
"""


def test_orders_fail_while_the_payment_does_and_at_no_other_time(doorbuster, tmp_path):
    (tmp_path / "peak.yaml").write_text(SCENARIO, encoding="utf-8")
    folder = tmp_path / "run"
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", folder, "--quiet")

    with Run.open(folder) as run:
        answers = Counter((order.answer, order.cause) for order in run.orders())
        failed_at_s = [order.intended_s for order in run.orders() if order.answer != "acknowledged"]
        told = [event.text for event in run.events() if event.kind == "fault"]
        booked = len(run.ledger().orders)

    assert done.returncode in (0, 96), done.stdout + done.stderr
    assert set(answers) == {("acknowledged", ""), ("unknown", "payment_unavailable")}
    assert all(3.0 <= at_s < 6.5 for at_s in failed_at_s)
    assert len(failed_at_s) > 10  # 24 expected; 10 is below it by 2.9 standard deviations
    assert booked == answers["acknowledged", ""]
    assert told == ["payment failing for 100% of calls for 3 s"]


DEGRADED = """
title: "Recommendations fail in the app"
target:
  storefront: reference
  shop:
    profile: replatformed
    products: 100
    query_time: 1ms
    faults: [{dependency: recommendations, at: 2s, for: 4s, fail: 100%}]
demand: {peak: 8 customers/s, curve: {stages: [{for: 8s, at: 100%}]}}
channels:
  app: {share: 100%, journeys: {buy: 50, browse: 50}, patience: none, think: {constant: 100ms}}
thresholds: {can_order: ["rate>=50%"]}
drain: 10s
"""


def test_the_report_names_the_part_that_failed_and_shows_that_orders_went_on(doorbuster, root, tmp_path):
    (tmp_path / "peak.yaml").write_text(DEGRADED, encoding="utf-8")
    folder = tmp_path / "run"
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", folder, "--quiet")

    with Run.open(folder) as run:
        found = load_analysis(root / "analysis" / "errors.py")(RunContext(run))
        outcomes = Counter(row.outcome for row in run.customers())
    (table,) = [one for one in found.tables if one.title == "Degraded parts: failures that ended no visit"]
    ((part, asked, failed, tried, acknowledged),) = table.rows

    assert done.returncode in (0, 96), done.stdout + done.stderr
    assert part == "recommendations"
    assert 10 < failed < asked
    assert set(outcomes) == {"served"}
    assert acknowledged.value == 1.0
    assert tried > 5
    assert found.findings[0].startswith(f"recommendations failed {failed} times")
    assert "recommendations failed" in (folder / "index.html").read_text(encoding="utf-8")
