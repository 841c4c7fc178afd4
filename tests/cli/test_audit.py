"""`doorbuster audit`: ledgers that people exported become part of a run, and its verdict follows them."""

from __future__ import annotations

import json

import pytest

from doorbuster.records.batch import ArrivalCount, Batch, CustomerCount, OrderAttempt
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter

RUN_ID = "20261127T080000-abc123"
STARTED = 1_795_766_400
SCENARIO = """
title: somebody's shop
target: {storefront: "custom:my-shop", url: "http://127.0.0.1:8004"}
demand: {peak: 1 customer/s, curve: {stages: [{for: 1s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {buy: 1}}}
thresholds:
  orders_missing: ["count==0"]
  oversold_units: ["count==0"]
"""
ORDERS = f"""\
order_ref,idempotency_key,placed_at,total_pence,sku,quantity,unit_pence
A1,{RUN_ID}:0:1,{STARTED + 1},500,LAMP,1,500
A2,{RUN_ID}:1:1,{STARTED + 1},500,LAMP,1,500
"""


@pytest.fixture
def run(tmp_path):
    """Two customers, both told that they have their lamp; no ledger was read."""
    keys = {"A1": f"{RUN_ID}:0:1", "A2": f"{RUN_ID}:1:1"}
    meta = RunMeta(
        run_id=RUN_ID, title="t", scenario_name="x.yaml", scenario_text=SCENARIO,
        storefront="custom:my-shop", target_url="http://127.0.0.1:8004", seed=1, workers=1,
        started_at_unix_ns=STARTED * 10**9, duration_s=1.0,
    )  # fmt: skip
    lines = (("LAMP", 1, 500),)
    with RunWriter.create(tmp_path / "run", meta, {}) as writer:
        writer.write(
            [
                Batch(
                    "w", 0, final=True,
                    customers=(CustomerCount(0, "web", "buy", "served", "", "", 1, 1, 2),),
                    arrivals=(ArrivalCount(0, "web", 2, 0),),
                    orders=tuple(
                        OrderAttempt(key, "web", "buy", 0.1, 0.2, "acknowledged", "", ref, 500, lines)
                        for ref, key in keys.items()
                    ),
                )
            ]
        )  # fmt: skip
        writer.finish("finished")
    return tmp_path / "run"


@pytest.fixture
def audit(doorbuster, run, tmp_path):
    def call(orders: str, stock: str | None = None):
        (tmp_path / "orders.csv").write_text(orders, encoding="utf-8")
        words = ["--ledger", tmp_path / "orders.csv"]
        if stock is not None:
            (tmp_path / "stock.csv").write_text(stock, encoding="utf-8")
            words += ["--stock", tmp_path / "stock.csv"]
        return doorbuster("audit", run, *words)

    return call


def results(run) -> dict[str, str]:
    """Threshold -> status, as the report for machines has it."""
    told = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return {row["metric"]: row["status"] for row in told["thresholds"]}


def test_a_clean_ledger_becomes_part_of_the_run_and_its_report(audit, run):
    done = audit(ORDERS, "sku,opening,on_hand\nLAMP,5,3\n")
    assert "2 orders, 2 from this run; stock of 1 products" in done.stdout, done.stderr
    assert "Yes: all 2 acknowledged orders are in the shop's ledger exactly once" in done.stdout
    assert (run / "index.html").is_file()
    assert set(results(run).values()) == {"pass"}
    with Run.open(run) as recorded:
        assert [order.order_ref for order in recorded.ledger().orders] == ["A1", "A2"]
        assert recorded.meta.status == "finished"
        assert [event.kind for event in recorded.events()] == ["ledger"]


def test_a_missing_order_and_an_oversold_unit_fail_the_run(audit, run):
    one = "".join(ORDERS.splitlines(keepends=True)[:2]).replace("LAMP,1,", "LAMP,2,")
    done = audit(one, "sku,opening,on_hand\nLAMP,1,-1\n")
    assert done.returncode == 99, done.stdout + done.stderr
    assert "1 was missing in the ledger" in done.stdout
    found = results(run)
    assert (found["orders_missing"], found["oversold_units"]) == ("fail", "fail")


@pytest.mark.truth
def test_without_stock_overselling_is_unknown_and_never_a_pass(audit, run):
    done = audit(ORDERS)
    assert "Overselling is unknown" in done.stdout, done.stderr
    assert results(run) == {
        "orders_missing": "pass", "oversold_units": "inconclusive", "orders_duplicated": "pass",
    }  # fmt: skip


@pytest.mark.truth
def test_a_later_ledger_replaces_an_earlier_one(audit, run):
    audit(ORDERS.replace("A2", "A3"), "sku,opening,on_hand\nLAMP,5,3\n")
    done = audit(ORDERS, "sku,opening,on_hand\nLAMP,5,3\n")
    assert "Yes: all 2 acknowledged orders" in done.stdout
    with Run.open(run) as recorded:
        assert len(recorded.ledger().orders) == 2


@pytest.mark.truth
def test_a_ledger_of_another_run_is_reported(audit):
    done = audit(ORDERS.replace(RUN_ID, "r0").replace("A1", "B1").replace("A2", "B2"))
    assert "contains no orders from this run" in done.stderr
    assert done.returncode == 99


def test_files_that_cannot_be_read_leave_the_run_as_it_was(audit, run):
    before = (run / "run.sqlite").read_bytes()
    done = audit(ORDERS.replace("500,LAMP", "5.00,LAMP"), "sku,opening\nLAMP,5\n")
    assert done.returncode == 2
    assert "orders.csv:2:4: total_pence must be a whole number of the currency's smallest unit" in done.stderr
    assert "stock.csv:1:1: on_hand is missing from the header" in done.stderr
    assert (run / "run.sqlite").read_bytes() == before
    assert not (run / "index.html").exists()
