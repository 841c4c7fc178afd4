"""Which step each request of a recorded visit was, and the driver that does the same: addresses and fields.

What a page must show to count as a success is not in a recording; the driver keeps the starter's rules for
that, and its comments say where to look. A form with a hidden token in it is taken from the page that the
customer is on, because no recording can know the token; a checkout of several pages fills in one after the
other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

from doorbuster.storefronts.har.recording import RecordedRequest, RecordedVisit
from doorbuster.storefronts.secrets import MASK

_BASKET = {"cart", "basket", "bag", "trolley"}
_ORDER = {"checkout", "order", "orders", "payment", "pay"}
_CATEGORY = {"category", "categories", "collection", "collections", "department", "departments", "c", "shop"}
_PRODUCT = {"product", "products", "p", "item", "items", "dp", "catalogue"}
_TERM = ("q", "query", "search", "term", "s", "keyword", "text")
_SKU = ("sku", "product", "product_id", "productid", "id", "item", "variant", "variant_id", "variantid")


class DraftChange(NamedTuple):
    """One place of the starter driver, and what the recording puts there."""

    old: str
    new: str


class Story(NamedTuple):
    """What was recorded. `way`: forms and pages from the checkout's first one to the form that orders."""

    steps: dict[str, RecordedRequest]
    way: tuple[RecordedRequest, ...]

    def has_token(self, step: str) -> bool:
        """Whether the form of a step had something in it that only its page can tell."""
        request = self.steps.get(step)
        return request is not None and not request.as_json and MASK in [value for _, value in request.fields]


def steps_of(visit: RecordedVisit) -> dict[str, RecordedRequest]:
    """Step -> the request that did it: the first of each, and of checkouts the last, which ordered."""
    found: dict[str, RecordedRequest] = {}
    for request in visit.requests:
        step = _step(request)
        if step and (step not in found or step == "checkout"):
            found[step] = request
    return found


def driver_text(template: str, visit: RecordedVisit) -> str:
    """The starter driver with the recording's addresses and fields in it."""
    steps = steps_of(visit)
    story = Story(steps, _way(visit))
    text = template
    made = (make(steps[step], story) for step, make in _CHANGES.items() if step in steps)
    changes = [change for some in made for change in some]
    for change in dict.fromkeys(changes):
        assert change.old in text, f"the starter driver has no {change.old!r}"
        text = text.replace(change.old, change.new)
    recorded = "\n".join(f"#   {step:<14} {request.method} {request.path}" for step, request in steps.items())
    missing = ", ".join(step for step in _CHANGES if step not in steps)
    remark = f"# Recorded at {visit.origin}:\n{recorded}\n"
    remark += f"# Not in the recording, so still the starter's: {missing}.\n" if missing else ""
    return text.replace("\nfrom __future__", f"\n{remark}\nfrom __future__", 1)


def _way(visit: RecordedVisit) -> tuple[RecordedRequest, ...]:
    """The forms that a checkout sends, and each page that somebody went to by hand to find the next one:
    the first page after a form is where the form led.
    """
    forms = [n for n, one in enumerate(visit.requests) if _step(one) == "checkout" and not one.as_json]
    way: list[RecordedRequest] = []
    for here, following in pairwise([*forms, None]):
        assert here is not None, "only the end of the list is none"
        way.append(visit.requests[here])
        between = visit.requests[here + 1 : following] if following is not None else ()
        pages = [one for one in between if one.is_page and one.method == "GET" and not one.sent_on]
        way.extend(pages[1:][-1:])
    return tuple(way)


def _step(request: RecordedRequest) -> str:
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


def _home(request: RecordedRequest, _: Story) -> list[DraftChange]:
    return [DraftChange('self.listing("/")', f'self.listing("{request.path}")')]


def _category(request: RecordedRequest, _: Story) -> list[DraftChange]:
    before, _word, after = _around_last_word(request.path)
    return [DraftChange('href="(/category/[a-z0-9-]+)"', f'href="({re.escape(before)}[\\w-]+{after})"')]


def _search(request: RecordedRequest, _: Story) -> list[DraftChange]:
    term = next((name for name, _ in request.fields if name.lower() in _TERM), "q")
    said = [str(value) for name, value in request.fields if name == term and value]
    changes = [DraftChange('f"/search?q={', f'f"{request.path}?{term}={{')]
    return [*changes, DraftChange(_STARTER_TERMS, f"terms = ({said[0]!r},)")] if said else changes


def _product(request: RecordedRequest, story: Story) -> list[DraftChange]:
    before, _word, after = _around_last_word(request.path)
    address = f'f"{before}{{sku}}{after}"'
    changes = [DraftChange('href="/product/([A-Za-z0-9-]+)"', f'href="{re.escape(before)}([\\w-]+){after}"')]
    if not story.has_token("add_to_basket"):
        return [*changes, DraftChange('f"/product/{sku}"', address)]
    return [
        *changes,
        DraftChange(
            _PRODUCT_PAGE, f'self.seen = self.fetch("GET", {address})\n        page = self.seen.text'
        ),
    ]


