"""Slow and failing services behind the shop, and how each design handles them."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from doorbuster.shop.domain.dependencies import HEALTHY, CallOutcome, Dependencies, InjectedFault


class Clock:
    def __init__(self, now_s):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


def dependencies(*faults, payment_time_s=0.0):
    clock = Clock(1_000.0)
    made = Dependencies(payment_time_s=payment_time_s, clock=clock, rng=random.Random(1))
    made.set_faults(faults, starts_at_unix_s=1_000.0)
    return made, clock


def test_a_fault_is_active_from_its_start_for_its_duration():
    made, clock = dependencies(InjectedFault("payment", at_s=30.0, for_s=20.0, slow_s=2.0))
    met = {}
    for at_s in (29.9, 30.0, 49.9, 50.0):
        clock.now_s = 1_000.0 + at_s
        met[at_s] = made.call_outcome("payment").takes_s
    assert met == {29.9: 0.0, 30.0: 2.0, 49.9: 2.0, 50.0: 0.0}
    assert made.call_outcome("search") is HEALTHY


def test_faults_at_the_same_time_add_up_to_the_time_of_a_payment():
    made, _ = dependencies(
        InjectedFault("payment", slow_s=2.0), InjectedFault("payment", slow_s=1.0), payment_time_s=0.25
    )
    assert made.call_outcome("payment") == CallOutcome(3.25, fails=False)
    assert made.call_outcome("mail") is HEALTHY


def test_a_service_fails_for_its_share_of_calls():
    made, _ = dependencies(InjectedFault("search", fail_ratio=0.3))
    failed = sum(made.call_outcome("search").fails for _ in range(2_000))
    assert 520 <= failed <= 680  # 600 +- 4 standard deviations


def test_healthy_services_need_no_check():
    assert Dependencies(payment_time_s=0.0).all_healthy
    assert not Dependencies(payment_time_s=0.1).all_healthy
    assert not dependencies(InjectedFault("mail", at_s=9.0))[0].all_healthy


async def inject_faults(visitor, *faults, **more):
    answer = await visitor.post("/control/faults", json={"faults": list(faults), **more})
    assert answer.status == 200, await answer.text()


async def problem(response):
    return response.status, (await response.json())["type"].removeprefix("/problems/")


def test_a_payment_that_fails_books_nothing_and_keeps_the_stock(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await inject_faults(visitor, {"dependency": "payment", "fail_ratio": 1})
        basket = await visitor.filled_basket(sku)
        assert await problem(await visitor.order(basket, "order")) == (503, "payment-unavailable")
        assert (await visitor.pos_sale("sale", (sku, 1))).status == 503
        assert (await visitor.document("/ledger/orders"))["orders"] == []
        assert (await visitor.stock_of(sku))["on_hand"] == 5
        await inject_faults(visitor)
        assert (await visitor.order(basket, "order")).status == 201

    visit(scenario, profile=profile, opening_stock=5)


@pytest.mark.parametrize(
    ("dependency", "kind"),
    [("search", "search"), ("recommendations", "recommendations"), ("reviews", "reviews")],
)
def test_an_order_succeeds_without_services_it_does_not_need(visit, profile, dependency, kind):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await inject_faults(visitor, {"dependency": dependency, "fail_ratio": 1})
        path = {"search": "/api/search?q=set"}.get(kind, f"/api/products/{sku}/{kind}")
        assert await problem(await visitor.get(path)) == (503, f"{dependency}-unavailable")
        assert (await visitor.order(await visitor.filled_basket(sku), "order")).status == 201

    visit(scenario, profile=profile)


def test_the_replatformed_shop_omits_failing_optional_services(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await inject_faults(
            visitor,
            {"dependency": "recommendations", "slow_s": 30},
            {"dependency": "reviews", "fail_ratio": 1},
        )
        product = await visitor.document(f"/api/products/{sku}")
        assert (product["recommendations"], product["reviews_shown"]) == ([], [])
        assert product["price_pence"] > 0
        assert f'data-sku="{sku}"' in await visitor.page(f"/product/{sku}")

    visit(scenario, profile="replatformed")


def test_the_in_house_product_page_fails_without_recommendations(visit):
    async def scenario(visitor):
        await inject_faults(visitor, {"dependency": "recommendations", "fail_ratio": 1})
        page = await visitor.get(f"/product/{(await visitor.skus())[0]}")
        assert page.status == 503
        assert 'data-problem="recommendations-unavailable"' in await page.text()

    visit(scenario, profile="in-house-2004")


@pytest.mark.alone
@pytest.mark.parametrize(("profile", "pages_wait"), [("in-house-2004", True), ("replatformed", False)])
def test_a_slow_payment_delays_pages_only_in_the_in_house_shop(visit, profile, pages_wait):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await inject_faults(visitor, {"dependency": "payment", "slow_s": 0.5})
        started_s = time.monotonic()
        sales = [asyncio.ensure_future(visitor.pos_sale(f"sale-{number}", (sku, 1))) for number in range(2)]
        while profile == "in-house-2004" and (await visitor.document("/healthz"))["waiting"] < 1:
            assert time.monotonic() - started_s < 5
        await visitor.page("/")
        page_s = time.monotonic() - started_s
        assert {sale.status for sale in await asyncio.gather(*sales)} == {201}
        assert time.monotonic() - started_s >= 0.5
        assert (page_s >= 0.5) is pages_wait

    visit(scenario, profile=profile, workers=1)


def test_customers_wait_for_mail_only_in_the_in_house_shop(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await inject_faults(visitor, {"dependency": "mail", "slow_s": 0.3})
        basket = await visitor.filled_basket(sku)
        started_s = time.monotonic()
        assert (await visitor.order(basket, "order")).status == 201
        waited = time.monotonic() - started_s >= 0.3
        assert waited or profile == "replatformed"
        return waited

    waited = visit(scenario, profile=profile)
    assert waited or profile == "replatformed"


def test_the_time_of_a_payment_is_part_of_every_sale(visit, profile):
    async def scenario(visitor):
        started_s = time.monotonic()
        assert (await visitor.pos_sale("sale", ((await visitor.skus())[0], 1))).status == 201
        assert time.monotonic() - started_s >= 0.2

    visit(scenario, profile=profile, payment_time_s=0.2)


def test_fault_times_count_from_the_given_start(visit):
    async def scenario(visitor):
        now_s = time.time()
        fault = {"dependency": "search", "at_s": 60, "for_s": 60, "slow_s": 7}
        met = []
        for starts_at in (now_s, now_s - 90, now_s - 180):
            await inject_faults(visitor, fault, starts_at_unix_s=starts_at)
            met.append((await visitor.document("/control/dependencies"))["dependencies"]["search"]["slow_s"])
        assert met == [0.0, 7.0, 0.0]

    visit(scenario)


def test_invalid_faults_are_reported_all_at_once(visit):
    async def scenario(visitor):
        body = {
            "starts_at_unix_s": "now",
            "faults": [{"dependency": "tax", "slow": 1}, {"dependency": "mail", "fail_ratio": 30}],
        }
        refused = await visitor.post("/control/faults", json=body)
        assert refused.status == 400
        assert [(found["field"], found["rule"]) for found in (await refused.json())["problems"]] == [
            ("starts_at_unix_s", "must be a Unix time in seconds"),
            ("faults[0].slow", "is not a valid key"),
            ("faults[0].dependency", "must be one of payment, stock, search, recommendations, reviews, mail"),
            ("faults[1].fail_ratio", "must be a number from 0 to 1"),
        ]

    visit(scenario)
