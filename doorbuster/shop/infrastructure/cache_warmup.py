"""Warming the cache: the shop looks at its own most wanted pages before anybody else may."""

from __future__ import annotations

import asyncio
from itertools import islice

import aiohttp

POPULAR = 200  # products
AT_ONCE = 8
_STAFF = {"X-Channel": "store"}  # whom a waiting room lets through


async def warm_up(url: str) -> None:
    """Ask for the home page, every department and the most popular products, as page and as JSON."""
    async with aiohttp.ClientSession(headers=_STAFF) as session:
        async with session.get(f"{url}/ledger/range") as answer:
            categories = (await answer.json())["categories"]
        async with session.get(f"{url}/ledger/stock?all=1") as answer:
            stock = (await answer.json())["stock"]
        popular = sorted(stock, key=lambda row: row["opening"], reverse=True)[:POPULAR]
        paths = ["/", "/api/home"]
        paths += [path for slug in categories for path in (f"/category/{slug}", f"/api/categories/{slug}")]
        paths += [
            path for row in popular for path in (f"/product/{row['sku']}", f"/api/products/{row['sku']}")
        ]
        rest = iter(paths)
        while batch := list(islice(rest, AT_ONCE)):
            await asyncio.gather(*(_look(session, url + path) for path in batch))


async def _look(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as answer:
        await answer.read()
