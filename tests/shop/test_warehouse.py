"""The warehouse: its picking rate and its backlog."""

from __future__ import annotations

import time

import pytest

from doorbuster.shop.domain.warehouse import PickingRate


@pytest.mark.parametrize("rate_per_s", [0.0, 0.3, 5.0, 123.4])
def test_picks_add_up_to_the_rate(rate_per_s):
    pace = PickingRate(rate_per_s, now_s=100.0)
    picked = sum(pace.due(100.0 + step * 0.2) for step in range(1, 501))
    assert picked == pytest.approx(rate_per_s * 100.0, abs=1.0)


def test_no_time_earns_no_picks():
    pace = PickingRate(5.0, now_s=7.0)
    assert [pace.due(7.0), pace.due(7.0), pace.due(8.0), pace.due(8.0)] == [0, 0, 5, 0]


def test_orders_are_picked_in_order_of_placing(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        started_s = time.monotonic()
        for number in range(6):
            basket = await visitor.filled_basket(sku)
            assert (await visitor.order(basket, f"order-{number}")).status == 201
        backlog = await visitor.document("/ledger/backlog")
        while backlog["waiting"]:
            assert backlog["waiting"] + backlog["picked"] == 6
            assert backlog["drain_s"] == pytest.approx(backlog["waiting"] / 10.0)
            assert time.monotonic() - started_s < 20
            backlog = await visitor.document("/ledger/backlog")
        assert time.monotonic() - started_s > 5 / 10.0 - 0.2
        picked = [order["picked_at_unix_s"] for order in (await visitor.document("/ledger/orders"))["orders"]]
        assert picked == sorted(picked)

    visit(scenario, warehouse_rate_per_s=10.0)


def test_a_warehouse_with_rate_zero_never_drains_its_backlog(visit):
    async def scenario(visitor):
        await visitor.order(await visitor.filled_basket((await visitor.skus())[0]), "order")
        assert await visitor.document("/ledger/backlog") == {
            "waiting": 1,
            "picked": 0,
            "rate_per_s": 0.0,
            "drain_s": None,
        }

    visit(scenario, warehouse_rate_per_s=0.0)


def test_a_till_sale_leaves_with_the_customer(visit, profile):
    async def scenario(visitor):
        await visitor.pos_sale("sale", ((await visitor.skus())[0], 1))
        (sale,) = (await visitor.document("/ledger/orders"))["orders"]
        assert sale["picked_at_unix_s"] == sale["placed_at_unix_s"]
        assert (await visitor.document("/ledger/backlog"))["waiting"] == 0

    visit(scenario, profile=profile, warehouse_rate_per_s=0.0)
