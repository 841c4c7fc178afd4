"""One customer walks every step of a driver once, slowly enough to watch: `python -m doorbuster.load.probe`.

It is a process of its own, because the HTTP client runs on gevent; `doorbuster probe` starts it and renders
what it prints: one JSON object a line, of kind "target", "step" or "error".

Rules
- The steps are those that scenarios know, in the order of a visit; a step gets what earlier steps found.
- A step that would order is left out with --no-orders, and what needs it is then skipped, not failed.
- Nothing secret is printed: see storefronts.secrets.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from doorbuster.errors import DoorbusterError, ExitCode, TargetError, UsageError
from doorbuster.load.drivers import find_driver
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings, Timeouts
from doorbuster.load.target import Target, is_loopback, open_target
from doorbuster.load.watched import Shown, WatchedClient
from doorbuster.scenario import JOURNEYS, STEPS, Scenario, read_scenario
from doorbuster.storefronts import (
    Assortment,
    Line,
    Listing,
    Order,
    Product,
    Rejected,
    Storefront,
)

CORE = tuple(dict.fromkeys(v.step for name in ("browse", "search", "buy") for v in JOURNEYS[name].steps))
UNREACHABLE = frozenset({"dns", "connect_refused", "connect_timeout", "connect_failed", "tls", "proxy"})
CHANNEL_OF = {"till_sale": "store", "phone_order": "phone", "look_up_order": "phone", "landing": "print"}
GIVES = {
    "home": Listing, "category": Listing, "search": Listing, "landing": Product, "product": Product,
    "checkout": Order, "till_sale": Order, "phone_order": Order,
}  # fmt: skip
ORDERING = frozenset(step for step, kind in GIVES.items() if kind is Order)
OTHER_SKUS_TRIED = 3  # when one is sold out
STEP_LIMIT_S = 30.0
EMBEDDED = """
title: probe
target: {storefront: reference, shop: {profile: %s, products: 200}}
demand: {peak: 1 customer/s, curve: {stages: [{for: 1s, at: 100%%}]}}
channels: {web: {share: 100%%, journeys: {browse: 1}}}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one step: ok, refused (by rule: the shop works), failed, broken (the driver's own fault),
    missing (the driver has no such method) or skipped (it needs something that an earlier step did not give).
    """

    step: str
    core: bool
    result: str
    told: str
    cause: str = ""
    exchanges: tuple[Shown, ...] = ()
    kind: str = "step"


@dataclass(slots=True)
class Found:
    """What a step may be given: filled as the visit goes on."""

    key: str
    skus: list[str] = field(default_factory=list)
    lines: tuple[Line, ...] = ()
    ref: str = ""
    in_basket: bool = False
    placed: list[tuple[str, Order]] = field(default_factory=list)


class Walk:
    """One visit; `steps` yields a Step each, in the order of the visit."""

    def __init__(self, driver: type[Storefront], url: str, *, orders: bool, run_id: str) -> None:
        self._driver = driver
        self._orders = orders
        settings = HttpSettings(headers={"X-Doorbuster-Run": run_id}, timeouts=Timeouts(total_s=STEP_LIMIT_S))
        self._new_client: Callable[[], HttpClient] = lambda: HttpClient(url, settings=settings)
        self._client = WatchedClient(self._new_client())
        self._rng = Random(run_id)
        self._found = Found(key=f"{run_id}:probe:1")
        self._url = url

    def steps(self) -> Iterator[Step]:
        """Raises: TargetError if nobody answers at the address."""
        started_unix_s = time.time()
        box: list[Assortment] = []
        prepared = self._try("prepare", lambda: box.append(self._driver.prepare(self._client)))
        if prepared.cause in UNREACHABLE:
            raise TargetError(f"{self._url} cannot be reached: {prepared.cause}; is the shop running there?")
        if not box:
            yield prepared
            return
        yield replace(prepared, told=_sold(box[0]))
        customers: dict[str, Storefront] = {}
        for name in STEPS:
            channel = CHANNEL_OF.get(name, "web")
            if channel not in customers:
                # Not the client that prepared: staff may have signed in there.
                client = WatchedClient(self._new_client(), self._client)
                customers[channel] = self._driver(client, channel=channel, assortment=box[0], rng=self._rng)
                self._found.skus = self._found.skus or [box[0].draw_sku(self._rng)]
            yield self._step(name, customers[channel], box[0])
        yield self._books(started_unix_s)

    def _step(self, name: str, customer: Storefront, assortment: Assortment) -> Step:
        action = getattr(customer, name, None)
        if not callable(action):
            return Step(name, name in CORE, "missing", "the driver has no such method")
        if name in ORDERING and not self._orders:
            return Step(name, False, "skipped", "it would place an order (--no-orders)")
        lacking = self._lacking(name, action)
        if lacking:
            return Step(name, name in CORE, "skipped", lacking)
        for attempt in range(OTHER_SKUS_TRIED):
            if attempt:
                self._found.skus.insert(0, assortment.draw_sku(self._rng))
            given = self._given(name, action)
            step = self._try(name, partial(self._do, name, action, given))
            if step.result != "refused":
                break
        return step

    def _lacking(self, name: str, action: Callable[..., Any]) -> str:
        """Why a step cannot be tried; empty if it can."""
        for parameter in inspect.signature(action).parameters.values():
            if parameter.name == "ref" and not self._found.ref:
                return "it needs an order, and none was placed"
            if parameter.name not in ("sku", "key", "lines", "ref") and parameter.default is parameter.empty:
                return f"the probe does not know what to give for {parameter.name!r}"
        if name in ("basket", "checkout_page", "checkout") and not self._found.in_basket:
            return "it needs a full basket, and add_to_basket did not work"
        return ""

    def _given(self, name: str, action: Callable[..., Any]) -> list[Any]:
        found = self._found
        found.key = f"{found.key.rpartition(':')[0]}:{int(found.key.rpartition(':')[2]) + 1}"
        lines = found.lines if name == "checkout" and found.lines else (Line(found.skus[0], 1, 0),)
        values = {"sku": found.skus[0], "key": found.key, "lines": lines, "ref": found.ref}
        return [values[name] for name in inspect.signature(action).parameters if name in values]

    def _do(self, name: str, action: Callable[..., Any], given: list[Any]) -> str:
        return self._note(name, action(*given), given)

    def _note(self, name: str, got: Any, given: list[Any]) -> str:
        """Check what a step returned and keep it for later ones; returns it in words."""
        wanted = GIVES.get(name)
        if wanted is not None and not isinstance(got, wanted):
            raise TypeError(f"{name} returned {type(got).__name__}; it must return a {wanted.__name__}")
        if isinstance(got, Listing):
            self._found.skus = list(got.skus) or self._found.skus
            return f"{len(got.skus)} products"
        if isinstance(got, Product):
            self._found.lines = (Line(got.sku, 1, got.price_pence),)
            state = "in stock" if got.available else "not in stock"
            return f"{got.sku}, {got.price_pence / 100:.2f}, {state}"
        if isinstance(got, Order):
            self._found.ref = got.ref
            self._found.placed.append((given[0], got))
            return f"order {got.ref}, {got.total_pence / 100:.2f}"
        if name == "add_to_basket":
            self._found.in_basket = True
            if given[0] not in (line.sku for line in self._found.lines):
                self._found.lines = (Line(given[0], 1, 0),)  # not the product that was looked at last
        return ""

    def _books(self, started_unix_s: float) -> Step:
        """Whether the ledger has the orders of this visit, which is what the audit after a run needs."""

        def compare() -> str:
            books = self._driver.read_books(self._client, since_unix_s=started_unix_s - 60.0)
            if books is None:
                return "this shop shows no books: orders cannot be audited"
            totals = {order.idempotency_key: order.total_pence for order in books.orders}
            wrong = [
                f"order {order.ref} "
                + ("is not in the ledger under its key" if key not in totals
                   else f"is in the ledger with {totals[key] / 100:.2f}")
                for key, order in self._found.placed
                if totals.get(key) != order.total_pence
            ]  # fmt: skip
            if wrong:
                raise Rejected("ledger_differs", "; ".join(wrong))
            return (
                f"the ledger has {len(self._found.placed)} of {len(self._found.placed)} orders of this visit"
            )

        return self._try("read_books", compare)

    def _try(self, name: str, act: Callable[[], Any]) -> Step:
        self._client.exchanges.clear()
        core = name in CORE or name == "prepare"
        result, cause, told = "ok", "", ""
        try:
            said = act()
            told = said if isinstance(said, str) else ""
        except Rejected as refusal:
            result, cause = ("refused" if refusal.by_rule else "failed"), refusal.cause
            told = " ".join(refusal.detail.split())
        except Exception as error:  # noqa: BLE001  a driver in the making may fail in any way; say where
            result, cause = "broken", type(error).__name__
            place = traceback.extract_tb(error.__traceback__)[-1]
            told = f"{error} ({Path(place.filename).name}:{place.lineno}: {place.line})"
        return Step(name, core, result, told[:300], cause, tuple(self._client.exchanges))


def _sold(assortment: Assortment) -> str:
    counts = (len(assortment.skus), len(assortment.categories), len(assortment.search_terms))
    return "{} products, {} categories, {} search terms".format(*counts)


def _embedded(profile: str, log: Path) -> Target:
    scenario: Scenario = read_scenario(EMBEDDED % profile, file="probe")
    return open_target(scenario, log)


def _print(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)  # noqa: T201  the protocol with `doorbuster probe`


def _probe(options: argparse.Namespace) -> ExitCode:
    host = urlsplit(options.url).hostname or ""
    if options.url and not is_loopback(host) and options.confirm_host != host:
        raise UsageError(f"probing {host} needs a confirmation: add --confirm-host {host} if it is yours")
    driver = find_driver(options.storefront, options.locustfile)
    run_id = f"probe-{time.strftime('%Y%m%dT%H%M%S')}"
    with TemporaryDirectory() as folder:
        target = Target(options.url) if options.url else _embedded(options.profile, Path(folder, "shop.log"))
        try:
            _print({"kind": "target", "url": target.url, "storefront": driver.name})
            worked: dict[str, bool] = {}
            for step in Walk(driver, target.url, orders=options.orders, run_id=run_id).steps():
                worked[step.step] = not step.core or step.result == "ok"
                _print(asdict(step))
        finally:
            target.stop()
    return ExitCode.PASS if all(worked.values()) else ExitCode.FAIL


def main() -> int:
    parser = argparse.ArgumentParser(prog="doorbuster.load.probe")
    parser.add_argument("--url", default="")
    parser.add_argument("--profile", default="replatformed")
    parser.add_argument("--storefront", default="")
    parser.add_argument("--locustfile", default="")
    parser.add_argument("--confirm-host", default="")
    parser.add_argument("--no-orders", dest="orders", action="store_false")
    try:
        return int(_probe(parser.parse_args()))
    except DoorbusterError as error:
        _print({"kind": "error", "text": str(error), "exit_code": int(error.exit_code)})
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
