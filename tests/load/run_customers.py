"""Runs customers whose behaviour a test sets, with the real generator in Locust.

    python tests/load/run_customers.py < cases      (one JSON document per line, in and out)

A case: {"url", "folder", "channels", "rules", "drain", "duration_s", "arrivals": [[channel, journey, at_s]]};
channels and rules are YAML; "stall": [at, for] in seconds of the run, for a server of tests/truth. The
answer: what the batches say, row by row, and when pages came in seconds of the run.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import json
import sys
from pathlib import Path
from time import perf_counter, time
from typing import ClassVar
from urllib.request import urlopen

import gevent
import numpy as np
from locust.env import Environment  # patches the interpreter, so it comes first

from doorbuster.load.customers.customer import Customer
from doorbuster.load.engine.generator import Generator
from doorbuster.load.run_plan import RunPlan, WorkerAssignment
from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.records.histogram import Histogram
from doorbuster.scenario import Schedule, load_scenario, override
from doorbuster.scenario.planning.schedule import ChannelJourney
from doorbuster.storefronts import BasketLine, Catalogue, Order, Rejected, Storefront, WaitingRoomError

LEAD_S = 0.2
SCENARIO = """
title: Customers of a test
target: {{storefront: "custom:flaky", url: "{url}", rules: {rules}}}
demand: {{peak: 1 customers/s, curve: {{stages: [{{for: {duration_s}s, at: 100%}}]}}}}
channels: {channels}
safety: {{max_rate: 1000000 requests/s, max_in_flight: 100000}}
drain: {drain}
"""


class FlakyShop(Storefront):
    """A driver for flaky_server.py: the first word of the text decides the result."""

    name = "flaky"
    pages_at: ClassVar[list[float]] = []

    def home(self) -> None:
        campaign = self.visit.campaign.replace(" ", "-")
        self.visit_page(f"/home?from={campaign}" if campaign else "/home")

    def order_status(self) -> None:
        self.visit_page("/page")

    def product(self, sku: str) -> None:
        self.visit_page(f"/product/{sku}")

    def recommendations(self) -> None:
        self.visit_page("/recommendations")

    def sign_in(self) -> None:
        self.visit_page("/sign-in", method="POST")

    def word(self) -> str:
        return self.fetch("GET", "/word").text

    def swallow(self) -> None:
        """A step that catches everything."""
        with contextlib.suppress(BaseException):
            self.visit_page("/slow")

    def checkout(self, key: str, lines: tuple[BasketLine, ...]) -> Order:
        self.visit_page("/checkout", method="POST", headers={"Idempotency-Key": key})
        return Order(key, 100, lines)

    def pos_sale(self, key: str, lines: tuple[BasketLine, ...], sold_at_unix_s: float | None = None) -> Order:
        sold = {} if sold_at_unix_s is None else {"Sold-At": str(sold_at_unix_s)}
        self.visit_page("/till", method="POST", headers={"Idempotency-Key": key, **sold})
        return Order(key, 100, lines)

    def visit_page(self, url: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        who = {"Customer": self.visit.customer, "Device": self.visit.device, "Channel": self.channel,
               "Campaign": self.visit.campaign, "Signed-In": str(self.visit.signed_in)}  # fmt: skip
        text = self.fetch(method, url, headers={**who, **(headers or {})}).text
        word, _, rest = text.partition(" ")
        if word == "queue":
            raise WaitingRoomError(float(rest))
        if word == "raise":
            raise exception_named(rest)
        if word == "busy":
            raise Rejected("busy_page", text)
        if word == "sold":
            raise Rejected("sold_out", text, expected=True)
        if word == "json":  # reads it as carelessly as drivers do
            json.loads(rest)["order"]["ref"].upper()
        self.pages_at.append(perf_counter())


def exception_named(name: str) -> BaseException:
    """An exception of Python, gevent or asyncio, or one that no library knows."""
    if name == "own":
        return type("Own", (BaseException,), {})()
    home = next(home for home in (builtins, gevent, asyncio) if hasattr(home, name))
    return getattr(home, name)()


class Person(Customer):
    abstract = True

    def search(self) -> None:
        """Raise what the shop's page names, in the journey."""
        raise exception_named(self.step(self.shop.word))

    def comparison_shopping(self) -> None:
        """Catch every end of the visit, and go on."""
        for _ in range(3):
            with contextlib.suppress(BaseException):
                self.step(self.shop.order_status)

    def prefetch(self) -> None:
        """Catch also the end that the generator orders, in the driver and in the journey."""
        while True:
            with contextlib.suppress(BaseException):
                self.step(self.shop.swallow)
                gevent.sleep(0.01)

    def return_order(self) -> None:
        """Do nothing."""

    def order_status(self) -> None:
        self.step(self.shop.order_status)

    def browse(self) -> None:
        """A home page with a part that may fail, then some products."""
        self.step(self.shop.home)
        self.try_step(self.shop.recommendations)
        for number in range(self.pages()):
            self.step(self.shop.product, str(number))

    def buy(self) -> None:
        self.step(self.shop.home)
        if self.visit.signed_in:
            self.step(self.shop.sign_in)
        self.order(self.shop.checkout, (BasketLine("A", 1, 100),))

    def click_and_collect(self) -> None:
        """Order on the web, go to a store, come back to the web."""
        self.order(self.shop.checkout, (BasketLine("A", 1, 100),))
        self.cross_to("store")
        self.step(self.shop.order_status)
        self.cross_to("web")
        self.step(self.shop.home)

    def deep_link(self) -> None:
        """Wait for the start of a sale at half a second."""
        self.wait_until(0.5)
        self.step(self.shop.order_status)

    def pos_sale(self) -> None:
        self.order(self.shop.pos_sale, (BasketLine("A", 1, 100),))


