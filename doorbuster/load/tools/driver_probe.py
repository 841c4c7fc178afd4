"""Runs every step of a driver once and reports each result.

Rules
- The steps are those that journeys know, in the order of a visit; a step gets what earlier steps found.
- A step is given what its name promises (`STEP_INPUTS`), by position, as journeys do.
- Accounts, and orders to be collected, belong to a customer of their own, so that no session hides another.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from random import Random
from typing import Any

from doorbuster.errors import TargetError
from doorbuster.load.exchange import UNREACHABLE
from doorbuster.load.freshness.product_edits import STAFF_STEPS, least_popular, overrides
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings, Timeouts, hosts_of
from doorbuster.load.target.drivers import place_in_driver
from doorbuster.load.target.endpoint import RUN_HEADER
from doorbuster.load.target.shop_clock import ledger_since
from doorbuster.load.tools.hints import hint_for
from doorbuster.load.tools.tracing_client import ExchangeTrace, TracingClient
from doorbuster.scenario import JOURNEYS, STEPS
from doorbuster.storefronts import (
    Basket,
    BasketLine,
    Catalogue,
    Listing,
    Order,
    Product,
    Rejected,
    Storefront,
    Visit,
    WaitingRoomError,
)

CORE = tuple(dict.fromkeys(v.step for name in ("browse", "search", "buy") for v in JOURNEYS[name].steps))
STEP_INPUTS: dict[str, tuple[str, ...]] = {
    "home": (), "category": (), "search": (), "landing": (), "product": ("sku",),
    "recommendations": ("sku",), "reviews": ("sku",),
    "add_to_basket": ("sku",), "basket": (), "checkout_page": (), "checkout": ("key", "lines"),
    "order_status": ("ref",), "pos_sale": ("key", "lines"), "phone_order": ("key", "lines"),
    "look_up_order": ("ref",),
    "collect_checkout": ("key", "lines"), "pickup": ("collected",), "return_items": ("ref",),
    "feed": (), "partner_order": ("key", "lines"),
    "write_review": ("sku",), "ask": ("sku",), "open_questions": (), "answer": ("question",),
    "register": (), "sign_in": (), "reset_password": (),
}  # fmt: skip
STEP_OUTPUTS: dict[str, type] = {
    "home": Listing, "category": Listing, "search": Listing, "feed": Listing, "landing": Product,
    "product": Product, "checkout": Order, "pos_sale": Order, "phone_order": Order,
    "collect_checkout": Order, "partner_order": Order, "ask": str, "open_questions": tuple,
}  # fmt: skip
ORDERING = frozenset(step for step, kind in STEP_OUTPUTS.items() if kind is Order)
CHANNEL_OF = {
    "pos_sale": "store", "pickup": "store", "phone_order": "phone", "look_up_order": "phone",
    "landing": "print", "feed": "partner", "partner_order": "partner",
    **dict.fromkeys(("reviews", "write_review", "ask", "open_questions", "answer"), "social"),
}  # fmt: skip
BY_THEMSELVES = frozenset({"collect_checkout", "register", "sign_in", "reset_password"})
NEEDS_BASKET = frozenset({"basket", "checkout_page", "checkout"})
WHY_LACKING = {
    "ref": "it needs an order, and none was placed",
    "collected": "it needs an order that waits in a store, and none was placed",
    "question": "it needs a question, and none was asked",
}
OTHER_SKUS_TRIED = 3  # when one is sold out
STEP_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Step:
    """What came of one step: ok, refused (by rule: the shop works), failed, broken (the driver's own fault),
    missing (the driver has no such method) or skipped (it needs something that an earlier step did not give).

    hint: what is probably the reason, where the answer looks familiar.
    """

    step: str
    core: bool
    result: str
    told: str
    cause: str = ""
    hint: str = ""
    exchanges: tuple[ExchangeTrace, ...] = ()
    kind: str = "step"


@dataclass(slots=True)
class ProbeState:
    """Inputs collected for later steps."""

    key: str
    skus: list[str] = field(default_factory=list)
    lines: tuple[BasketLine, ...] = ()
    ref: str = ""
    collected: str = ""
    question: str = ""
    in_basket: bool = False
    placed: list[tuple[str, Order]] = field(default_factory=list)


class DriverProbe:
    """One visit; `steps` yields a Step each, in the order of the visit."""

    def __init__(self, driver: type[Storefront], url: str, *, orders: bool, run_id: str) -> None:
        self._driver = driver
        self._orders = orders
        settings = HttpSettings(
            headers={RUN_HEADER: run_id}, timeouts=Timeouts(total_s=STEP_LIMIT_S), hosts=hosts_of(url)
        )
        self._new_client: Callable[[], HttpClient] = lambda: HttpClient(url, settings=settings)
        self._client = TracingClient(self._new_client())
        self._rng = Random(run_id)
        self._run_id = run_id
        self._found = ProbeState(key=f"{run_id}:probe:1")
        self._url = url
        self._customers: dict[str, Storefront] = {}

    def steps(self) -> Iterator[Step]:
        """Raises: TargetError if the address cannot be reached."""
        started_unix_s = time.time()
        box: list[Catalogue] = []
        prepared = self._try("prepare", lambda: box.append(self._driver.prepare(self._client)))
        if prepared.cause in UNREACHABLE:
            raise TargetError(self._nobody_there(prepared))
        if not box:
            yield prepared
            return
        if not box[0].skus:
            told = "the driver found nothing that is sold here"
            yield replace(prepared, result="failed", cause="empty_assortment", told=told)
            return
        yield replace(prepared, told=_sold(box[0]))
        self._found.skus = [box[0].draw_sku(self._rng)]
        for name in dict.fromkeys((*STEP_INPUTS, *STEPS)):
            yield self._step(name, box[0])
        yield from self._staff_steps(box[0])
        yield self._books(started_unix_s)

    def _nobody_there(self, prepared: Step) -> str:
        reached = prepared.exchanges[-1].url if prepared.exchanges else self._url
        if prepared.exchanges and prepared.exchanges[-1].redirects:
            return f"{self._url} sends on to {reached}, which cannot be reached: {prepared.cause}"
        return f"{self._url} cannot be reached: {prepared.cause}; is the shop running there?"

    def _customer(self, name: str, catalogue: Catalogue) -> Storefront:
        """Who takes this step: one customer per channel, and those who come for one thing alone."""
        channel = CHANNEL_OF.get(name, "web")
        who = name if name in BY_THEMSELVES else channel
        if who not in self._customers:
            # Not the client that prepared: staff may have signed in there.
            self._customers[who] = self._driver.for_channel(channel)(
                TracingClient(self._new_client(), self._client),
                channel=channel, catalogue=catalogue, rng=self._rng,
                visit=Visit(customer=f"{self._run_id}-{who}", signed_in=name in BY_THEMSELVES),
            )  # fmt: skip
        return self._customers[who]

    def _step(self, name: str, catalogue: Catalogue) -> Step:
        customer = self._customer(name, catalogue)
        action = getattr(customer, name, None)
        if not callable(action):
            return Step(name, name in CORE, "missing", _no_method(customer, name))
        if name in ORDERING and not self._orders:
            return Step(name, False, "skipped", "it would place an order (--no-orders)")
        wanted = STEP_INPUTS[name] if name in STEP_INPUTS else _without_defaults(action)
        missing = self._missing_inputs(name, wanted)
        if missing:
            return Step(name, name in CORE, "skipped", missing)
        for attempt in range(OTHER_SKUS_TRIED):
            if attempt:
                self._found.skus.insert(0, catalogue.draw_sku(self._rng))
            given = self._given(name, wanted)
            step = self._try(name, partial(self._do, name, customer, given))
            if step.result != "refused" or not {"sku", "lines"} & set(wanted):
                break
        return step

    def _missing_inputs(self, name: str, wanted: tuple[str, ...]) -> str:
        """Why a step cannot be tried; empty if it can."""
        for parameter in wanted:
            if parameter in WHY_LACKING and not getattr(self._found, parameter):
                return WHY_LACKING[parameter]
            if parameter not in WHY_LACKING and parameter not in ("sku", "key", "lines"):
                return f"the probe does not know what to give for {parameter!r}"
        if name in NEEDS_BASKET and not self._found.in_basket:
            return "it needs a full basket, and add_to_basket did not work"
        return ""

    def _given(self, name: str, wanted: tuple[str, ...]) -> list[Any]:
        found = self._found
        before, _, number = found.key.rpartition(":")
        found.key = f"{before}:{int(number) + 1}"
        lines = found.lines if name == "checkout" and found.lines else (BasketLine(found.skus[0], 1, 0),)
        values = {
            "sku": found.skus[0], "key": found.key, "lines": lines,
            "ref": found.ref, "collected": found.collected, "question": found.question,
        }  # fmt: skip
        return [values[parameter] for parameter in wanted]

    def _do(self, name: str, customer: Storefront, given: list[Any]) -> str:
        action = getattr(customer, name)
        try:
            inspect.signature(action).bind(*given)
        except TypeError as error:
            wants = ", ".join(STEP_INPUTS.get(name, ()))
            raise TypeError(f"{name} must take ({wants}), as journeys call it; {error}") from None
        if name == "collect_checkout":
            customer.add_to_basket(given[1][0].sku)  # type: ignore[attr-defined]
        return self._note(name, action(*given), given)

    def _note(self, name: str, got: Any, given: list[Any]) -> str:
        """Check what a step returned and keep it for later ones; returns it in words."""
        wanted = STEP_OUTPUTS.get(name)
        if wanted is not None and not isinstance(got, wanted):
            raise TypeError(f"{name} returned {type(got).__name__}; it must return a {wanted.__name__}")
        found = self._found
        if isinstance(got, Listing):
            found.skus = list(got.skus) or found.skus
            return f"{len(got.skus)} products"
        if isinstance(got, Basket):
            return f"{sum(got.units.values())} units"
        if isinstance(got, Product):
            found.lines = (BasketLine(got.sku, 1, got.price_pence),)
            state = "in stock" if got.available else "not in stock"
            return f"{got.sku}, {got.price_pence / 100:.2f}, {state}"
        if isinstance(got, Order):
            if name == "collect_checkout":
                found.collected = got.ref
            else:
                found.ref = got.ref
            found.placed.append((given[0], got))
            return f"order {got.ref}, {got.total_pence / 100:.2f}"
        if name == "ask":
            found.question = got
        if name == "open_questions":
            found.question = next(iter(got), found.question)
            return f"{len(got)} questions"
        if name == "add_to_basket":
            found.in_basket = True
            if given[0] not in (line.sku for line in found.lines):
                found.lines = (BasketLine(given[0], 1, 0),)  # not the product that was looked at last
        return ""

    def _staff_steps(self, catalogue: Catalogue) -> Iterator[Step]:
        """What `freshness` needs of staff, with the product that is bought least; each change is put back."""
        (sku,) = least_popular(catalogue, 1)
        customer: Any = self._customer("product", catalogue)
        for act, needed in (
            (self._change_price, STAFF_STEPS["price"]),
            (self._change_stock, STAFF_STEPS["stock"]),
        ):
            if not overrides(self._driver, *needed):
                continue
            if self._orders:
                yield self._try(needed[0], partial(act, customer, sku))
            else:
                yield Step(needed[0], False, "skipped", "it would change a product (--no-orders)")

    def _change_price(self, customer: Any, sku: str) -> str:
        before = customer.product(sku).price_pence
        try:
            told = self._driver.change_price(self._client, sku, before + 1)
            pence = before + 1 if told is None else told
            at_once = customer.product(sku).price_pence == pence
        finally:
            self._driver.change_price(self._client, sku, before)
        return f"{sku}, {before / 100:.2f} to {pence / 100:.2f} and back, {_shown(at_once)}"

    def _change_stock(self, customer: Any, sku: str) -> str:
        units = self._driver.stock_on_hand(self._client, sku)
        try:
            self._driver.change_stock(self._client, sku, 0)
            at_once = not customer.product(sku).available
        finally:
            self._driver.change_stock(self._client, sku, units)
        return f"{sku}, {units} units to none and back, {_shown(at_once)}"

    def _books(self, started_unix_s: float) -> Step:
        """Whether the ledger has the orders of this visit, which is what the audit after a run needs."""

        def compare() -> str:
            read = ledger_since(self._driver, self._client, since_unix_s=started_unix_s)
            if read is None:
                return "this shop shows no books: orders cannot be audited"
            books, _ = read
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
            count = len(self._found.placed)
            return f"the ledger has {count} of {count} orders of this visit"

        return self._try("read_ledger", compare)

    def _try(self, name: str, act: Callable[[], Any]) -> Step:
        self._client.exchanges.clear()
        core = name in CORE or name == "prepare"
        result, cause, told = "ok", "", ""
        try:
            said = act()
            told = said if isinstance(said, str) else ""
        except Rejected as refusal:
            result, cause = ("refused" if refusal.expected else "failed"), refusal.cause
            told = " ".join(refusal.detail.split())
        except WaitingRoomError as queued:
            result, cause, told = "failed", "waiting_room", str(queued)
        except Exception as error:  # noqa: BLE001  a driver in the making may fail in any way; say where
            result, cause = "broken", type(error).__name__
            told = f"{error}{place_in_driver(error)}"
        seen = tuple(self._client.exchanges)
        hint = hint_for(cause, seen[-1], self._url) if seen and result in ("failed", "broken") else ""
        return Step(name, core, result, told[:300], cause, hint, seen)


def _shown(at_once: bool) -> str:
    return "shown at once" if at_once else "not shown at once"


def _without_defaults(action: Callable[..., Any]) -> tuple[str, ...]:
    """What a step of the driver's own asks for."""
    parameters = inspect.signature(action).parameters.values()
    return tuple(one.name for one in parameters if one.default is one.empty)


def _no_method(customer: Storefront, name: str) -> str:
    """What to say of a step that is not there; a method of nearly that name is probably meant to be it."""
    own = [known for known in dir(customer) if not known.startswith("_") and known not in STEP_INPUTS]
    near = get_close_matches(name, own, n=1, cutoff=0.75)
    return f"the driver has no such method; is it {near[0]}?" if near else "the driver has no such method"


def _sold(catalogue: Catalogue) -> str:
    counts = (len(catalogue.skus), len(catalogue.categories), len(catalogue.search_terms))
    return "{} products, {} categories, {} search terms".format(*counts)
