"""The warehouse behind the orders, on ledgers whose backlog and drain are known by arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter
from doorbuster.report import RunContext, load_analysis

SCENARIO = """
title: A warehouse
target: {storefront: reference, shop: {profile: replatformed%(shop)s}}
demand: {peak: 10 customers/s, curve: {stages: [{for: %(length)s, at: 100%%}]}%(more)s}
channels: {web: {share: 100%%, journeys: {buy: 1}}}
"""
LINES = (LedgerLine("sku-1", 1, 100),)


@pytest.fixture
def analysed(root, tmp_path):
    """The section of a run of 20 s with these orders: (placed, picked or None, lines) in seconds."""

    def analyse(orders, *, shop="", length="20s", more="", read_at_s=30.0, ledger=True):
        text = SCENARIO % {"shop": shop, "length": length, "more": more}
        meta = RunMeta(
            run_id="r1", title="A warehouse", scenario_name="w", scenario_text=text, storefront="reference",
            target_url="http://127.0.0.1:1", shop_profile="replatformed", seed=1, workers=1,
            started_at_unix_ns=0, duration_s=20.0,
        )  # fmt: skip
        booked = tuple(
            LedgerOrder(f"o{i}", f"r1:{i}", "web", 100, placed, picked, lines)
            for i, (placed, picked, lines) in enumerate(orders)
        )
        with RunWriter.create(tmp_path, meta, {"web": np.ones(20, np.int64)}) as writer:
            if ledger:
                writer.write_ledger(Ledger(booked, (), read_at_s))
            writer.finish("finished")
        with Run.open(tmp_path) as run:
            return load_analysis(root / "analysis" / "fulfilment.py")(RunContext(run))

    return analyse


def queue(placed, rate):
    """Orders picked one after the other, each 1/rate s after the one before or after it was placed."""
    free, orders = 0.0, []
    for at in placed:
        free = max(free, at) + 1 / rate
        orders.append((at, free, LINES))
    return orders


def values(found):
    return {name: metric.value for name, metric in found.metrics.items()}


def test_a_warehouse_at_half_the_intake_needs_as_long_again_as_the_orders_took(analysed):
    found = analysed(queue(np.arange(0.0, 10.0, 0.25), rate=2.0))  # 40 orders at 4/s, picked at 2/s
    seen = values(found)
    assert seen["pick_rate"] == pytest.approx(2.0)
    assert found.metrics["pick_rate"].n == 40
    assert seen["drain_time"] == pytest.approx(20.0 - 9.75)
    assert seen["backlog_drained_at"] == pytest.approx(20.0)
    assert seen["backlog_peak"] == 21  # 40 placed by 9.75 s, 19 picked
    assert seen["backlog_left"] == 0
    assert seen["longest_wait"] == pytest.approx(20.0 - 9.75)


def test_the_remaining_backlog_drains_at_the_measured_rate(analysed):
    orders = [(at, picked if picked <= 12 else None, lines)
              for at, picked, lines in queue(np.arange(0.0, 10.0, 0.25), rate=2.0)]  # fmt: skip
    found = analysed(orders, read_at_s=12.0)
    seen = values(found)
    assert seen["backlog_left"] == 16
    assert seen["pick_rate"] == pytest.approx(2.0)
    assert seen["drain_time"] == pytest.approx(12.0 - 9.75 + 16 / 2)
    assert seen["backlog_drained_at"] is None
    assert found.metrics["longest_wait"].at_least


def test_the_rate_that_the_scenario_states_goes_before_the_measured_one(analysed):
    found = analysed(
        [(float(at), None, LINES) for at in range(10)], shop=", warehouse_rate: 4 orders/s", read_at_s=10
    )
    assert values(found)["drain_time"] == pytest.approx(10 - 9 + 10 / 4)


def test_a_warehouse_that_keeps_up_does_not_show_its_rate(analysed):
    found = analysed(queue(np.arange(0.0, 10.0, 1.0), rate=5.0))
    assert values(found)["pick_rate"] is None
    assert values(found)["backlog_peak"] == 1


def test_the_figure_reaches_as_high_as_the_sentence_says(analysed):
    found = analysed(queue(np.arange(0.0, 10.0, 0.25), rate=3.0))  # the peak lies between whole seconds
    ((depth,),) = ([series.y for series in figure.series] for figure in found.figures)
    assert max(depth) == values(found)["backlog_peak"]


def test_till_sales_and_cancelled_orders_never_wait(analysed):
    orders = [(1.0, 1.0, LINES), (2.0, None, ()), *queue(np.arange(3.0, 8.0, 1.0), rate=5.0)]
    found = analysed(orders)
    seen = values(found)
    assert (seen["orders_to_pick"], seen["backlog_peak"], seen["backlog_left"]) == (5, 1, 0)
    assert found.sentence == "Yes: at most 1 of 5 orders to pick waited at once."
    assert found.findings[0] == (
        "The shop's ledger has 7 orders: 5 were to be picked in the warehouse; 1 was handed over at a till "
        "or picked at once and 1 was cancelled before being picked."
    )


def test_where_every_order_is_picked_nothing_is_explained(analysed):
    assert analysed(queue(np.arange(3.0, 8.0, 1.0), rate=5.0)).findings == ()


def test_tills_alone_leave_the_warehouse_nothing_to_do(analysed):
    found = analysed([(1.0, 1.0, LINES)])
    assert found.not_applicable


def test_a_compressed_curve_hides_a_backlog_that_its_full_length_shows(analysed):
    """200 s at 2 more orders/s than are picked leave 400; the run of 20 s shows 40 of them."""
    orders = queue(np.arange(0.0, 20.0, 0.25), rate=2.0)
    found = analysed(orders, length="200s", more=", compress: 200s -> 20s")
    seen = values(found)
    assert seen["full_length_backlog"] == pytest.approx(400, rel=0.01)
    assert seen["full_length_drain"] == pytest.approx(200, rel=0.01)
    assert len(found.findings) == 1


def test_without_pick_times_the_section_does_not_apply(analysed):
    found = analysed([(float(at), None, LINES) for at in range(10)])
    assert found.not_applicable
    assert set(values(found).values()) == {None}


def test_without_a_ledger_the_warehouse_is_unknown(analysed):
    found = analysed([], ledger=False)
    assert found.not_applicable
    assert set(values(found).values()) == {None}


def test_the_backlog_is_that_of_the_ledger(root, open_peak):
    run = open_peak()
    books = run.ledger().orders
    seen = values(load_analysis(root / "analysis" / "fulfilment.py")(RunContext(run)))
    depth = [
        sum(order.placed_at_s <= at_s for order in books) - sum(order.picked_at_s <= at_s for order in books)
        for at_s in sorted(order.placed_at_s for order in books)
    ]
    assert seen["backlog_peak"] == max(depth)
    assert seen["backlog_left"] == 0
    assert seen["backlog_drained_at"] == max(order.picked_at_s for order in books)
    assert seen["pick_rate"] == pytest.approx(1 / 0.18, rel=0.3)
