"""Stock and orders under concurrency, in which the two designs differ."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

BUYERS = 40
UNITS = 5


async def buy_together(visitor, sku):
    """Statuses of BUYERS customers who check out one unit each at the same moment."""
    baskets = await asyncio.gather(*(visitor.filled_basket(sku) for _ in range(BUYERS)))
    orders = [visitor.order(basket, f"buyer-{number}") for number, basket in enumerate(baskets)]
    return Counter(answer.status for answer in await asyncio.gather(*orders))


def test_the_replatformed_shop_never_sells_a_unit_twice(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        assert await buy_together(visitor, sku) == {201: UNITS, 409: BUYERS - UNITS}
        assert await visitor.stock_of(sku) == {"sku": sku, "opening": UNITS, "on_hand": 0, "sold": UNITS}
        assert len((await visitor.document("/ledger/orders"))["orders"]) == UNITS

    visit(scenario, profile="replatformed", query_time_s=0.001, opening_stock=UNITS)


def test_the_in_house_shop_oversells_to_concurrent_customers(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        statuses = await buy_together(visitor, sku)
        stock = await visitor.stock_of(sku)
        assert stock["sold"] > UNITS
        assert stock["on_hand"] >= 0
        assert statuses[201] == stock["sold"]

    visit(scenario, profile="in-house-2004", query_time_s=0.001, opening_stock=UNITS)


def test_neither_shop_oversells_to_customers_one_at_a_time(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        statuses = [(await visitor.pos_sale(f"sale-{number}", (sku, 1))).status for number in range(8)]
        assert statuses == [201] * UNITS + [409] * 3
        assert await visitor.stock_of(sku) == {"sku": sku, "opening": UNITS, "on_hand": 0, "sold": UNITS}

    visit(scenario, profile=profile, opening_stock=UNITS)


def test_the_same_key_twice_is_one_order(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        basket = await visitor.filled_basket(sku)
        first, second = [await (await visitor.order(basket, "once")).json() for _ in range(2)]
        assert first == second
        sales = [await (await visitor.pos_sale("sale", (sku, 2))).json() for _ in range(2)]
        assert sales[0] == sales[1]
        assert (await visitor.stock_of(sku))["sold"] == 3
        assert len((await visitor.document("/ledger/orders"))["orders"]) == 2

    visit(scenario, profile=profile)


def test_a_second_click_finds_the_order_of_the_first(visit, profile):
    async def scenario(visitor):
        await visitor.post("/basket/add", data={"sku": (await visitor.skus())[0], "quantity": "1"})
        first = await visitor.checkout(idempotency_key="click")
        customer = {"name": "A", "email": "a@example.com", "address": "1", "postcode": "CB7 4AA"}
        second = await visitor.post("/checkout", data={**customer, "idempotency_key": "click"})
        assert (second.status, second.headers["Location"]) == (303, first.headers["Location"])

    visit(scenario, profile=profile)


@pytest.mark.parametrize(
    ("profile", "orders"), [("in-house-2004", range(2, 5)), ("replatformed", range(1, 2))]
)
def test_concurrent_orders_with_one_key_are_one_order_only_in_the_replatformed_shop(visit, profile, orders):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        answers = await asyncio.gather(*(visitor.pos_sale("twin", (sku, 1)) for _ in range(4)))
        assert {answer.status for answer in answers} == {201}
        assert len((await visitor.document("/ledger/orders"))["orders"]) in orders

    visit(scenario, profile=profile, query_time_s=0.005, workers=4)


def test_a_key_used_for_another_order_is_refused_by_the_replatformed_shop(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await visitor.pos_sale("key", (sku, 1))
        refused = await visitor.pos_sale("key", (sku, 2))
        assert (refused.status, (await refused.json())["type"]) == (422, "/problems/idempotency-key-reused")
        assert (await visitor.stock_of(sku))["sold"] == 1

    visit(scenario, profile="replatformed")


def test_an_order_with_one_sold_out_line_takes_no_stock(visit, profile):
    async def scenario(visitor):
        plenty, scarce = (await visitor.skus())[:2]
        await visitor.pos_sale("last", (scarce, UNITS))
        assert (await visitor.pos_sale("both", (plenty, 1), (scarce, 1))).status == 409
        assert (await visitor.stock_of(plenty))["on_hand"] == UNITS
        assert len((await visitor.document("/ledger/orders"))["orders"]) == 1

    visit(scenario, profile=profile, opening_stock=UNITS)


def test_all_channels_together_leave_a_ledger_that_balances(visit):
    async def scenario(visitor):
        skus = (await visitor.skus())[:6]

        async def app(number):
            basket = (await (await visitor.post("/api/baskets")).json())["basket"]
            line = {"sku": skus[number % 6], "quantity": 1 + number % 3}
            added = await visitor.post(f"/api/baskets/{basket}/lines", json=line)
            return added if added.status == 409 else await visitor.order(basket, f"app-{number}")

        async def till(number):
            return await visitor.pos_sale(
                f"till-{number}", (skus[number % 6], 1), (skus[(number + 1) % 6], 2)
            )

        answers = await asyncio.gather(*(sell(number) for number in range(20) for sell in (app, till)))
        taken = [await answer.json() for answer in answers if answer.status == 201]
        assert {answer.status for answer in answers} == {201, 409}
        booked = (await visitor.document("/ledger/orders"))["orders"]
        assert sorted(order["order_ref"] for order in booked) == sorted(order["order_ref"] for order in taken)
        units = Counter()
        for order in booked:
            units.update({line["sku"]: line["quantity"] for line in order["lines"]})
        stock = (await visitor.document("/ledger/stock"))["stock"]
        assert {row["sku"]: row["sold"] for row in stock} == units
        assert all(row["opening"] - row["on_hand"] == row["sold"] for row in stock)

    visit(scenario, profile="replatformed", query_time_s=0.001, opening_stock=12)
