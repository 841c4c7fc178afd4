"""Capacity of the embedded shop: pages and orders at a fixed rate.

    python -m benchmarks shop
    python -m benchmarks.shop --profile replatformed --pages 90 --orders 2 --seconds 10

Starts a shop in a separate process and sends a browsing mix (home 15 %, category 25 %, search 15 %, product
45 %, products by popularity) and purchases through the JSON API (basket, line, order). Prints response times
from the intended start, responses by status, and the processor time of the shop. Generator and shop share the
machine, so the generator's processor time is printed too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import numpy as np
import psutil

from benchmarks.targets import TargetResult
from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings
from doorbuster.units import parse_duration_s

CUSTOMER = {"name": "A", "email": "a@example.com", "address": "1 High Street", "postcode": "CB7 4AA"}
WORDS = ("oak", "cotton", "wool", "coat", "lamp", "set", "gold", "jumper", "tea", "winter")


@dataclass
class Visit:
    """One run: where to, with whose dice, and what came back."""

    url: str
    session: aiohttp.ClientSession
    rng: random.Random
    skus: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    took_s: dict[str, list[float]] = field(default_factory=lambda: {"page": [], "order": []})
    statuses: Counter = field(default_factory=Counter)

    async def look(self):
        async with self.session.get(f"{self.url}/ledger/stock?all=1") as answer:
            stock = (await answer.json())["stock"]
        self.skus, self.weights = [row["sku"] for row in stock], [row["opening"] for row in stock]
        async with self.session.get(f"{self.url}/") as answer:
            page = await answer.text()
        self.categories = [part.split('"')[0] for part in page.split('href="/category/')[1:]]

    def path(self):
        dice = self.rng.random()
        if dice < 0.15:
            return "/"
        if dice < 0.40:
            return f"/category/{self.rng.choice(self.categories)}?page={self.rng.randint(1, 4)}"
        if dice < 0.55:
            return f"/search?q={self.rng.choice(WORDS)}"
        return f"/product/{self.rng.choices(self.skus, self.weights)[0]}"

    async def page(self, intended_s):
        await self._ask("page", "GET", self.path())
        self.took_s["page"].append(time.monotonic() - intended_s)

    async def order(self, _intended_s):
        """A purchase through the API; timed is the order alone, from the moment it is sent."""
        basket = (await self._ask("basket", "POST", "/api/baskets"))["basket"]
        line = {"sku": self.rng.choices(self.skus, self.weights)[0], "quantity": 1}
        await self._ask("line", "POST", f"/api/baskets/{basket}/lines", json=line)
        started_s = time.monotonic()
        key = {"Idempotency-Key": f"{self.rng.getrandbits(64):x}"}
        body = {"basket": basket, "customer": CUSTOMER}
        await self._ask("order", "POST", "/api/orders", json=body, headers=key)
        self.took_s["order"].append(time.monotonic() - started_s)

    async def _ask(self, name, method, path, **options):
        async with self.session.request(method, self.url + path, **options) as answer:
            body = await answer.read()
            self.statuses[name, answer.status] += 1
            return json.loads(body) if "json" in answer.content_type else None


async def offer(visit, pages_per_s, orders_per_s, seconds):
    """Start every request at its moment; returns when the last one was sent."""
    starts = [(number / pages_per_s, visit.page) for number in range(int(pages_per_s * seconds))]
    if orders_per_s:
        starts += [(number / orders_per_s, visit.order) for number in range(int(orders_per_s * seconds))]
    begun_s = time.monotonic()
    running = []
    for at_s, act in sorted(starts, key=lambda start: start[0]):
        await asyncio.sleep(begun_s + at_s - time.monotonic())
        running.append(asyncio.ensure_future(act(begun_s + at_s)))
    return running


def processor_s(process):
    times = process.cpu_times()
    return times.user + times.system


async def measure(url, shop, options):
    connector = aiohttp.TCPConnector(limit=0)
    patience = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=patience
    ) as session:
        visit = Visit(url, session, random.Random(options.seed))
        await visit.look()
        own = psutil.Process()
        before_s, own_before_s, begun_s = processor_s(shop), processor_s(own), time.monotonic()
        running = await offer(visit, options.pages, options.orders, options.seconds)
        sent_s = time.monotonic() - begun_s
        shop_cores = (processor_s(shop) - before_s) / sent_s
        own_cores = (processor_s(own) - own_before_s) / sent_s
        await asyncio.gather(*running)
        print(f"offered {options.pages:g} pages/s + {options.orders:g} purchases/s for {sent_s:.1f} s")
        print(f"answered after {time.monotonic() - begun_s:.1f} s: {dict(visit.statuses)}")
        for name, took_s in visit.took_s.items():
            if took_s:
                p50, p95, p99 = np.quantile(took_s, [0.5, 0.95, 0.99], method="higher") * 1e3
                print(f"{name}: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms of {len(took_s)}")
        print(f"processor: shop {shop_cores:.2f} core, this script {own_cores:.2f} core")
    return visit.statuses


def run() -> list[TargetResult]:
    """What docs/reference/shop.md says of the replatformed shop."""
    options = argparse.Namespace(
        profile="replatformed", pages=220.0, orders=22.0, seconds=10.0, query_time="10ms", seed=1
    )
    statuses = offer_to_shop(options)
    refused = sum(n for (_, status), n in statuses.items() if status >= 400)
    text = "the replatformed shop answers 220 pages and 22 purchases a second, all of them"
    return [TargetResult(text, f"{refused} of {statuses.total():,} refused", refused == 0)]


def offer_to_shop(options):
    """Start a shop, offer it what the options say, print; returns the answers by name and status."""
    settings = ShopSettings(profile=options.profile, query_time_s=parse_duration_s(options.query_time))
    with TemporaryDirectory() as folder, start_shop(settings, Path(folder, "shop.log")) as shop:
        return asyncio.run(measure(shop.url, psutil.Process(shop.process.pid), options))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="replatformed", help="design of the shop")
    parser.add_argument("--pages", type=float, default=90.0, help="pages offered per second")
    parser.add_argument("--orders", type=float, default=2.0, help="purchases offered per second")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to offer")
    parser.add_argument("--query-time", default="10ms", help="time a database worker is held per query")
    parser.add_argument("--seed", type=int, default=1, help="seed of the choices made")
    offer_to_shop(parser.parse_args())


if __name__ == "__main__":
    main()
