"""Which recorded requests each step of the driver sends, and why the others are left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from doorbuster.output.secret_masking import MASK
from doorbuster.storefronts.har.answer_patterns import (
    PRICES,
    finds_all,
    first_match,
    path_to_all,
    path_with_key,
    price_in,
)
from doorbuster.storefronts.har.recorded_request import LeftOut, RecordedRequest, RecordedVisit
from doorbuster.storefronts.har.steps import (
    ORDER_OF_STEPS,
    changes_something,
    changing_step,
    is_tracking,
    match_steps,
    operation_of,
    reading_step,
    undoes,
    variables_of,
)
from doorbuster.storefronts.har.vocabulary import PRODUCT, SKUS

LISTINGS = ("home", "category", "search")
_ENDINGS = (".html", ".htm", ".php", ".aspx", ".json", ".js")


@dataclass(slots=True)
class VisitPlan:
    """Positions in `visit.requests` that each step sends, in order; the last one answers the step.

    pages: forms that are filled in from the page fetched before. sku: the recorded product as the shop's
    addresses name it. confirmation: the page that says thank you, where the order's answer has no number.
    """

    visit: RecordedVisit
    steps: dict[str, list[int]]
    sku: str
    forms: set[int] = field(default_factory=set)
    pages_of_forms: set[int] = field(default_factory=set)
    confirmation: int | None = None

    def step_of(self, place: int) -> str:
        return next((step for step, places in self.steps.items() if place in places), "")


def plan_of(visit: RecordedVisit) -> VisitPlan:
    requests = visit.requests
    places = {request.number: place for place, request in enumerate(requests)}
    anchors = {step: places[request.number] for step, request in match_steps(visit).items()}
    sku = _sku_of(requests, anchors)
    plan = VisitPlan(visit, {}, sku)
    for step in ORDER_OF_STEPS:
        if step in anchors and step not in ("checkout_page", "checkout"):
            plan.steps[step] = _with_its_page(requests, step, anchors[step], sku)
    order = anchors.get("checkout")
    if order is not None:
        _plan_checkout(plan, anchors, order)
    elif "checkout_page" in anchors:
        plan.steps["checkout_page"] = [anchors["checkout_page"]]
    adding = anchors.get("add_to_basket")
    if adding is not None and _has_token(requests, adding, sku):
        page = plan.steps.get("product", [None])[-1]
        if page is not None and requests[page].answer.is_html:
            plan.forms.add(adding)
            plan.pages_of_forms.add(page)
    return plan


def left_out(plan: VisitPlan, used: set[int]) -> list[LeftOut]:
    """What of the shop's requests no step sends, and why."""
    found = []
    for place, request in enumerate(plan.visit.requests):
        if place not in used:
            operation = operation_of(request)
            name = f" ({operation.name})" if operation is not None and operation.name else ""
            what = f"{request.method} {request.shown_path}{name}"
            found.append(LeftOut(what, _reason(plan, request)))
    return found


def _reason(plan: VisitPlan, request: RecordedRequest) -> str:
    if is_tracking(request):
        return "it reports what the visitor does"
    changing = changes_something(request)
    step = changing_step(request) if changing else reading_step(request)
    if step in plan.steps:
        return f"it repeats the step {step}"
    if changing:
        return "it changes something, but no step of the visit needs it"
    return "no step needs what it reads"


# ---- the product


def _sku_of(requests: Sequence[RecordedRequest], anchors: dict[str, int]) -> str:
    """The product as its page is addressed, or as it goes into the basket where it has no page."""
    for step in ("product", "add_to_basket"):
        if step not in anchors:
            continue
        request = requests[anchors[step]]
        operation = operation_of(request)
        named = list(variables_of(operation.variables)) if operation is not None else list(request.fields)
        found = [
            str(value) for name, value in named if name.lower() in SKUS and value not in ("", None, MASK)
        ]
        in_path = [unquote(part) for part in request.path.split("/") if part]
        if found and operation is None and (not in_path or is_script(in_path[-1])):
            return found[0]  # /product.php?id=7
        listed = [value for value in (*found, *in_path[-1:]) if _is_listed(requests, without_ending(value))]
        if (
            step == "product"
            and operation is None
            and in_path
            and not (found and listed and listed[0] in found)
        ):
            return without_ending(listed[0] if listed else in_path[-1])
        if listed or found:
            return without_ending((listed or found)[0])
    return ""


def is_script(segment: str) -> bool:
    """Whether a segment is a program, or says what kind of thing its parameters name."""
    return segment.endswith((".php", ".asp", ".aspx", ".jsp", ".do")) or segment.lower() in PRODUCT


def without_ending(segment: str) -> str:
    ending = next((one for one in _ENDINGS if segment.endswith(one)), "")
    return segment.removesuffix(ending)


def link_pattern(request: RecordedRequest, value: str) -> str:
    """The pattern of links like a request, with any other word in place of the value; "" if it has none."""
    segments = request.path.split("/")
    places = [n for n, part in enumerate(segments) if value and without_ending(unquote(part)) == value]
    if not places:
        named = next((name for name, one in request.query if value and one == value), "")
        return f'href="[^"<>]{{0,300}}[?&;]{re.escape(named)}=([^"&#<>]{{1,200}})' if named else ""
    stem = segments[places[-1]]
    before, ending = "/".join(segments[: places[-1]]), stem[len(without_ending(stem)) :]
    after = "".join(f"/{part}" for part in segments[places[-1] + 1 :])
    start, tail = re.escape(before), re.escape(ending + after)
    return f'href="(?:https?://[^/"]{{1,200}})?{start}/([^"/?#]{{1,200}}){tail}["?#]'


