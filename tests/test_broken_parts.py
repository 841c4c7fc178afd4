"""What a scenario breaks behind the embedded shop breaks in the run, at its time, and is in the run file."""

from __future__ import annotations

from collections import Counter

import pytest

from doorbuster.records.run import Run

pytestmark = pytest.mark.alone

SCENARIO = """
title: "Payments fail for a while"
target:
  storefront: reference
  shop:
    profile: replatformed
    products: 100
    query_time: 1ms
    faults: [{part: payment, at: 3s, for: 3s, fail: 100%}]
demand: {peak: 8 customers/s, curve: {stages: [{for: 9s, at: 100%}]}}
channels: {store: {share: 100%, journeys: {till_sale: 1}}}
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
