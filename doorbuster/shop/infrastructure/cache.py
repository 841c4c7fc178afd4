"""A response cache with a short time to live and request coalescing.

An entry is fresh for its time to live. A stale entry is replaced by one fetch, for which all requests wait.
If the shop is too busy to fetch, the stale entry is served.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

from doorbuster.shop.http_errors import Busy

CAPACITY = 4_096


@dataclass(frozen=True, slots=True)
class _Entry:
    body: bytes
    fresh_until_s: float


class PageCache:
    """Up to CAPACITY bodies by key; the least recently used is evicted first."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._fetches: dict[Hashable, asyncio.Task[bytes]] = {}

    def fresh(self, key: Hashable) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None or entry.fresh_until_s <= self._clock():
            return None
        self._entries.move_to_end(key)
        return entry.body

    async def fetch(self, key: Hashable, fetch: Callable[[], Awaitable[bytes]], *, ttl_s: float) -> bytes:
        """The fresh body of `key`; raises the errors of `fetch`, except Busy if there is a stale body."""
        task = self._fetches.get(key)
        if task is None:
            task = asyncio.ensure_future(self._refill(key, fetch, ttl_s))
            self._fetches[key] = task
            task.add_done_callback(lambda done: self._fetched(key, done))
        try:
            # shielded: others wait for this fetch too, so one client that disconnects must not cancel it
            return await asyncio.shield(task)
        except Busy:
            stale = self._entries.get(key)
            if stale is None:
                raise
            return stale.body

    def drop(self, *keys: Hashable) -> None:
        for key in keys:
            self._entries.pop(key, None)

    async def close(self) -> None:
        """Cancel running fetches and wait for them."""
        tasks = list(self._fetches.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _refill(self, key: Hashable, fetch: Callable[[], Awaitable[bytes]], ttl_s: float) -> bytes:
        body = await fetch()
        self._entries[key] = _Entry(body, self._clock() + ttl_s)
        self._entries.move_to_end(key)
        while len(self._entries) > CAPACITY:
            self._entries.popitem(last=False)
        return body

    def _fetched(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        self._fetches.pop(key, None)
        if not task.cancelled():
            task.exception()  # marks the error as retrieved, in case no request waits any more