class Web(Person):
    channel: ClassVar[str] = "web"


class App(Person):
    channel: ClassVar[str] = "app"


class Store(Person):
    channel: ClassVar[str] = "store"


def run(case: dict) -> dict:
    path = Path(case["folder"], "customers.yaml")
    path.write_text(SCENARIO.format(**case), encoding="utf-8")
    scenario = load_scenario(path)
    if case.get("without_retries"):
        scenario = override(scenario, no_retries=True)
    environment = Environment(user_classes=[Web, App, Store])
    environment.create_local_runner()
    arrivals = sorted(case["arrivals"], key=lambda arrival: arrival[2])
    channel_journeys = tuple(
        dict.fromkeys(ChannelJourney(channel, journey) for channel, journey, _ in arrivals)
    )
    schedule = Schedule(
        duration_s=case["duration_s"],
        channel_journeys=channel_journeys,
        intended_s=np.array([at_s for *_, at_s in arrivals], dtype=float),
        channel_journey_index=np.array(
            [channel_journeys.index((c, j)) for c, j, _ in arrivals], dtype=np.uint16
        ),
        arrival_index=np.arange(len(arrivals)),
    )
    batches = []
    FlakyShop.pages_at.clear()
    started_at = perf_counter() + LEAD_S
    if case.get("stall"):
        at_s, for_s = case["stall"]
        urlopen(f"{case['url']}/stall/{time() + started_at - perf_counter() + at_s}/{for_s}").close()
    endpoint = StoreEndpoint(case["url"], Catalogue(("A",), (1.0,), ("a",), ("a",)))
    plan = RunPlan(TargetAccess("customers"), scenario, schedule, {"": endpoint}, started_at)
    Generator(environment, WorkerAssignment(plan, "w", index=0, count=1), FlakyShop, batches.append).run()
    rows = {name: [row for batch in batches for row in getattr(batch, name)] for name in
            ("customers", "counters", "requests", "orders", "events")}  # fmt: skip
    return {
        "customers": rows["customers"],
        "counters": rows["counters"],
        "requests": [(row.second, *row.series, row.n, row.response.hex()) for row in rows["requests"]],
        "orders": [row._asdict() for row in rows["orders"]],
        "pages_s": [at - started_at for at in FlakyShop.pages_at],
        "started_at_unix_s": time() + started_at - perf_counter(),
        "latest_s": Histogram.from_blobs([row.lateness for batch in batches for row in batch.health]).max_us
        / 1e6,
        "events": [row._asdict() for row in rows["events"]],
    }


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
