"""What each step of a driver takes and returns, in the order of a visit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from doorbuster.storefronts import Listing, Order, Product, Storefront

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


def never_runs(action: object) -> str:
    """Why a call of a function would run nothing of it; empty if a call runs it."""
    function = inspect.unwrap(action) if callable(action) else action
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return "is written with async def, so a call runs nothing of it"
    return "contains yield, so a call runs nothing of it" if inspect.isgeneratorfunction(function) else ""


def takes_inputs(name: str, action: Callable[..., Any]) -> bool:
    """Whether a method takes what journeys give to the step of its name, rather than something else."""
    if name not in STEP_INPUTS:
        return True
    wanted, given = STEP_INPUTS[name], parameters_of(action)
    try:
        inspect.signature(action).bind(*wanted)
    except TypeError:
        return False
    return all(_is_alike(one, other) for one, other in zip(wanted, given, strict=False))


def _is_alike(wanted: str, given: str) -> bool:
    """Whether a parameter may have this meaning: `order_ref` may be `ref`, and `response` may not."""
    wanted = "ref" if wanted == "collected" else wanted
    return given == "args" or wanted in given or given in wanted


def parameters_of(action: Callable[..., Any]) -> tuple[str, ...]:
    """The parameters of a step that only the driver knows."""
    parameters = inspect.signature(action).parameters.values()
    return tuple(one.name for one in parameters if one.default is one.empty)


def no_method_text(customer: Storefront, name: str) -> str:
    """The text for a missing step, with the method of a similar name, if any."""
    own = [known for known in dir(type(customer)) if known[0] != "_" and known not in STEP_INPUTS]
    own = [known for known in own if not hasattr(Storefront, known)]
    same = [known for known in own if known.lower().replace("_", "") == name.replace("_", "")]
    if same:
        return f"the driver has {same[0]}; steps are written in lower case with _: {name}"
    near = get_close_matches(name, own, n=1, cutoff=0.75)
    return f"the driver has no such method; is it {near[0]}?" if near else "the driver has no such method"
