"""A run on a platform of two merchants: who is sent where, and what each one's books say."""

from __future__ import annotations

import pytest

from doorbuster.records.ledger import audit
from doorbuster.records.reader import Run

pytestmark = [pytest.mark.alone, pytest.mark.truth]

SCENARIO = """
title: "Two merchants on one platform"
target:
  storefront: reference
  shop: {profile: replatformed, products: 100, query_time: 1ms, merchants: [north, south], opening_stock: 50}
demand: {peak: 8 customers/s, curve: {stages: [{for: 6s, at: 100%}]}}
channels:
  app: {share: 50%, merchant: north, think: &think {constant: 50ms},
        journeys: {flash_sale: 60, click_and_collect: 40}}
  web: {share: 50%, merchant: south, journeys: {buy: 70, order_status: 30}, think: *think}
thresholds: {orders_missing: ["count==0"], can_order: ["rate>=90%"]}
"""


def test_every_order_is_booked_with_the_merchant_of_its_channel(doorbuster, tmp_path):
    """Also of those who collect in a store, and those who ask after orders: on two workers."""
    (tmp_path / "peak.yaml").write_text(SCENARIO, encoding="utf-8")
    done = doorbuster("run", tmp_path / "peak.yaml", "--out", tmp_path / "run", "--workers", 2, "--quiet")
    assert done.returncode in (0, 96), done.stdout + done.stderr
    with Run.open(tmp_path / "run") as run:
        ledger, totals = run.ledger(), run.outcome_totals()
        found = audit(run.orders(), ledger, run_id=run.meta.run_id)
        steps = {series.step for series in run.series}
    whose = {(order.channel, line.sku.partition(":")[0]) for order in ledger.orders for line in order.lines}
    assert whose == {("app", "north"), ("web", "south")}
    assert totals.served == totals.planned
    assert found.clean
    assert found.booked == found.acknowledged > 20
    assert {"pickup", "order_status"} <= steps
    assert {row.sku.partition(":")[0] for row in ledger.stock} == {"north", "south"}
