"""An account has one basket in all channels, in both designs."""

from __future__ import annotations

import asyncio
import re

import aiohttp

from doorbuster.shop_settings import MEMBER, OPENING_PASSWORD

MEMBER_1 = {"email": MEMBER.format(1), "password": OPENING_PASSWORD}
CUSTOMER = {"name": "Ada", "email": "ada@example.com", "address": "1 High Street", "postcode": "CB7 4AA"}


class App:
    """One app at the shop; `token` is of who is signed in."""

    def __init__(self, visitor):
        self.visitor = visitor
        self.headers = {}

    async def sign_in(self, **more):
        answer = await (await self.visitor.post("/api/sessions", json={**MEMBER_1, **more})).json()
        self.headers = {"Authorization": f"Bearer {answer['token']}"}
        return answer.get("basket")

    async def basket(self):
        made = await self.visitor.post("/api/baskets", headers=self.headers)
        assert made.status == 201, await made.text()
        return (await made.json())["basket"]

    async def add(self, sku, basket=None):
        path = f"/api/baskets/{basket or await self.basket()}/lines"
        added = await self.visitor.post(path, json={"sku": sku, "quantity": 1}, headers=self.headers)
        assert added.status == 200, await added.text()

    async def contents(self):
        found = await self.visitor.document(f"/api/baskets/{await self.basket()}")
        return {line["sku"]: line["quantity"] for line in found["lines"]}


def on_page(page):
    return re.search(r'data-quantity="(\d+)"', page)[1]


def test_the_website_shows_and_orders_what_the_app_put_into_an_accounts_basket(visit, profile):
    async def scenario(visitor):
        skus = await visitor.skus()
        assert (await visitor.post("/sign-in", data=MEMBER_1)).status == 303
        assert on_page(await visitor.page("/basket")) == "0"
        async with visitor.stranger() as own:
            app = App(type(visitor)(visitor.url, own))
            await app.sign_in()
            await app.add(skus[0])
            assert on_page(await visitor.page("/basket")) == "1"
            assert (await visitor.post("/basket/add", data={"sku": skus[1], "quantity": "2"})).status == 303
            assert await app.contents() == {skus[0]: 1, skus[1]: 2}
            placed = await visitor.checkout()
            assert placed.status == 303
            assert await app.contents() == {}
        order = await visitor.document(f"/api/orders/{placed.headers['Location'].rpartition('/')[2]}")
        assert {line["sku"] for line in order["lines"]} == {skus[0], skus[1]}

    visit(scenario, profile=profile)


def test_signing_in_merges_the_guests_basket_into_the_accounts(visit, profile):
    async def scenario(visitor):
        skus = await visitor.skus()
        app = App(visitor)
        await app.sign_in()
        await app.add(skus[0])
        own = await app.basket()
        guest = await visitor.filled_basket(skus[0])
        await App(visitor).add(skus[1], guest)
        assert await app.sign_in(basket=guest) == own
        assert await app.contents() == {skus[0]: 2, skus[1]: 1}
        assert (await visitor.document(f"/api/baskets/{guest}"))["lines"] == []
        await visitor.post("/basket/add", data={"sku": skus[2], "quantity": "1"})
        await visitor.post("/sign-in", data=MEMBER_1)
        assert on_page(await visitor.page("/basket")) == "4"

    visit(scenario, profile=profile)


def test_an_account_without_a_basket_takes_over_the_guests(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        guest = await visitor.filled_basket(sku)
        app = App(visitor)
        assert await app.sign_in(basket=guest) == guest
        assert await app.contents() == {sku: 1}

    visit(scenario, profile=profile)


def test_the_basket_of_another_account_is_not_merged(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        ada, bob = App(visitor), App(visitor)
        await ada.sign_in()
        await ada.add(sku)
        assert await bob.sign_in(email=MEMBER.format(2), basket=await ada.basket()) is None
        assert await bob.contents() == {}
        assert await bob.sign_in(email=MEMBER.format(2), basket="no-such-basket") == await bob.basket()
        assert await ada.contents() == {sku: 1}

    visit(scenario, profile=profile)


def test_guests_have_a_basket_per_channel(visit, profile):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await visitor.filled_basket(sku)
        assert on_page(await visitor.page("/basket")) == "0"
        wrong = App(visitor)
        wrong.headers = {"Authorization": "Bearer nobody"}
        assert await wrong.basket() != await wrong.basket()

    visit(scenario, profile=profile)


def test_two_channels_that_start_at_once_share_one_basket_in_the_replatformed_shop(visit):
    async def scenario(visitor):
        skus = await visitor.skus()
        async with aiohttp.ClientSession() as other:
            apps = [App(visitor), App(type(visitor)(visitor.url, other))]
            for app in apps:
                await app.sign_in()
            await asyncio.gather(*(app.add(sku) for app, sku in zip(apps, skus[:2], strict=True)))
            assert await apps[0].contents() == dict.fromkeys(skus[:2], 1)

    visit(scenario, profile="replatformed", query_time_s=0.01, workers=4)
