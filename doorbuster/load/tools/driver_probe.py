"""Runs every step of a driver once and reports each result.

Rules
- The steps are those of journeys, in the order of a visit; a step gets what earlier steps found.
- A step gets the arguments of its name (`STEP_INPUTS`), by position, as in a journey. A method with other
  parameters is a helper of the driver, unless the shop cannot do without the step.
- Each class that `for_channel` returns is probed with all its steps.
- Steps with accounts and orders to be collected use a separate customer, so that their sessions do not mix.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from doorbuster.errors import TargetError
from doorbuster.load.exchange import UNREACHABLE
from doorbuster.load.freshness.product_edits import STAFF_STEPS, least_popular, overrides
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import Timeouts
from doorbuster.load.target.content_errors import content_error
from doorbuster.load.target.driver_lookup import driver_error, place_in_driver
from doorbuster.load.target.endpoint import TargetAccess
from doorbuster.load.target.shop_clock import ledger_since
from doorbuster.load.target.step_signatures import (
    NEEDS_BASKET,
    ORDERING,
    OWN_CUSTOMER,
    STEP_INPUTS,
    STEP_OUTPUTS,
    WHY_SKIPPED,
    no_method_text,
    parameters_of,
    takes_inputs,
)
from doorbuster.load.tools.probe_plan import ProbePlan
from doorbuster.load.tools.response_diagnosis import hint_for
from doorbuster.load.tools.tracing_client import ExchangeTrace, TracingClient
from doorbuster.output import exception_text, masked
from doorbuster.scenario import EVERY_STEP, Scenario
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

STAFF = "staff"
SKUS_TRIED = 3  # if one is sold out
STEP_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class ProbedStep:
    """The result of one step: ok, refused (an expected refusal), failed, broken (the driver raised), missing
    (the driver has no such method) or skipped (an earlier step did not return what it needs).

    channel: of the customer. hint: the probable reason, if the response is a known one.
    """

    channel: str
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
    """One visit; `steps` yields the result of each step, in the order of the visit.

    Args: orders: whether steps may order and change products. scenario: its channels, journeys and content
        rules are tried; without one, the channels and journeys that are built in.
    """

    def __init__(
        self,
        driver: type[Storefront],
        url: str,
        access: TargetAccess,
        *,
        orders: bool,
        scenario: Scenario | None = None,
    ) -> None:
        self._driver = driver
        self._orders = orders
        self._money = scenario.target.money.text_of if scenario else _plain_amount
        self._plan = ProbePlan.of(scenario)
        settings = access.settings(timeouts=Timeouts(total_s=STEP_LIMIT_S))
        self._new_client: Callable[[], HttpClient] = lambda: HttpClient(url, settings=settings)
        self._client = TracingClient(self._new_client())
        self._rng = Random(access.run_id)
        self._run_id = access.run_id
        self._state = ProbeState(key=f"{access.run_id}:probe:1")
        self._url = url
        self._customers: dict[tuple[str, str], Storefront] = {}
        self._channel = ""

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
        yield from self._classes()
        yield from self._walk_channels(box[0])
        yield from self._staff_steps(box[0])
        yield self._compare_ledger(started_unix_s)

    def _walk_channels(self, catalogue: Catalogue) -> Iterator[ProbedStep]:
        """All steps of the first channel's class, then those of each further class."""
        plan = self._plan
        probed: set[tuple[type[Storefront], str]] = set()
        for channel in plan.channels:
            self._state = replace(
                self._state, skus=[catalogue.draw_sku(self._rng)], lines=(), in_basket=False
            )
            for name in plan.steps:
                is_first = channel == plan.channels[0]
                where = plan.channel_of.get(name, channel) if is_first else channel
                kind = self._class_for(where)
                is_there = callable(getattr(kind, name, None)) and name not in plan.channel_of
                if (kind, name) in probed or not (is_first or is_there or plan.is_needed(name, where)):
                    continue
                probed.add((kind, name))
                self._channel = where
                yield self._step(name, where, catalogue)

    def _classes(self) -> Iterator[ProbedStep]:
        """The class of each channel, if there are several."""
        channels: dict[type[Storefront], list[str]] = {}
        for channel in dict.fromkeys((*self._plan.channels, *self._plan.channel_of.values())):
            channels.setdefault(self._class_for(channel), []).append(channel)
        if len(channels) > 1:
            text = "; ".join(f"{kind.__name__}: {', '.join(names)}" for kind, names in channels.items())
            yield ProbedStep("", "for_channel", False, "ok", text)

    def _class_for(self, channel: str) -> type[Storefront]:
        """Raises: AnalysisError if the driver returns something else."""
        kind = self._driver.for_channel(channel)
        if not (inspect.isclass(kind) and issubclass(kind, Storefront)):
            error = TypeError(f"must return a subclass of Storefront for {channel!r} (got {kind!r})")
            raise driver_error(self._driver, "for_channel", error)
        return kind

    def _unreachable(self, prepared: ProbedStep) -> str:
        reached = prepared.exchanges[-1].url if prepared.exchanges else self._url
        if prepared.exchanges and prepared.exchanges[-1].redirects:
            return f"{self._url} redirects to {reached}, which cannot be reached: {prepared.cause}"
        return f"{self._url} cannot be reached: {prepared.cause}; is the shop running?"

    def _customer(self, name: str, channel: str, catalogue: Catalogue) -> Storefront:
        """The customer of this step: one per channel, and one for each of OWN_CUSTOMER."""
        own = name if name in OWN_CUSTOMER else ""
        if (channel, own) not in self._customers:
            # A new client: staff may be signed in with the one that prepared.
            self._customers[channel, own] = self._class_for(channel)(
                TracingClient(self._new_client(), self._client),
                channel=channel, catalogue=catalogue, rng=self._rng,
                visit=Visit(customer=f"{self._run_id}-{channel}-{own or 'guest'}", signed_in=bool(own)),
            )  # fmt: skip
        return self._customers[channel, own]

    def _step(self, name: str, channel: str, catalogue: Catalogue) -> ProbedStep:
        is_core = self._plan.requires(name, channel)

        def unprobed(result: str, text: str, *, core: bool = is_core) -> ProbedStep:
            return ProbedStep(self._channel, name, core, result, text)

        if self._class_for(channel).open_session is not None:
            return unprobed("skipped", "uses a protocol of its own (open_session), and the probe speaks HTTP")
        try:
            customer = self._customer(name, channel, catalogue)
        except Exception as error:  # noqa: BLE001  the driver's __init__ may fail in any way; say where
            return replace(
                unprobed("broken", f"{exception_text(error)}{place_in_driver(error)}"),
                cause=type(error).__name__,
            )
        action = getattr(customer, name, None)
        if not callable(action):
            return unprobed("missing", no_method_text(customer, name))
        if not is_core and not takes_inputs(name, action):
            inputs = ", ".join(STEP_INPUTS[name])
            text = f"takes {inspect.signature(action)}, so it is not the step, which takes ({inputs})"
            return unprobed("helper", text)
        if name in ORDERING and not self._orders:
            return unprobed("skipped", "would place an order (--no-orders)", core=False)
        wanted = STEP_INPUTS[name] if name in STEP_INPUTS else parameters_of(action)
        missing = self._missing_inputs(name, wanted)
        if missing:
            return unprobed("skipped", missing)
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
        return self._keep(name, action(*given), given) + self._check_content(name)

    def _check_content(self, name: str) -> str:
        """Apply the scenario's content rules to the last response; returns their number as text.

        Raises: Rejected if the response violates one.
        """
        rules = [rule for rule in self._plan.rules if rule.step in (EVERY_STEP, name)]
        response = self._client.last_response
        if not rules or response is None:
            return ""
        allowed = ""
        for rule in rules:
            violation = rule.violation(response)
            other = rule.other_case(response)
            if violation is not None:
                more = f"the answer has {other!r}, and rules distinguish capital letters; " if other else ""
                raise Rejected(rule.cause, f"{more}{violation}")
            if other:
                allowed = f", although it has {other!r}: rules distinguish capital letters"
        return f" (meets {len(rules)} content rule{'s' * (len(rules) > 1)}{allowed})"

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
            return f"{got.sku}, {self._money(got.price_pence)}, {stock}"
        if isinstance(got, Order):
            if name == "collect_checkout":
                state.collected = got.ref
            else:
                state.ref = got.ref
            state.placed.append((given[0], got))
            return f"order {got.ref}, {self._money(got.total_pence)}"
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
        self._channel = STAFF
        customer: Any = self._customer("product", self._plan.channels[0], catalogue)
        for act, needed in (
            (self._change_price, STAFF_STEPS["price"]),
            (self._change_stock, STAFF_STEPS["stock"]),
        ):
            if not overrides(self._driver, *needed):
                continue
            if self._orders:
                yield self._try(needed[0], partial(act, customer, sku))
            else:
                yield ProbedStep(
                    self._channel, needed[0], False, "skipped", "would change a product (--no-orders)"
                )

    def _change_price(self, customer: Any, sku: str) -> str:
        before = customer.product(sku).price_pence
        try:
            rounded = self._driver.change_price(self._client, sku, before + 1)
            pence = before + 1 if rounded is None else rounded
            at_once = customer.product(sku).price_pence == pence
        finally:
            self._driver.change_price(self._client, sku, before)
        return f"{sku}, {self._money(before)} to {self._money(pence)} and back, {_shown(at_once)}"

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
                   else f"is in the ledger with {self._money(totals[key])}")
                for key, order in self._state.placed
                if totals.get(key) != order.total_pence
            ]  # fmt: skip
            if wrong:
                raise Rejected("ledger_differs", "; ".join(wrong))
            count = len(self._state.placed)
            return f"the ledger has {count} of {count} orders of this visit"

        return self._try("read_ledger", compare)

    def _try(self, name: str, act: Callable[[], Any]) -> ProbedStep:
        self._client.begin_step()
        core = name == "prepare" or self._plan.requires(name, self._channel)
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
                text = f"{exception_text(error)}{place_in_driver(error)}"
        seen = tuple(self._client.exchanges)
        hint = hint_for(cause, seen[-1], self._url) if seen and result in ("failed", "broken") else ""
        return ProbedStep(self._channel, name, core, result, masked(text)[:300], cause, hint, seen)


def _plain_amount(smallest_units: float) -> str:
    """An amount of a shop whose currency nobody stated."""
    return f"{smallest_units / 100:.2f}"


def _shown(at_once: bool) -> str:
    return "shown at once" if at_once else "not shown at once"


def _catalogue_text(catalogue: Catalogue) -> str:
    counts = (len(catalogue.skus), len(catalogue.categories), len(catalogue.search_terms))
    return "{} products, {} categories, {} search terms".format(*counts)
