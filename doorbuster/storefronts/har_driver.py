"""Which step each request of a recorded visit was, and the driver that does the same: addresses and fields.

What a page must show to count as a success is not in a recording; the driver keeps the starter's rules for
that, and its comments say where to look.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from doorbuster.storefronts.har import Recorded, Visit

_BASKET = {"cart", "basket", "bag", "trolley"}
_ORDER = {"checkout", "order", "orders", "payment", "pay"}
_CATEGORY = {"category", "categories", "collection", "collections", "department", "departments", "c", "shop"}
_PRODUCT = {"product", "products", "p", "item", "items", "dp", "catalogue"}
_TERM = ("q", "query", "search", "term", "s", "keyword", "text")
_SKU = ("sku", "product", "product_id", "productid", "id", "item", "variant", "variant_id", "variantid")


class Change(NamedTuple):
    """One place of the starter driver, and what the recording puts there."""

    old: str
    new: str


def steps_of(visit: Visit) -> dict[str, Recorded]:
    """Step -> the request that did it: the first of each, and of checkouts the last, which ordered."""
    found: dict[str, Recorded] = {}
    for request in visit.requests:
        step = _step(request)
        if step and (step not in found or step == "checkout"):
            found[step] = request
    return found


def driver_text(template: str, visit: Visit) -> str:
    """The starter driver with the recording's addresses and fields in it."""
    steps = steps_of(visit)
    text = template
    for step, changes in _CHANGES.items():
        if step in steps:
            for change in changes(steps[step], steps):
                assert change.old in text, f"the starter driver has no {change.old!r}"
                text = text.replace(change.old, change.new)
    recorded = "\n".join(f"#   {step:<14} {request.method} {request.path}" for step, request in steps.items())
    missing = ", ".join(step for step in _CHANGES if step not in steps)
    remark = f"# Recorded at {visit.origin}:\n{recorded}\n"
    remark += f"# Not in the recording, so still the starter's: {missing}.\n" if missing else ""
    return text.replace("\nfrom __future__", f"\n{remark}\nfrom __future__", 1)


def _step(request: Recorded) -> str:
    words = {word for word in request.path.lower().split("/") if word}
    names = {name.lower() for name, _ in request.fields}
    if request.method == "POST":
        return "add_to_basket" if words & _BASKET else "checkout" if words & _ORDER else ""
    if request.method != "GET":
        return ""
    if "search" in words or (names & set(_TERM) and not words & _ORDER):
        return "search"
    for step, known in (("checkout_page", {"checkout"}), ("basket", _BASKET), ("category", _CATEGORY)):
        if words & known:
            return step
    if words & _PRODUCT and len(words) > 1:
        return "product"
    return "home" if request.path == "/" else ""


def _around_last_word(path: str) -> tuple[str, str, str]:
    """ "/product/T-100/" as "/product/", "T-100", "/"."""
    found = re.fullmatch(r"(.*/)([^/]+)(/?)", path)
    assert found is not None, "a path with a word in it"
    return found[1], found[2], found[3]


def _home(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    return [Change('self.listing("/")', f'self.listing("{request.path}")')]


def _category(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    before, _word, after = _around_last_word(request.path)
    return [Change('href="(/category/[a-z0-9-]+)"', f'href="({re.escape(before)}[\\w-]+{after})"')]


def _search(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    term = next((name for name, _ in request.fields if name.lower() in _TERM), "q")
    said = [str(value) for name, value in request.fields if name == term and value]
    changes = [Change('f"/search?q={', f'f"{request.path}?{term}={{')]
    return [*changes, Change('terms = ("scarf", ', f"terms = ({said[0]!r}, ")] if said else changes


def _product(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    before, _word, after = _around_last_word(request.path)
    return [
        Change('href="/product/([A-Za-z0-9-]+)"', f'href="{re.escape(before)}([\\w-]+){after}"'),
        Change('f"/product/{sku}"', f'f"{before}{{sku}}{after}"'),
    ]


def _add_to_basket(request: Recorded, steps: dict[str, Recorded]) -> list[Change]:
    seen = _around_last_word(steps["product"].path)[1] if "product" in steps else None
    fields = ", ".join(
        f"{name!r}: sku" if str(value) == seen or name.lower() in _SKU else f"{name!r}: {value!r}"
        for name, value in request.fields
    )
    return [
        Change(
            '"/basket/add", data={"sku": sku, "quantity": "1"}',
            f'"{request.path}", {_how(request)}={{{fields}}}',
        )
    ]


def _basket(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    return [Change('self.fetch("GET", "/basket")', f'self.fetch("GET", "{request.path}")')]


def _checkout_page(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    return [Change('self.fetch("GET", "/checkout")', f'self.fetch("GET", "{request.path}")')]


def _checkout(request: Recorded, _: dict[str, Recorded]) -> list[Change]:
    """The form as it was sent; the field that looks like a key gets the attempt's own."""
    key = next((name for name, _ in request.fields if "idempot" in name.lower()), "idempotency_key")
    fields: dict[str, Any] = {name: value for name, value in request.fields if name != key}
    customer = (
        "CUSTOMER = {\n" + "".join(f"    {name!r}: {value!r},\n" for name, value in fields.items()) + "}"
    )
    return [
        Change('"/checkout", data={**CUSTOMER, "idempotency_key": key}',
               f'"{request.path}", {_how(request)}={{**CUSTOMER, {key!r}: key}}'),
        Change(_STARTER_CUSTOMER, customer),
    ]  # fmt: skip


def _how(request: Recorded) -> str:
    return "json" if request.as_json else "data"


_STARTER_CUSTOMER = (
    'CUSTOMER = {"name": "Test Customer", "email": "test.customer@example.com",\n'
    '            "address": "1 Test Street, London", "postcode": "W1A 1AA"}  # fmt: skip'
)
_CHANGES: dict[str, Callable[[Recorded, dict[str, Recorded]], list[Change]]] = {
    "home": _home,
    "category": _category,
    "search": _search,
    "product": _product,
    "add_to_basket": _add_to_basket,
    "basket": _basket,
    "checkout_page": _checkout_page,
    "checkout": _checkout,
}
