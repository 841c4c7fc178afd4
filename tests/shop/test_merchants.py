"""Several merchants on one platform: separate shops that share the database workers."""

from __future__ import annotations

import asyncio
import re

import pytest

from doorbuster.errors import UsageError
from doorbuster.shop.server import ShopSettings


def test_each_merchant_has_products_stock_and_a_ledger_of_its_own(visit_both, profile):
    async def sell(north, south):
        homes = [await shop.page("/") for shop in (north, south)]
        sku = (await north.skus())[0]
        sold = await north.pos_sale("sale", (sku, 2))
        assert sold.status == 201
        ledgers = [(await shop.document("/ledger/orders"))["orders"] for shop in (north, south)]
        return homes, ledgers, (await south.document("/ledger/stock"))["stock"]

    homes, (of_north, of_south), sold_in_south = visit_both(sell, profile=profile)
    assert homes[0] != homes[1]
    assert [order["idempotency_key"] for order in of_north] == ["sale"]
    assert (of_south, sold_in_south) == ([], [])


def test_the_same_order_key_at_two_merchants_is_two_orders(visit_both):
    async def sell(north, south):
        return [await shop.pos_sale("sale", ((await shop.skus())[0], 1)) for shop in (north, south)]

    first, second = visit_both(sell)
    assert (first.status, second.status) == (201, 201)


def test_customers_of_one_merchant_wait_behind_those_of_another(visit_both):
    async def wait(north, south):
        crowd = [asyncio.create_task(north.get("/")) for _ in range(6)]
        while (await south.document("/healthz"))["waiting"] < 5:
            await asyncio.sleep(0.001)
        answer = await south.get("/")
        await asyncio.gather(*crowd)
        return float(re.search(r"queue;dur=([\d.]+)", answer.headers["Server-Timing"])[1])

    waited_ms = visit_both(wait, profile="in-house-2004", workers=1, query_time_s=0.01)
    assert waited_ms > 5 * 10 * 9  # five pages before it, of nine queries each at least


def test_a_full_platform_turns_away_customers_of_every_merchant(visit_both):
    async def knock(north, south):
        inside = []  # one is worked for, one waits
        while sum(not task.done() for task in inside) < 2:
            inside.append(asyncio.create_task(north.get(f"/search?q={len(inside)}")))
            await asyncio.wait(inside[-1:], timeout=0.2)
        refused = await south.get("/search?q=tea")
        for task in inside:
            task.cancel()
        return refused.status

    assert visit_both(knock, workers=1, query_time_s=10, queue_limit=1) == 503


@pytest.mark.parametrize("merchants", [("north", "north"), ("North",), tuple("abcdefghi")])
def test_merchants_need_two_to_eight_different_names(merchants):
    with pytest.raises(UsageError, match=r"merchants must be 2\.\.8 different names"):
        ShopSettings(merchants=merchants)