def _add_to_basket(request: RecordedRequest, story: Story) -> list[DraftChange]:
    if story.has_token("add_to_basket"):
        sent = _submit(request, {name: value for name, value in request.fields if value != MASK})
        return [DraftChange(_ADD, f"page = {sent}.text"), _FORMS_IMPORT]
    seen = _around_last_word(story.steps["product"].path)[1] if "product" in story.steps else None
    fields = ", ".join(
        f"{name!r}: sku" if str(value) == seen or name.lower() in _SKU else f"{name!r}: {value!r}"
        for name, value in request.fields
    )
    return [
        DraftChange(_ADD, f'page = self.fetch("POST", "{request.path}", {_how(request)}={{{fields}}}).text')
    ]


def _basket(request: RecordedRequest, _: Story) -> list[DraftChange]:
    return [DraftChange('self.fetch("GET", "/basket")', f'self.fetch("GET", "{request.path}")')]


def _checkout_page(request: RecordedRequest, story: Story) -> list[DraftChange]:
    """The page, and every form before the one that orders: address, delivery, payment."""
    if not story.has_token("checkout"):
        return [DraftChange('self.fetch("GET", "/checkout")', f'self.fetch("GET", "{request.path}")')]
    lines = [f'self.seen = self.fetch("GET", "{request.path}")']
    for one in story.way[:-1]:
        fields = {name: value for name, value in one.fields if value != MASK}
        page = f'self.fetch("GET", "{one.path}")' if one.method == "GET" else _submit(one, fields)
        lines.append(f"self.seen = {page}")
    return [DraftChange(_CHECKOUT_PAGE, "\n        ".join(lines))]


def _checkout(request: RecordedRequest, story: Story) -> list[DraftChange]:
    """The form as it was sent; the field that looks like a key gets the attempt's own."""
    key = next((name for name, _ in request.fields if "idempot" in name.lower()), "idempotency_key")
    by_form = story.has_token("checkout")
    fields: dict[str, Any] = {
        name: value for name, value in request.fields if name != key and not (by_form and value == MASK)
    }
    customer = (
        "CUSTOMER = {\n" + "".join(f"    {name!r}: {value!r},\n" for name, value in fields.items()) + "}"
    )
    sent = f"{{**CUSTOMER, {key!r}: key}}"
    if by_form:
        call = f"page = submit(self, self.seen, {sent}, to={_fixed(request.path)!r}).text"
        return [DraftChange(_ORDER_CALL, call), DraftChange(_STARTER_CUSTOMER, customer), _FORMS_IMPORT]
    call = f'page = self.fetch("POST", "{request.path}", {_how(request)}={sent}).text'
    return [DraftChange(_ORDER_CALL, call), DraftChange(_STARTER_CUSTOMER, customer)]


def _submit(request: RecordedRequest, fields: dict[str, Any]) -> str:
    """The call that fills in a form of the page seen last."""
    return f"submit(self, self.seen, {fields!r}, to={_fixed(request.path)!r})"


def _fixed(path: str) -> str:
    """The part of a form's address that is the same for every product: up to the first word with a digit."""
    words = path.split("/")
    kept = next((n for n, word in enumerate(words) if re.search(r"\d", word)), len(words))
    return path if kept == len(words) else "/".join(words[:kept]) + "/"


def _how(request: RecordedRequest) -> str:
    return "json" if request.as_json else "data"


_STARTER_IMPORT = (
    "from doorbuster.storefronts import "
    "Catalogue, Client, BasketLine, Listing, Order, Product, Rejected, Storefront"
)
_FORMS_IMPORT = DraftChange(
    _STARTER_IMPORT, f"{_STARTER_IMPORT}\nfrom doorbuster.storefronts.forms import submit"
)
_PRODUCT_PAGE = 'page = self.fetch("GET", f"/product/{sku}").text'
_ADD = 'page = self.fetch("POST", "/basket/add", data={"sku": sku, "quantity": "1"}).text'
_CHECKOUT_PAGE = (
    'if "idempotency_key" not in (page := self.fetch("GET", "/checkout").text):  # a checkout field\n'
    '            raise Rejected("checkout_without_form", page[:200])'
)
_ORDER_CALL = 'page = self.fetch("POST", "/checkout", data={**CUSTOMER, "idempotency_key": key}).text'
_STARTER_TERMS = 'terms = ("scarf", "lamp", "chair", "bowl", "towel")'
_STARTER_CUSTOMER = (
    'CUSTOMER = {"name": "Test Customer", "email": "test.customer@example.com",\n'
    '            "address": "1 Test Street, London", "postcode": "W1A 1AA"}  # fmt: skip'
)
_CHANGES: dict[str, Callable[[RecordedRequest, Story], list[DraftChange]]] = {
    "home": _home,
    "category": _category,
    "search": _search,
    "product": _product,
    "add_to_basket": _add_to_basket,
    "basket": _basket,
    "checkout_page": _checkout_page,
    "checkout": _checkout,
}
