"""How each design handles overload."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import aiohttp
import pytest

pytestmark = pytest.mark.alone


async def until(condition, *, within_s=20.0):
    """Poll the shop until it says so; fails when it never does."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if await condition():
            return
    pytest.fail(f"did not happen within {within_s:g} s")


async def waiting(visitor):
    return (await visitor.document("/healthz"))["waiting"]


def test_the_replatformed_shop_turns_away_requests_beyond_its_queue_limit(visit):
    async def scenario(visitor):
        skus = (await visitor.skus())[:20]
        pages = await asyncio.gather(*(visitor.get(f"/product/{sku}") for sku in skus))
        statuses = Counter(page.status for page in pages)
        # three wait and one is served; two when the first was taken while the others came
        assert 3 <= statuses[200] <= 5
        assert statuses[503] == 20 - statuses[200]
        busy = next(page for page in pages if page.status == 503)
        assert 1 <= int(busy.headers["Retry-After"]) <= 3
        text = await busy.text()
        assert 'data-problem="busy"' in text
        assert "Reloading does not move you forward" in text

    visit(scenario, profile="replatformed", workers=1, query_time_s=0.1, queue_limit=3)


def test_the_app_is_turned_away_with_a_problem_document(visit):
    async def scenario(visitor):
        skus = (await visitor.skus())[:8]
        answers = await asyncio.gather(*(visitor.get(f"/api/products/{sku}") for sku in skus))
        busy = [answer for answer in answers if answer.status == 503]
        assert 4 <= len(busy) <= 6
        for answer in busy:
            assert answer.content_type == "application/problem+json"
            assert (await answer.json())["type"] == "/problems/busy"
            assert int(answer.headers["Retry-After"]) >= 1

    visit(scenario, profile="replatformed", workers=1, query_time_s=0.1, queue_limit=2)


def test_the_in_house_shop_queues_every_request(visit):
    async def scenario(visitor):
        skus = (await visitor.skus())[:20]
        pages = await asyncio.gather(*(visitor.get(f"/product/{sku}") for sku in skus))
        assert Counter(page.status for page in pages) == {200: 20}
        slowest = max(float(page.headers["Server-Timing"].split("queue;dur=")[1]) for page in pages)
        assert slowest > 19 * 11 * 2 * 0.9

    visit(scenario, profile="in-house-2004", workers=1, query_time_s=0.002, queue_limit=1)


def test_the_ledger_answers_while_the_shop_is_overloaded(visit, profile):
    async def scenario(visitor):
        skus = (await visitor.skus())[:30]
        crowd = [asyncio.ensure_future(visitor.get(f"/product/{sku}")) for sku in skus]

        async def crowded():
            return await waiting(visitor) >= 20

        await until(crowded)
        for path in ("/ledger/orders", "/ledger/stock?all=1", "/ledger/backlog", "/ledger/capacity"):
            answer = await visitor.get(path)
            assert answer.status == 200
        assert await waiting(visitor) > 0, "the ledger came after the crowd, not beside it"
        await asyncio.gather(*crowd)

    query_time_s = {"in-house-2004": 0.005, "replatformed": 0.05}[profile]
    visit(scenario, profile=profile, workers=1, query_time_s=query_time_s)


def test_a_till_is_served_before_waiting_pages(visit):
    async def scenario(visitor):
        skus = (await visitor.skus())[:12]
        pages = [asyncio.ensure_future(visitor.get(f"/product/{sku}")) for sku in skus]

        async def full():
            return await waiting(visitor) >= 7

        await until(full)
        sold = await visitor.pos_sale("till", (skus[0], 1))
        assert sold.status == 201
        assert await waiting(visitor) >= 5, "the sale came after the pages, not before them"
        statuses = Counter(page.status for page in await asyncio.gather(*pages))
        assert statuses[503] >= 3
        assert statuses[200] == 12 - statuses[503]

    visit(scenario, profile="replatformed", workers=1, query_time_s=0.1, queue_limit=8)


@pytest.mark.parametrize(("profile", "worked_for"), [("in-house-2004", 6), ("replatformed", 1)])
def test_only_the_in_house_shop_continues_after_a_disconnect(visit, rows, profile, worked_for):
    async def scenario(visitor):
        async with aiohttp.ClientSession() as impatient:
            asks = [asyncio.ensure_future(impatient.post(f"{visitor.url}/api/baskets")) for _ in range(6)]

            async def queued():
                return await waiting(visitor) == 5

            await until(queued)
            for ask in asks:
                ask.cancel()
            await asyncio.gather(*asks, return_exceptions=True)

        async def drained():
            return await waiting(visitor) == 0

        await until(drained)

    visit(scenario, profile=profile, workers=1, query_time_s=0.1)
    assert rows("SELECT count(*) FROM baskets") == [(worked_for,)]


def test_pages_are_cached_and_fetched_once_for_concurrent_requests(visit):
    async def scenario(visitor):
        pages = await asyncio.gather(*(visitor.get("/") for _ in range(10)))
        timings = [page.headers["Server-Timing"] for page in pages]
        assert sum('desc="2 queries"' in timing for timing in timings) == 1
        again = await visitor.get("/")
        assert "cache;desc=HIT" in again.headers["Server-Timing"]

    visit(scenario, profile="replatformed", query_time_s=0.02)
