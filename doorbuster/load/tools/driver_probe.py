"""Runs every step of a driver once and reports each result.

Rules
- The steps are those of journeys, in the order of a visit; a step gets what earlier steps found.
- A step gets the arguments of its name (`STEP_INPUTS`), by position, as in a journey.
- Steps with accounts and orders to be collected use a separate customer, so that their sessions do not mix.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from random import Random
from typing import Any

from doorbuster.errors import TargetError
from doorbuster.load.exchange import UNREACHABLE
from doorbuster.load.freshness.product_edits import STAFF_STEPS, least_popular, overrides
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings, Timeouts, host_names
from doorbuster.load.target.content_errors import content_error
from doorbuster.load.target.driver_lookup import place_in_driver
from doorbuster.load.target.endpoint import RUN_HEADER
from doorbuster.load.target.shop_clock import ledger_since
from doorbuster.load.tools.response_diagnosis import hint_for
from doorbuster.load.tools.tracing_client import ExchangeTrace, TracingClient
from doorbuster.output import masked
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
OWN_CUSTOMER = frozenset({"collect_checkout", "register", "sign_in", "reset_password"})
NEEDS_BASKET = frozenset({"basket", "checkout_page", "checkout"})
WHY_SKIPPED = {
    "ref": "needs an order, and none was placed",
    "collected": "needs an order for collection, and none was placed",
    "question": "needs a question, and none was asked",
}
SKUS_TRIED = 3  # if one is sold out
STEP_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ProbedStep:
    """The result of one step: ok, refused (an expected refusal), failed, broken (the driver raised), missing
    (the driver has no such method) or skipped (an earlier step did not return what it needs).

    hint: the probable reason, if the response is a known one.
    """

    step: str
    core: bool
    result: str
    text: str
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
    """One visit; `steps` yields the result of each step, in the order of the visit."""

    def __init__(
        self,
        driver: type[Storefront],
        url: str,
        *,
        orders: bool,
        run_id: str,
        hosts: Sequence[str] = (),
    ) -> None:
        self._driver = driver
        self._orders = orders
        settings = HttpSettings(
            headers={RUN_HEADER: run_id},
            timeouts=Timeouts(total_s=STEP_LIMIT_S),
            hosts=host_names(url, *hosts),
        )
        self._new_client: Callable[[], HttpClient] = lambda: HttpClient(url, settings=settings)
        self._client = TracingClient(self._new_client())
        self._rng = Random(run_id)
        self._run_id = run_id
        self._state = ProbeState(key=f"{run_id}:probe:1")
        self._url = url
        self._customers: dict[str, Storefront] = {}

    def steps(self) -> Iterator[ProbedStep]:
        """Raises: TargetError if the URL cannot be reached."""
        started_unix_s = time.time()
        box: list[Catalogue] = []
        prepared = self._try("prepare", lambda: box.append(self._driver.prepare(self._client)))
        if prepared.cause in UNREACHABLE:
            raise TargetError(self._unreachable(prepared))
        if not box:
            yield prepared
            return
        if not box[0].skus:
            text = "the driver found no products"
            yield replace(prepared, result="failed", cause="empty_assortment", text=text)
            return
        yield replace(prepared, text=_catalogue_text(box[0]))
        self._state.skus = [box[0].draw_sku(self._rng)]
        for name in dict.fromkeys((*STEP_INPUTS, *STEPS)):
            yield self._step(name, box[0])
        yield from self._staff_steps(box[0])
        yield self._compare_ledger(started_unix_s)

    def _unreachable(self, prepared: ProbedStep) -> str:
        reached = prepared.exchanges[-1].url if prepared.exchanges else self._url
        if prepared.exchanges and prepared.exchanges[-1].redirects:
            return f"{self._url} redirects to {reached}, which cannot be reached: {prepared.cause}"
        return f"{self._url} cannot be reached: {prepared.cause}; is the shop running?"

    def _customer(self, name: str, catalogue: Catalogue) -> Storefront:
        """The customer of this step: one per channel, and one for each of OWN_CUSTOMER."""
        channel = CHANNEL_OF.get(name, "web")
        key = name if name in OWN_CUSTOMER else channel
        if key not in self._customers:
            # A new client: staff may be signed in with the one that prepared.
            self._customers[key] = self._driver.for_channel(channel)(
                TracingClient(self._new_client(), self._client),
                channel=channel, catalogue=catalogue, rng=self._rng,
                visit=Visit(customer=f"{self._run_id}-{key}", signed_in=name in OWN_CUSTOMER),
            )  # fmt: skip
        return self._customers[key]

    def _step(self, name: str, catalogue: Catalogue) -> ProbedStep:
        customer = self._customer(name, catalogue)
        action = getattr(customer, name, None)
        if not callable(action):
            return ProbedStep(name, name in CORE, "missing", _no_method(customer, name))
        if name in ORDERING and not self._orders:
            return ProbedStep(name, False, "skipped", "would place an order (--no-orders)")
        wanted = STEP_INPUTS[name] if name in STEP_INPUTS else _without_defaults(action)
        missing = self._missing_inputs(name, wanted)
        if missing:
            return ProbedStep(name, name in CORE, "skipped", missing)
        for attempt in range(SKUS_TRIED):
            if attempt:
                self._state.skus.insert(0, catalogue.draw_sku(self._rng))
            given = self._arguments(name, wanted)
            step = self._try(name, partial(self._do, name, customer, given))
            if step.result != "refused" or not {"sku", "lines"} & set(wanted):
                break
        return step

    def _missing_inputs(self, name: str, wanted: tuple[str, ...]) -> str:
        """Why a step must be skipped; empty if it need not."""
        for parameter in wanted:
            if parameter in WHY_SKIPPED and not getattr(self._state, parameter):
                return WHY_SKIPPED[parameter]
            if parameter not in WHY_SKIPPED and parameter not in ("sku", "key", "lines"):
                return f"the probe has no value for the parameter {parameter!r}"
        if name in NEEDS_BASKET and not self._state.in_basket:
            return "needs a product in the basket, and add_to_basket did not work"
        return ""

    def _arguments(self, name: str, wanted: tuple[str, ...]) -> list[Any]:
        state = self._state
        before, _, number = state.key.rpartition(":")
        state.key = f"{before}:{int(number) + 1}"
        lines = state.lines if name == "checkout" and state.lines else (BasketLine(state.skus[0], 1, 0),)
        values = {
            "sku": state.skus[0], "key": state.key, "lines": lines,
            "ref": state.ref, "collected": state.collected, "question": state.question,
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
        return self._keep(name, action(*given), given)

    def _keep(self, name: str, got: Any, given: list[Any]) -> str:
        """Check the result of a step and keep it for later ones; returns its description."""
        wanted = STEP_OUTPUTS.get(name)
        if wanted is not None and not isinstance(got, wanted):
            raise TypeError(f"{name} returned {type(got).__name__}; it must return a {wanted.__name__}")
        state = self._state
        if isinstance(got, Listing):
            state.skus = list(got.skus) or state.skus
            return f"{len(got.skus)} products"
        if isinstance(got, Basket):
            return f"{sum(got.units.values())} units"
        if isinstance(got, Product):
            state.lines = (BasketLine(got.sku, 1, got.price_pence),)
            stock = "in stock" if got.available else "not in stock"
            return f"{got.sku}, {got.price_pence / 100:.2f}, {stock}"
        if isinstance(got, Order):
            if name == "collect_checkout":
                state.collected = got.ref
            else:
                state.ref = got.ref
            state.placed.append((given[0], got))
            return f"order {got.ref}, {got.total_pence / 100:.2f}"
        if name == "ask":
            state.question = got
        if name == "open_questions":
            state.question = next(iter(got), state.question)
            return f"{len(got)} questions"
        if name == "add_to_basket":
            state.in_basket = True
            if given[0] not in (line.sku for line in state.lines):
                state.lines = (BasketLine(given[0], 1, 0),)  # another product than the last one shown
        return ""

    def _staff_steps(self, catalogue: Catalogue) -> Iterator[ProbedStep]:
        """The staff's steps that `freshness` needs, on the least popular product; each edit is reverted."""
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
                yield ProbedStep(needed[0], False, "skipped", "would change a product (--no-orders)")

    def _change_price(self, customer: Any, sku: str) -> str:
        before = customer.product(sku).price_pence
        try:
            rounded = self._driver.change_price(self._client, sku, before + 1)
            pence = before + 1 if rounded is None else rounded
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

    def _compare_ledger(self, started_unix_s: float) -> ProbedStep:
        """Whether the ledger has the orders of this visit, as the audit of a run requires."""

        def compare() -> str:
            read = ledger_since(self._driver, self._client, since_unix_s=started_unix_s)
            if read is None:
                return "the driver exposes no ledger: orders cannot be audited"
            ledger, _ = read
            totals = {order.idempotency_key: order.total_pence for order in ledger.orders}
            wrong = [
                f"order {order.ref} "
                + ("is not in the ledger under its key" if key not in totals
                   else f"is in the ledger with {totals[key] / 100:.2f}")
                for key, order in self._state.placed
                if totals.get(key) != order.total_pence
            ]  # fmt: skip
            if wrong:
                raise Rejected("ledger_differs", "; ".join(wrong))
            count = len(self._state.placed)
            return f"the ledger has {count} of {count} orders of this visit"

        return self._try("read_ledger", compare)

    def _try(self, name: str, act: Callable[[], Any]) -> ProbedStep:
        self._client.exchanges.clear()
        core = name in CORE or name == "prepare"
        result, cause, text = "ok", "", ""
        try:
            returned = act()
            text = returned if isinstance(returned, str) else ""
        except Rejected as refusal:
            result, cause = ("refused" if refusal.expected else "failed"), refusal.cause
            text = " ".join(refusal.detail.split())
        except WaitingRoomError as queued:
            result, cause, text = "failed", "waiting_room", str(queued)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  a driver in the making may fail in any way; say where
            page = content_error(error, self._client.exchanges[-1].cause if self._client.exchanges else None)
            if page is not None:
                result, cause, text = "failed", page.cause, " ".join(page.detail.split())
            else:
                result, cause = "broken", type(error).__name__
                text = f"{error}{place_in_driver(error)}"
        seen = tuple(self._client.exchanges)
        hint = hint_for(cause, seen[-1], self._url) if seen and result in ("failed", "broken") else ""
        return ProbedStep(name, core, result, masked(text)[:300], cause, hint, seen)


def _shown(at_once: bool) -> str:
    return "shown at once" if at_once else "not shown at once"


def _without_defaults(action: Callable[..., Any]) -> tuple[str, ...]:
    """The parameters of a step that only the driver knows."""
    parameters = inspect.signature(action).parameters.values()
    return tuple(one.name for one in parameters if one.default is one.empty)


def _no_method(customer: Storefront, name: str) -> str:
    """The text for a missing step, with the method of a similar name, if any."""
    own = [known for known in dir(customer) if not known.startswith("_") and known not in STEP_INPUTS]
    near = get_close_matches(name, own, n=1, cutoff=0.75)
    return f"the driver has no such method; is it {near[0]}?" if near else "the driver has no such method"


def _catalogue_text(catalogue: Catalogue) -> str:
    counts = (len(catalogue.skus), len(catalogue.categories), len(catalogue.search_terms))
    return "{} products, {} categories, {} search terms".format(*counts)
