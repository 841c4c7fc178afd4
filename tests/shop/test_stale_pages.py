"""Cached and lagging pages: campaigns, warm and cold caches, a lag behind master data."""

from __future__ import annotations

import time

import pytest


def cache_of(response):
    return response.headers["Server-Timing"].partition("cache;desc=")[2]


def test_a_url_with_a_campaign_is_not_cached(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        for path in (f"/product/{sku}", f"/api/products/{sku}", "/search?q=set", "/"):
            joint = "&" if "?" in path else "?"
            told = [cache_of(await visitor.get(p)) for p in (path, path, f"{path}{joint}utm_source=mail")]
            assert told == ["MISS", "HIT", "BYPASS"], path

    visit(scenario, profile="replatformed")


def test_a_warmed_cache_serves_the_first_pages(visit):
    async def first(visitor):
        sku = (await visitor.document("/ledger/stock?all=1"))["stock"][0]["sku"]
        return [cache_of(await visitor.get(path)) for path in ("/", "/category/wine", f"/api/products/{sku}")]

    assert visit(first, profile="replatformed", warm_cache=True) == ["HIT"] * 3
    assert visit(first, profile="replatformed") == ["MISS"] * 3


async def until(visitor, path, text, *, within_s=10.0):
    """Seconds until the page at `path`, asked for past the cache, shows `text`."""
    started_s = time.monotonic()
    number = 0
    while time.monotonic() - started_s < within_s:
        number += 1
        if text in await visitor.page(f"{path}?utm_content={number}"):
            return time.monotonic() - started_s
    pytest.fail(f"{path} did not show {text!r} within {within_s:g} s")


def test_with_a_lag_the_page_shows_the_old_price_while_the_till_charges_the_new_one(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        await visitor.post(f"/api/staff/products/{sku}/price", json={"price_pence": 4321})
        assert 'data-price-pence="4321"' not in await visitor.page(f"/product/{sku}?utm_content=0")
        assert (await (await visitor.pos_sale("sale", (sku, 1))).json())["total_pence"] == 4321
        assert await until(visitor, f"/product/{sku}", 'data-price-pence="4321"') >= 0.2

    visit(scenario, profile="replatformed", sync_lag_s=0.4)


def test_with_a_lag_the_page_offers_sold_out_products_and_the_order_is_refused(visit):
    async def scenario(visitor):
        sku = (await visitor.skus())[0]
        assert (await visitor.pos_sale("all", (sku, 3))).status == 201
        assert 'data-availability="in-stock"' in await visitor.page(f"/product/{sku}?utm_content=0")
        assert (await visitor.pos_sale("more", (sku, 1))).status == 409
        assert await until(visitor, f"/product/{sku}", 'data-availability="sold-out"') >= 0.2

    visit(scenario, profile="replatformed", sync_lag_s=0.4, opening_stock=3)


def test_a_folder_can_be_reused_with_another_lag(visit):
    async def look(visitor):
        await visitor.page("/")

    for lag_s in (0.0, 0.5, 0.0):
        visit(look, profile="replatformed", sync_lag_s=lag_s, reuse=True)
