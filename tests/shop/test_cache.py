"""The page cache, with a fake clock."""

from __future__ import annotations

import asyncio

import pytest

from doorbuster.shop.http_errors import Busy, NotFound
from doorbuster.shop.infrastructure.cache import CAPACITY, PageCache


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def answering(*outcomes):
    """A fetch that gives each outcome in turn; an exception is raised."""
    left = list(outcomes)

    async def fetch():
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return fetch


def test_an_entry_is_fresh_for_its_time_to_live():
    async def scenario():
        clock = Clock()
        cache = PageCache(clock)
        assert await cache.fetch("key", answering(b"one"), ttl_s=5.0) == b"one"
        clock.now_s = 4.9
        assert cache.fresh("key") == b"one"
        clock.now_s = 5.0
        assert cache.fresh("key") is None

    asyncio.run(scenario())


def test_a_stale_entry_is_served_when_the_shop_is_busy():
    async def scenario():
        clock = Clock()
        cache = PageCache(clock)
        await cache.fetch("key", answering(b"one"), ttl_s=1.0)
        clock.now_s = 60.0
        assert await cache.fetch("key", answering(Busy(1)), ttl_s=1.0) == b"one"
        with pytest.raises(Busy):
            await cache.fetch("other", answering(Busy(1)), ttl_s=1.0)
        with pytest.raises(NotFound):
            await cache.fetch("key", answering(NotFound("withdrawn")), ttl_s=1.0)

    asyncio.run(scenario())


def test_one_fetch_serves_all_waiting_requests_even_if_the_first_disconnects():
    async def scenario():
        cache = PageCache(Clock())
        gate = asyncio.Event()
        fetches = []

        async def fetch():
            fetches.append(1)
            await gate.wait()
            return b"one"

        waiters = [asyncio.ensure_future(cache.fetch("key", fetch, ttl_s=1.0)) for _ in range(5)]
        await asyncio.sleep(0)
        waiters[0].cancel()
        gate.set()
        assert await asyncio.gather(*waiters[1:]) == [b"one"] * 4
        assert waiters[0].cancelled()
        assert len(fetches) == 1

    asyncio.run(scenario())


def test_the_least_recently_used_entries_are_evicted():
    async def scenario():
        cache = PageCache(Clock())
        for number in range(CAPACITY):
            await cache.fetch(number, answering(b"body"), ttl_s=1.0)
        assert cache.fresh(0) == b"body"
        await cache.fetch("one more", answering(b"body"), ttl_s=1.0)
        assert (cache.fresh(0), cache.fresh(1)) == (b"body", None)

    asyncio.run(scenario())


def test_a_dropped_entry_is_fetched_again():
    async def scenario():
        cache = PageCache(Clock())
        await cache.fetch("key", answering(b"one"), ttl_s=9.0)
        cache.drop("key", "unknown")
        assert cache.fresh("key") is None

    asyncio.run(scenario())
