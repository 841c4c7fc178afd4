"""Finds the step of each request in a recorded visit, and drafts a driver with its addresses and fields.

A recording does not contain what makes a page a success, so the draft keeps the starter's rules for that. A
form with a hidden token is filled in from the page that the customer is on, because a recorded token has
expired; a checkout of several pages fills in one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from string import Template
from typing import NamedTuple

from doorbuster.storefronts.har.recording import RecordedRequest, RecordedVisit
from doorbuster.storefronts.secrets import MASK

_BASKET = {"cart", "basket", "bag", "trolley"}
_ORDER = {"checkout", "order", "orders", "payment", "pay"}
_CATEGORY = {"category", "categories", "collection", "collections", "department", "departments", "c", "shop"}
_PRODUCT = {"product", "products", "p", "item", "items", "dp", "catalogue"}
_TERM = ("q", "query", "search", "term", "s", "keyword", "text")
_SKU = ("sku", "product", "product_id", "productid", "id", "item", "variant", "variant_id", "variantid")


Slots = dict[str, str]  # the code that fills each $name of the starter driver


class Story(NamedTuple):
    """What was recorded; `checkout` has its forms and pages, up to the form that orders."""

    steps: dict[str, RecordedRequest]
    checkout: tuple[RecordedRequest, ...]

    def has_token(self, step: str) -> bool:
        """Whether the form of a step has a field whose value only its page knows."""
        request = self.steps.get(step)
        return request is not None and not request.as_json and MASK in [value for _, value in request.fields]


def match_steps(visit: RecordedVisit) -> dict[str, RecordedRequest]:
    """The request of each step: the first one, but for checkouts the last one, which placed the order."""
    found: dict[str, RecordedRequest] = {}
    for request in visit.requests:
        step = _step(request)
        if step and (step not in found or step == "checkout"):
            found[step] = request
    return found


def driver_text(template: str, visit: RecordedVisit | None = None) -> str:
    """The starter driver; with a recording, its addresses and fields in place of the starter's."""
    slots = dict(STARTER)
    if visit is not None:
        steps = match_steps(visit)
        story = Story(steps, _checkout_requests(visit))
        for step, fill in _FILL.items():
            if step in steps:
                slots |= fill(steps[step], story)
        slots["remark"] = _remark(visit.origin, steps)
    return Template(template).substitute(slots)


def _remark(origin: str, steps: dict[str, RecordedRequest]) -> str:
    recorded = "\n".join(f"#   {step:<14} {request.method} {request.path}" for step, request in steps.items())
    missing = ", ".join(step for step in _FILL if step not in steps)
    remark = f"\n# Recorded at {origin}:\n{recorded}\n"
    return remark + f"# Not in the recording, unchanged from the starter: {missing}.\n" if missing else remark


def _checkout_requests(visit: RecordedVisit) -> tuple[RecordedRequest, ...]:
    """The forms that the checkout sends, and each page the visitor opened by hand to find the next form.

    The first page after a form is where the form led, so it is left out.
    """
    forms = [n for n, one in enumerate(visit.requests) if _step(one) == "checkout" and not one.as_json]
    found: list[RecordedRequest] = []
    for here, following in pairwise([*forms, None]):
        assert here is not None, "only the end of the list is none"
        found.append(visit.requests[here])
        between = visit.requests[here + 1 : following] if following is not None else ()
        pages = [one for one in between if one.is_page and one.method == "GET" and not one.is_redirected]
        found.extend(pages[1:][-1:])
    return tuple(found)


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


def _home(request: RecordedRequest, _: Story) -> Slots:
    return {"home_path": request.path}


def _category(request: RecordedRequest, _: Story) -> Slots:
    before, _word, after = _around_last_word(request.path)
    return {"category_link": f"({re.escape(before)}[\\w-]+{after})"}


def _search(request: RecordedRequest, _: Story) -> Slots:
    term = next((name for name, _ in request.fields if name.lower() in _TERM), "q")
    sought = [str(value) for name, value in request.fields if name == term and value]
    slots = {"search_path": f"{request.path}?{term}="}
    return {**slots, "search_terms": f"({sought[0]!r},)"} if sought else slots


def _product(request: RecordedRequest, story: Story) -> Slots:
    before, _word, after = _around_last_word(request.path)
    fetch = f'self.fetch("GET", f"{before}{{sku}}{after}")'
    return {
        "product_link": f"{re.escape(before)}([\\w-]+){after}",
        "fetch_product": f"self.seen = {fetch}\n        page = self.seen.text"
        if story.has_token("add_to_basket")
        else f"page = {fetch}.text",
    }


