"""The stated capacity: query counts of every kind of work, and the measured rate."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from doorbuster.shop.domain.query_costs import PROFILES, capacity_statement
from doorbuster.shop_settings import ShopSettings

pytestmark = pytest.mark.alone


QUESTION = {"author": "A", "text": "Warm?"}


def queries(response):
    return int(re.search(r'desc="(\d+) queries"', response.headers["Server-Timing"])[1])


def stated(profile, kind, *, page, lines=1):
    return PROFILES[profile].queries(kind, page=page, lines=lines)


def test_every_read_costs_what_the_shop_states(visit, profile):
    async def scenario(visitor):
        sku, other = (await visitor.skus())[:2]
        paths = {
            "home": ("/", "/api/home"),
            "category": ("/category/wine", "/api/categories/wine"),
            "search": ("/search?q=set", "/api/search?q=set"),
            "product": (f"/product/{sku}", f"/api/products/{sku}"),
        }
        for kind, (page, document) in paths.items():
            assert queries(await visitor.get(page)) == stated(profile, kind, page=True), kind
            assert queries(await visitor.get(document)) == stated(profile, kind, page=False), kind
        assert queries(await visitor.get(f"/q/{other}")) == stated(profile, "landing", page=True)

    visit(scenario, profile=profile)


def test_every_sale_costs_what_the_shop_states(visit, profile):
    async def scenario(visitor):
        first, second, third = (await visitor.skus())[:3]
        basket_made = await visitor.post("/api/baskets")
        assert queries(basket_made) == stated(profile, "new_basket", page=False)
        basket = (await basket_made.json())["basket"]
        for sku in (first, second):
            added = await visitor.post(f"/api/baskets/{basket}/lines", json={"sku": sku, "quantity": 1})
            assert queries(added) == stated(profile, "basket_add", page=False)
        assert queries(await visitor.get(f"/api/baskets/{basket}")) == stated(profile, "basket", page=False)
        placed = await visitor.order(basket, "order")
        assert queries(placed) == stated(profile, "place_order", page=False, lines=2)
        sale = await visitor.pos_sale("sale", (first, 1), (second, 1), (third, 1))
        assert queries(sale) == stated(profile, "pos_sale", page=False, lines=3)
        customer = {"name": "A", "email": "a@example.com", "address": "1", "postcode": "CB7 4AA"}
        body = {"agent": "1", "customer": customer, "lines": [{"sku": first, "quantity": 1}]}
        taken = await visitor.post("/api/phone/orders", json=body, headers={"Idempotency-Key": "phone"})
        assert queries(taken) == stated(profile, "phone_order", page=False)
        ref = (await placed.json())["order_ref"]
        assert queries(await visitor.get(f"/api/orders/{ref}")) == stated(profile, "order", page=False)

    visit(scenario, profile=profile)


def test_the_pages_of_a_purchase_cost_what_the_shop_states(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        both = stated(profile, "new_basket", page=True) + stated(profile, "basket_add", page=True)
        assert queries(await visitor.post("/basket/add", data={"sku": sku, "quantity": "1"})) == both
        assert queries(await visitor.get("/basket")) == stated(profile, "basket", page=True)
        assert queries(await visitor.get("/checkout")) == stated(profile, "checkout", page=True)
        placed = await visitor.checkout()
        assert queries(placed) == stated(profile, "place_order", page=True)
        order = await visitor.get(placed.headers["Location"])
        assert queries(order) == stated(profile, "order", page=True)
        review = {"author": "A", "rating": "4", "title": "Good", "text": "Warm"}
        posted = await visitor.post(f"/product/{sku}/reviews", data=review)
        assert queries(posted) == stated(profile, "review", page=True)
        asked = await visitor.post(f"/product/{sku}/questions", data={"author": "A", "text": "Warm?"})
        told = int(
            (await (await visitor.post(f"/api/products/{sku}/questions", json=QUESTION)).json())["notified"]
        )
        assert queries(asked) == stated(profile, "question", page=True, lines=told)

    visit(scenario, profile=profile)


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.truth), 4])
def test_the_stated_capacity_is_the_measured_one(visit, profile, workers):
    """A crowd bounded in count keeps every worker busy to the end."""
    count = 24 * workers

    async def scenario(visitor):
        statement = await visitor.document("/ledger/capacity")
        (per_s,) = [kind["pages_per_s"] for kind in statement["kinds"] if kind["kind"] == "product"]
        skus = (await visitor.skus())[:count]
        assert len(skus) == count
        started_s = time.monotonic()
        pages = await asyncio.gather(*(visitor.get(f"/product/{sku}") for sku in skus))
        elapsed_s = time.monotonic() - started_s
        assert {page.status for page in pages} == {200}
        # never more than stated; a little less on a busy machine
        assert 0.8 <= count / elapsed_s / per_s <= 1.02

    # 80 ms a page and more, so that the processor has no say in it
    query_time_s = {"in-house-2004": 0.02, "replatformed": 0.08}[profile]
    visit(
        scenario,
        profile=profile,
        workers=workers,
        query_time_s=query_time_s,
        products=240,
        queue_limit=1_000,
    )


def test_the_default_capacity_of_the_in_house_shop():
    statement = capacity_statement(ShopSettings(profile="in-house-2004"))
    assert 35 <= statement["browse_pages_per_s"] <= 45
    assert statement["orders_per_s"] < statement["browse_pages_per_s"] / 2


def test_the_default_capacity_of_the_replatformed_shop():
    statement = capacity_statement(ShopSettings(profile="replatformed"))
    assert statement["browse_pages_per_s"] > 200
    assert statement["orders_per_s"] > 20


def test_capacity_is_proportional_to_workers_and_inverse_to_query_time():
    slow, fast = (
        capacity_statement(ShopSettings(profile="in-house-2004", workers=workers, query_time_s=query_time_s))
        for workers, query_time_s in ((2, 0.02), (8, 0.01))
    )
    assert fast["browse_pages_per_s"] == pytest.approx(8 * slow["browse_pages_per_s"], rel=1e-3)


def test_without_modelled_time_no_capacity_is_stated():
    statement = capacity_statement(ShopSettings(query_time_s=0.0))
    assert statement["browse_pages_per_s"] is None
    assert {kind["pages_per_s"] for kind in statement["kinds"]} == {None}
