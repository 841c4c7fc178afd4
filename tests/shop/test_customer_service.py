"""Accounts, pickup, returns, questions, staff and partners, over HTTP, in both designs."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest

from doorbuster.shop.domain.query_costs import PROFILES
from doorbuster.shop_settings import MEMBER, OLD_MEMBER, OPENING_PASSWORD

CUSTOMER = {"name": "Ada", "email": "ada@example.com", "address": "1 High Street", "postcode": "CB7 4AA"}
ACCOUNT = {"name": "Ada Shopper", "email": "ada@example.com", "password": "correct horse"}


def queries(response):
    return int(re.search(r'desc="(\d+) queries"', response.headers["Server-Timing"])[1])


async def problem(response):
    return response.status, (await response.json())["type"].removeprefix("/problems/")


async def token_of(response):
    assert response.status == 201, await response.text()
    return {"Authorization": f"Bearer {(await response.json())['token']}"}


async def ordered(visitor, key, *, headers=None, **more):
    """The reference of an order through the API; its basket holds one unit of the first product."""
    basket = await visitor.filled_basket((await visitor.skus())[0])
    body = {"basket": basket, "customer": CUSTOMER, **more}
    placed = await visitor.post("/api/orders", json=body, headers={"Idempotency-Key": key, **(headers or {})})
    assert placed.status == 201, await placed.text()
    return (await placed.json())["order_ref"]


async def change(visitor, ref, what):
    return await visitor.post(f"/api/staff/orders/{ref}/{what}")


def test_an_account_can_be_registered_signed_into_and_shows_its_orders(visit, profile):
    async def scenario(visitor):
        await token_of(await visitor.post("/api/accounts", json=ACCOUNT))
        assert await problem(await visitor.post("/api/accounts", json=ACCOUNT)) == (409, "account-exists")
        who = await token_of(await visitor.post("/api/sessions", json=ACCOUNT))
        await ordered(visitor, "as-guest")
        ref = await ordered(visitor, "as-ada", headers=who)
        history = await visitor.get("/api/account/orders", headers=who)
        assert [order["order_ref"] for order in (await history.json())["orders"]] == [ref]
        assert await problem(await visitor.get("/api/account/orders")) == (401, "sign-in")

    visit(scenario, profile=profile)


@pytest.mark.parametrize("email", [ACCOUNT["email"], MEMBER.format(1)])
def test_a_wrong_password_is_refused(visit, profile, email):
    async def scenario(visitor):
        wrong = {"email": email, "password": "not the one"}
        assert await problem(await visitor.post("/api/sessions", json=wrong)) == (401, "wrong-password")

    visit(scenario, profile=profile)


def test_an_account_of_the_old_platform_must_set_a_new_password_once(visit, profile):
    async def scenario(visitor):
        old = {"email": OLD_MEMBER.format(7), "password": OPENING_PASSWORD}
        assert await problem(await visitor.post("/api/sessions", json=old)) == (403, "password-expired")
        mailed = await visitor.post("/api/password-resets", json=old)
        change = {"code": (await mailed.json())["code"], "password": "a better one"}
        await token_of(await visitor.post("/api/passwords", json=change))
        assert await problem(await visitor.post("/api/passwords", json=change)) == (404, "not-found")
        assert await problem(await visitor.post("/api/sessions", json=old)) == (401, "wrong-password")
        await token_of(await visitor.post("/api/sessions", json={**old, "password": "a better one"}))

    visit(scenario, profile=profile)


def test_the_pages_of_an_account_lead_from_registering_to_the_order(visit, profile):
    async def scenario(visitor):
        assert 'action="/register"' in await visitor.page("/sign-in")
        made = await visitor.post("/register", data=ACCOUNT)
        assert (made.status, made.headers["Location"]) == (303, "/account")
        await visitor.post("/basket/add", data={"sku": (await visitor.skus())[0], "quantity": "1"})
        order = (await visitor.checkout(store="York")).headers["Location"]
        assert f'href="{order}"' in await visitor.page("/account")
        assert "Collected in York" in await visitor.page(order)
        back = await visitor.post(f"{order}/return")
        assert (back.status, back.headers["Location"]) == (303, order)
        assert 'data-state="returned"' in await visitor.page(order)

    visit(scenario, profile=profile)


def test_goods_for_collection_are_reserved_and_handed_over_once(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        ref = await ordered(visitor, "collect", store="London")
        assert (await visitor.stock_of(sku))["on_hand"] == 4
        given = await (await change(visitor, ref, "pickup")).json()
        assert (given["state"], given["store"], given["picked_at_unix_s"] is None) == (
            "collected",
            "London",
            False,
        )
        assert await problem(await change(visitor, ref, "pickup")) == (409, "already-collected")
        assert await problem(await change(visitor, ref, "cancel")) == (409, "already-collected")
        unknown = await visitor.post(
            "/api/orders",
            json={"basket": "b", "customer": CUSTOMER, "store": "Atlantis"},
            headers={"Idempotency-Key": "k"},
        )
        assert await problem(unknown) == (400, "bad-request")

    visit(scenario, profile=profile, opening_stock=5, warehouse_rate_per_s=0)


def test_returned_and_cancelled_goods_are_for_sale_again_and_the_ledger_balances(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        refs = [await ordered(visitor, f"order-{number}") for number in range(3)]
        assert (await visitor.post(f"/api/orders/{refs[0]}/returns")).status == 201
        assert await problem(await visitor.post(f"/api/orders/{refs[0]}/returns")) == (
            409,
            "already-returned",
        )
        for _ in range(2):
            assert (await (await change(visitor, refs[1], "cancel")).json())["state"] == "cancelled"
        assert await problem(await change(visitor, refs[1], "pickup")) == (409, "already-cancelled")
        assert await visitor.stock_of(sku) == {"sku": sku, "opening": 5, "on_hand": 4, "sold": 1}
        orders = (await visitor.document("/ledger/orders"))["orders"]
        assert [order["state"] for order in orders] == ["returned", "cancelled", "placed"]
        assert (await visitor.document("/ledger/backlog"))["waiting"] == 1

    visit(scenario, profile=profile, opening_stock=5, warehouse_rate_per_s=0)


def test_only_the_replatformed_shop_hands_over_a_parcel_once_to_concurrent_requests(visit):
    async def scenario(visitor):
        ref = await ordered(visitor, "collect", store="Leeds")
        answers = await asyncio.gather(*(change(visitor, ref, "pickup") for _ in range(6)))
        return Counter(answer.status for answer in answers)

    assert visit(scenario, profile="replatformed", query_time_s=0.005) == {200: 1, 409: 5}
    assert visit(scenario, profile="in-house-2004", query_time_s=0.005)[200] > 1


@pytest.mark.parametrize("told", [0, 2])
def test_a_question_goes_to_earlier_buyers_and_its_first_answer_is_shown(visit, rows, profile, told):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        for number in range(3):
            await ordered(visitor, f"buyer-{number}")
        path = f"/api/products/{sku}"
        asked = await visitor.post(f"{path}/questions", json={"author": "Bo", "text": "Is it warm?"})
        question = (await asked.json())["question"]
        assert (asked.status, (await asked.json())["notified"]) == (201, told)
        open_ones = (await visitor.document("/api/questions"))["questions"]
        assert {"question": question, "sku": sku, "author": "Bo", "text": "Is it warm?"} in open_ones
        for text in ("Very.", "Not at all."):
            reply = await visitor.post(
                f"/api/questions/{question}/answers", json={"author": "Cy", "text": text}
            )
            assert reply.status == 201
        shown = (await visitor.document(path))["questions"][0]
        assert (shown["question"], shown["answer"]) == (question, "Very.")
        missing = await visitor.post("/api/questions/999999/answers", json={"author": "C", "text": "?"})
        assert await problem(missing) == (404, "not-found")

    visit(scenario, profile=profile, notify=told)
    assert rows("SELECT count(*) FROM notifications") == [(told,)]
    assert rows("SELECT count(*) FROM answers") == [(2,)]


def test_a_review_posted_as_json_is_visible_at_once(visit, profile):
    async def scenario(visitor):
        path = f"/api/products/{(await visitor.skus())[0]}/reviews"
        before = (await visitor.document(path))["reviews"]
        review = {"author": "Di", "rating": 2, "title": "Thin", "text": "Cold."}
        assert (await visitor.post(path, json=review)).status == 201
        after = (await visitor.document(path))["reviews"]
        assert (len(after), after[0]["title"]) == (len(before) + 1, "Thin")

    visit(scenario, profile=profile)


def test_the_feed_lists_all_products_page_by_page(visit, profile):
    async def scenario(visitor):
        found, after = [], ""
        while after is not None:
            page = await visitor.document(f"/api/feed?limit=20{f'&after={after}' if after else ''}")
            found += page["products"]
            after = page["next"]
        assert [row["sku"] for row in found] == sorted(await visitor.skus())
        assert all(row["price_pence"] > 0 and row["on_hand"] >= 0 for row in found)

    visit(scenario, profile=profile)


def test_a_repeated_partner_order_is_one_order(visit, profile):
    async def scenario(visitor):
        lines = [{"sku": (await visitor.skus())[0], "quantity": 2}]
        body = {"partner": "market", "customer": CUSTOMER, "lines": lines}
        answers = [
            await visitor.post("/api/partner/orders", json=body, headers={"Idempotency-Key": "p-1"})
            for _ in "12"
        ]
        assert [await answer.json() for answer in answers] == 2 * [await answers[0].json()]
        (booked,) = (await visitor.document("/ledger/orders"))["orders"]
        assert (booked["channel"], booked["idempotency_key"]) == ("partner", "p-1")

    visit(scenario, profile=profile)


def test_an_offline_sale_is_booked_whatever_the_stock(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        body = {"till": "t", "lines": [{"sku": sku, "quantity": 3}], "sold_at_unix_s": 1_600_000_000}
        for _ in range(2):
            sold = await visitor.post("/api/till/sales", json=body, headers={"Idempotency-Key": "offline"})
            assert sold.status == 201
        assert await visitor.stock_of(sku) == {"sku": sku, "opening": 1, "on_hand": -2, "sold": 3}
        (booked,) = (await visitor.document("/ledger/orders"))["orders"]
        assert booked["sold_at_unix_s"] == 1_600_000_000 < booked["placed_at_unix_s"]
        early = await visitor.post(
            "/api/till/sales",
            json={**body, "sold_at_unix_s": 99_999_999_999},
            headers={"Idempotency-Key": "x"},
        )
        assert await problem(early) == (400, "bad-request")

    visit(scenario, profile=profile, opening_stock=1)


def test_a_changed_price_is_charged_and_shown_on_page_and_in_json(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await visitor.page(f"/product/{sku}")
        await visitor.document(f"/api/products/{sku}")
        changed = await visitor.post(f"/api/staff/products/{sku}/price", json={"price_pence": 4321})
        assert changed.status == 200
        assert (await visitor.document(f"/api/products/{sku}"))["price_pence"] == 4321
        assert 'data-price-pence="4321"' in await visitor.page(f"/product/{sku}")
        assert (await (await visitor.pos_sale("sale", (sku, 1))).json())["total_pence"] == 4321
        stock = await visitor.post(f"/api/staff/products/{sku}/stock", json={"on_hand": 0})
        assert stock.status == 200
        assert (await visitor.document(f"/api/products/{sku}"))["availability"] == "sold_out"

    visit(scenario, profile=profile)


@pytest.mark.alone
def test_customer_service_costs_what_the_shop_states(visit, profile):
    def stated(kind, lines=1):
        return PROFILES[profile].queries(kind, page=False, lines=lines)

    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        path = f"/api/products/{sku}"
        costs = {
            "register": await visitor.post("/api/accounts", json=ACCOUNT),
            "sign_in": await visitor.post("/api/sessions", json=ACCOUNT),
            "ask_reset": await visitor.post("/api/password-resets", json=ACCOUNT),
            "reviews": await visitor.get(f"{path}/reviews"),
            "recommendations": await visitor.get(f"{path}/recommendations"),
            "open_questions": await visitor.get("/api/questions"),
            "answer": await visitor.post("/api/questions/1/answers", json={"author": "A", "text": "Yes"}),
            "feed": await visitor.get("/api/feed"),
            "change_price": await visitor.post(f"/api/staff/products/{sku}/price", json={"price_pence": 1}),
            "change_stock": await visitor.post(f"/api/staff/products/{sku}/stock", json={"on_hand": 9}),
        }
        code = (await costs["ask_reset"].json())["code"]
        costs["set_password"] = await visitor.post(
            "/api/passwords", json={"code": code, "password": "12345678"}
        )
        who = await token_of(costs["set_password"])
        costs["history"] = await visitor.get("/api/account/orders", headers=who)
        refs = [await ordered(visitor, f"order-{number}", store="Bath") for number in range(3)]
        costs["pickup"] = await change(visitor, refs[0], "pickup")
        costs["take_back"] = await visitor.post(f"/api/orders/{refs[1]}/returns")
        costs["cancel"] = await change(visitor, refs[2], "cancel")
        for kind, response in costs.items():
            assert response.status < 300, (kind, await response.text())
            assert queries(response) == stated(kind), kind

    visit(scenario, profile=profile)