def _add_to_basket(request: RecordedRequest, story: Story) -> Slots:
    if story.has_token("add_to_basket"):
        return {"add_to_basket": _submit(request), "more_imports": _FORMS_IMPORT}
    seen = _around_last_word(story.steps["product"].path)[1] if "product" in story.steps else None
    fields = ", ".join(
        f"{name!r}: sku" if str(value) == seen or name.lower() in _SKU else f"{name!r}: {value!r}"
        for name, value in request.fields
    )
    return {"add_to_basket": f'self.fetch("POST", "{request.path}", {_body(request)}={{{fields}}})'}


def _basket(request: RecordedRequest, _: Story) -> Slots:
    return {"basket_path": request.path}


def _checkout_page(request: RecordedRequest, story: Story) -> Slots:
    """The page, and every form before the one that orders: address, delivery, payment."""
    if not story.has_token("checkout"):
        return {"fetch_checkout": _CHECKOUT_PAGE.format(request.path)}
    lines = [f'self.seen = self.fetch("GET", "{request.path}")']
    for one in story.checkout[:-1]:
        page = f'self.fetch("GET", "{one.path}")' if one.method == "GET" else _submit(one)
        lines.append(f"self.seen = {page}")
    return {"fetch_checkout": "\n        ".join(lines)}


def _checkout(request: RecordedRequest, story: Story) -> Slots:
    """The form as it was sent; the field that looks like an idempotency key gets the attempt's own key."""
    key = next((name for name, _ in request.fields if "idempot" in name.lower()), "idempotency_key")
    by_form = story.has_token("checkout")
    fields = {
        name: value for name, value in request.fields if name != key and not (by_form and value == MASK)
    }
    slots = {
        "customer": "{\n" + "".join(f"    {name!r}: {value!r},\n" for name, value in fields.items()) + "}"
    }
    sent = f"{{**CUSTOMER, {key!r}: key}}"
    if by_form:
        form = f"submit(self, self.seen, {sent}, to={_fixed(request.path)!r})"
        return {**slots, "place_order": form, "more_imports": _FORMS_IMPORT}
    return {**slots, "place_order": f'self.fetch("POST", "{request.path}", {_body(request)}={sent})'}


def _submit(request: RecordedRequest) -> str:
    """The call that fills in a form of the page fetched last."""
    fields = {name: value for name, value in request.fields if value != MASK}
    return f"submit(self, self.seen, {fields!r}, to={_fixed(request.path)!r})"


def _fixed(path: str) -> str:
    """The part of a form's address that all products share: up to the first word with a digit."""
    words = path.split("/")
    kept = next((n for n, word in enumerate(words) if re.search(r"\d", word)), len(words))
    return path if kept == len(words) else "/".join(words[:kept]) + "/"


def _body(request: RecordedRequest) -> str:
    return "json" if request.as_json else "data"


_FORMS_IMPORT = "\nfrom doorbuster.storefronts.forms import submit"
_CHECKOUT_PAGE = """\
if "idempotency_key" not in (page := self.fetch("GET", "{}").text):  # a checkout field
            raise Rejected("checkout_without_form", page[:200])"""
STARTER: Slots = {
    "remark": "",
    "more_imports": "",
    "customer": """{"name": "Test Customer", "email": "test.customer@example.com",
            "address": "1 Test Street, London", "postcode": "W1A 1AA"}  # fmt: skip""",
    "home_path": "/",
    "category_link": "(/category/[a-z0-9-]+)",
    "search_path": "/search?q=",
    "search_terms": '("scarf", "lamp", "chair", "bowl", "towel")',
    "product_link": "/product/([A-Za-z0-9-]+)",
    "fetch_product": 'page = self.fetch("GET", f"/product/{sku}").text',
    "add_to_basket": 'self.fetch("POST", "/basket/add", data={"sku": sku, "quantity": "1"})',
    "basket_path": "/basket",
    "fetch_checkout": _CHECKOUT_PAGE.format("/checkout"),
    "place_order": 'self.fetch("POST", "/checkout", data={**CUSTOMER, "idempotency_key": key})',
}
_FILL: dict[str, Callable[[RecordedRequest, Story], Slots]] = {
    "home": _home,
    "category": _category,
    "search": _search,
    "product": _product,
    "add_to_basket": _add_to_basket,
    "basket": _basket,
    "checkout_page": _checkout_page,
    "checkout": _checkout,
}
