"""A small shop on a free port with its own database, and a client for it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import AsyncExitStack, closing

import aiohttp
import pytest

from doorbuster.shop.server import open_platform
from doorbuster.shop_settings import ShopSettings

CUSTOMER = {
    "name": "Ada Shopper",
    "email": "ada@example.com",
    "address": "1 High Street, Ely",
    "postcode": "CB7 4AA",
}


class Visitor:
    """A browser with cookies, and an app, at one shop."""

    def __init__(self, url, session):
        self.url = url
        self.session = session

    async def get(self, path, **options):
        async with self.session.get(self.url + path, allow_redirects=False, **options) as response:
            await response.read()
            return response

    async def post(self, path, **options):
        async with self.session.post(self.url + path, allow_redirects=False, **options) as response:
            await response.read()
            return response

    async def page(self, path):
        response = await self.get(path)
        assert response.status == 200, await response.text()
        return await response.text()

    async def document(self, path):
        response = await self.get(path)
        assert response.status == 200, await response.text()
        return await response.json()

    async def skus(self):
        return [row["sku"] for row in (await self.document("/ledger/stock?all=1"))["stock"]]

    async def stock_of(self, sku):
        (row,) = [row for row in (await self.document("/ledger/stock?all=1"))["stock"] if row["sku"] == sku]
        return row

    async def filled_basket(self, sku, quantity=1):
        basket = (await (await self.post("/api/baskets")).json())["basket"]
        added = await self.post(f"/api/baskets/{basket}/lines", json={"sku": sku, "quantity": quantity})
        assert added.status == 200, await added.text()
        return basket

    async def order(self, basket, key, **headers):
        body = {"basket": basket, "customer": CUSTOMER}
        return await self.post("/api/orders", json=body, headers={"Idempotency-Key": key, **headers})

    async def pos_sale(self, key, *lines, till="till-1"):
        body = {"till": till, "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines]}
        return await self.post("/api/till/sales", json=body, headers={"Idempotency-Key": key})

    async def checkout(self, **changes):
        """Post the checkout form as the browser would, after reading its hidden key."""
        form = await self.page("/checkout")
        key = re.search(r'name="idempotency_key" value="([^"]+)"', form)[1]
        return await self.post("/checkout", data={**CUSTOMER, "idempotency_key": key, **changes})

    def stranger(self):
        """Another customer at the same shop, with cookies of their own."""
        return aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))


@pytest.fixture(params=["in-house-2004", "replatformed"])
def profile(request):
    return request.param


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shop"


@pytest.fixture
def visit(folder):
    """Runs `scenario(visitor)` in an open shop; small and without modelled waits by default."""

    def run(scenario, **settings):
        async def walk():
            chosen = {"products": 48, "query_time_s": 0.0, "folder": folder, **settings}
            jar = aiohttp.CookieJar(unsafe=True)
            connector = aiohttp.TCPConnector(limit=0)
            async with (
                open_platform(ShopSettings(**chosen)) as addresses,
                aiohttp.ClientSession(cookie_jar=jar, connector=connector) as session,
            ):
                return await scenario(Visitor(addresses.urls[""], session))

        return asyncio.run(asyncio.wait_for(walk(), timeout=60))

    return run


@pytest.fixture
def visit_both(folder):
    """Runs `scenario(north, south)`, a visitor at each of two merchants of one platform."""

    def run(scenario, **settings):
        async def walk():
            chosen = {"products": 48, "query_time_s": 0.0, "folder": folder, **settings}
            async with AsyncExitStack() as stack:
                platform = open_platform(ShopSettings(merchants=("north", "south"), **chosen))
                urls = (await stack.enter_async_context(platform)).urls
                sessions = [await stack.enter_async_context(aiohttp.ClientSession()) for _ in urls]
                return await scenario(*map(Visitor, urls.values(), sessions))

        return asyncio.run(asyncio.wait_for(walk(), timeout=60))

    return run


@pytest.fixture
def rows(folder):
    """Rows of a query on the database of the closed shop."""

    def ask(sql, *parameters):
        with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
            return connection.execute(sql, parameters).fetchall()

    return ask
