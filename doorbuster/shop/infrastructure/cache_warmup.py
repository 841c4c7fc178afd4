"""Fills the cache before the shop opens, with requests for its most popular pages."""

from __future__ import annotations

import asyncio
from itertools import islice

import aiohttp

MAX_PRODUCTS = 200
CONCURRENCY = 8
_STAFF = {"X-Channel": "store"}  # bypasses the waiting room


async def warm_up(url: str) -> None:
    """Request the home page, every category and the most popular products, as HTML and JSON."""
    async with aiohttp.ClientSession(headers=_STAFF) as session:
        async with session.get(f"{url}/ledger/range") as answer:
            categories = (await answer.json())["categories"]
        async with session.get(f"{url}/ledger/stock?all=1") as answer:
            stock = (await answer.json())["stock"]
        popular = sorted(stock, key=lambda row: row["opening"], reverse=True)[:MAX_PRODUCTS]
        paths = ["/", "/api/home"]
        paths += [path for slug in categories for path in (f"/category/{slug}", f"/api/categories/{slug}")]
        paths += [
            path for row in popular for path in (f"/product/{row['sku']}", f"/api/products/{row['sku']}")
        ]
        rest = iter(paths)
        while batch := list(islice(rest, CONCURRENCY)):
            await asyncio.gather(*(_fetch(session, url + path) for path in batch))


async def _fetch(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as answer:
        await answer.read()