def _is_listed(requests: Sequence[RecordedRequest], value: str) -> bool:
    """Whether a page or an answer lists the product under this name."""
    return any(
        path_to_all(one.json_answer, value) if one.json_answer is not None else _mentions(one, value)
        for one in requests
        if reading_step(one) in LISTINGS
    )


def _mentions(request: RecordedRequest, value: str) -> bool:
    text = request.answer.text
    return any(f"{before}{value}{after}" in text for before in '/"=' for after in "/\"'?.&")


# ---- what a step sends


def _with_its_page(requests: Sequence[RecordedRequest], step: str, anchor: int, sku: str) -> list[int]:
    """The request that answers the step, and before it the page that a browser opened for it."""
    same = [place for place, one in enumerate(requests)
            if not changes_something(one) and (place == anchor or reading_step(one) == step)]  # fmt: skip
    paths = (path_to_all(one.json_answer, sku) for one in requests if one.json_answer is not None)
    key = next((str(path[-1]) for path in paths if path), "")
    telling = [place for place in same if _tells(requests[place], step, sku, key)]
    if step in (*LISTINGS, "product") and telling and anchor not in telling:
        return (
            [anchor, telling[0]]
            if requests[anchor].is_page and anchor < telling[0] and not requests[telling[0]].is_page
            else [telling[0]]
        )
    return [anchor]


def _tells(request: RecordedRequest, step: str, sku: str, key: str) -> bool:
    """Whether the answer has what the step is for. key: what lists call the product's name, if known."""
    answer, text = request.json_answer, request.answer.text
    if step == "product":
        return price_in(answer) is not None if answer is not None else bool(first_match(PRICES, text))
    if answer is not None:
        return finds_all(answer, path_to_all(answer, sku)) > 0 or (
            bool(key) and bool(path_with_key(answer, key))
        )
    return bool(sku) and _mentions(request, sku)


def _plan_checkout(plan: VisitPlan, anchors: dict[str, int], order: int) -> None:
    """The page, and everything from there that the order needs: address, delivery, payment."""
    requests = plan.visit.requests
    first = anchors.get("checkout_page", anchors.get("add_to_basket", order))
    flow = [
        place for place in range(first, order)
        if changes_something(requests[place]) and not is_tracking(requests[place])
        and place != anchors.get("add_to_basket")
        and _belongs_to_checkout(requests[place], after_page="checkout_page" in anchors)
    ]  # fmt: skip
    start = [anchors["checkout_page"]] if "checkout_page" in anchors else []
    sent = list(start)
    for place in (*flow, order):
        if _has_token(requests, place, plan.sku):
            plan.forms.add(place)
            page = _page_before(requests, sent[-1] if sent else -1, place)
            if page is not None and page not in sent:
                sent.append(page)
                plan.pages_of_forms.add(page)
            elif sent:
                plan.pages_of_forms.add(sent[-1])
        sent.append(place)
    plan.steps["checkout_page"] = sent[:-1]
    if not plan.steps["checkout_page"]:
        del plan.steps["checkout_page"]
    plan.steps["checkout"] = [order]
    plan.confirmation = next(
        (place for place in range(order + 1, len(requests)) if _is_opened(requests[place])),
        None,
    )  # fmt: skip


def _belongs_to_checkout(request: RecordedRequest, *, after_page: bool) -> bool:
    step = changing_step(request)
    if step == "add_to_basket" or undoes(request):
        return False
    return after_page or step == "checkout" or request.as_json


def _is_opened(request: RecordedRequest) -> bool:
    return request.is_page and request.method == "GET" and not request.is_redirected


def _page_before(requests: Sequence[RecordedRequest], last: int, form: int) -> int | None:
    """The page that was opened by hand between two forms, to find the second one.

    The first page after a form is where the form led, so it is not fetched again.
    """
    pages = [place for place in range(last + 1, form) if _is_opened(requests[place])]
    led = last >= 0 and requests[last].method == "POST"
    found = (pages[1:] if led else pages)[-1:]
    return found[0] if found else None


def _has_token(requests: Sequence[RecordedRequest], place: int, sku: str) -> bool:
    """Whether a form has a field whose value only its page knows.

    A field that holds an idempotency key is not one: the customer's own key goes there.
    """
    request = requests[place]
    if request.body.kind != "form":
        return False
    if any(value == MASK for name, value in request.fields if not is_idempotency(name) and _is_token(name)):
        return True
    hidden = [(name, value) for name, value in request.body.value
              if len(value) >= 16 and any(letter.isdigit() for letter in value) and value != sku
              and " " not in value and "@" not in value and not is_idempotency(name)]  # fmt: skip
    return any(
        f'"{value}"' in one.answer.text for _, value in hidden for one in requests[:place] if one.is_page
    )


def _is_token(name: str) -> bool:
    return any(word in name.lower() for word in ("token", "csrf", "xsrf", "nonce", "signature", "secret"))


def is_idempotency(name: str) -> bool:
    return "idempot" in name.lower()
