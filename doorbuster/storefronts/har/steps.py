"""Which step of a visit each recorded request was, told from addresses, operations and what was answered.

Words are looked up in the segments of the path, in query parameters that route (`?wc-ajax=add_to_cart`) and
in the names of GraphQL operations. A segment counts as a basket only if all its words fit ("shopping-cart"
does, "tote-bag" of a category does not).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from doorbuster.storefronts.har.recorded_request import RecordedRequest, RecordedVisit
from doorbuster.storefronts.har.vocabulary import (
    ABOUT_DELIVERY,
    BASKET,
    BESIDE_PRODUCT,
    CATEGORIES,
    CATEGORY,
    CATEGORY_IDS,
    CHANGING_WORDS,
    CHECKOUT_PAGE,
    EVENT_FIELDS,
    FILLERS,
    GOODS,
    ORDER,
    PLACES,
    PRODUCT,
    ROUTING,
    SEARCH,
    SKUS,
    SUGGEST,
    TERMS,
    THANKS,
    TRACKING,
    UNDO,
)

ORDER_OF_STEPS = (
    "home", "category", "search", "product", "add_to_basket", "basket", "checkout_page", "checkout",
)  # fmt: skip
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+")
_OPERATION = re.compile(r"\s*(?:#[^\n]{0,200}\n\s*)*(query|mutation|subscription)\b\s*(\w{1,80})?")
_ROOT_FIELD = re.compile(r"\{\s*(?:\w{1,80}\s*:\s*)?(\w{1,80})")
_PRODUCT_MARK = re.compile(
    r'"@type"\s*:\s*"Product"|schema\.org/Product|og:type"\s+content="(?:og:)?product', re.IGNORECASE
)


class Operation(NamedTuple):
    """A GraphQL operation. text: "" for a persisted query."""

    name: str
    is_change: bool
    text: str
    variables: Any


def operation_of(request: RecordedRequest) -> Operation | None:
    """The GraphQL operation that a request asks for; of a batch the first that changes something."""
    body = request.body.value if request.body.kind == "json" else dict(request.query)
    calls = [one for one in (body if isinstance(body, list) else [body]) if isinstance(one, dict)]
    found = [operation for one in calls if (operation := _operation(one)) is not None]
    return next((one for one in found if one.is_change), found[0] if found else None)


def _operation(call: dict[str, Any]) -> Operation | None:
    text, name = call.get("query"), call.get("operationName")
    text = text if isinstance(text, str) and "{" in text else ""
    name = name if isinstance(name, str) else ""
    if not text and not (name and ("variables" in call or "extensions" in call)):
        return None
    head = _OPERATION.match(text)
    fields = _ROOT_FIELD.search(text)
    name = name or (head[2] if head and head[2] else "") or (fields[1] if fields else "")
    is_change = head[1] == "mutation" if head else not text and bool(set(_words(name)) & CHANGING_WORDS)
    return Operation(name[:80], is_change, text, call.get("variables"))


def changes_something(request: RecordedRequest) -> bool:
    operation = operation_of(request)
    if operation is not None:
        return operation.is_change
    return request.method in ("POST", "PUT", "PATCH", "DELETE")


def match_steps(visit: RecordedVisit) -> dict[str, RecordedRequest]:
    """The request that stands for each step, in the order of the visit."""
    requests = visit.requests
    changing = {one.number: changing_step(one) for one in requests}
    found: dict[str, RecordedRequest] = {}
    order = _order_among([one for one in requests if changing[one.number] == "checkout"], requests)
    if order is not None:
        found["checkout"] = order
    last = order.at_unix_s if order is not None else float("inf")
    for one in requests:
        step = "" if changes_something(one) else reading_step(one)
        if step and (step not in found or _is_better(one, found[step])) and one.at_unix_s <= last:
            found[step] = one
    products = {product_address(one) for one in requests if reading_step(one) == "product"}
    adding = [one for one in requests if changing[one.number] == "add_to_basket"]
    adding = adding or [one for one in requests if one.method == "POST" and one.path in products - {""}
                        and not is_tracking(one)]  # fmt: skip
    if adding:
        found["add_to_basket"] = max(adding, key=lambda one: (_names_product(one), -one.number))
    _fill_in_by_content(requests, found)
    return {step: found[step] for step in sorted(found, key=lambda step: _place(found[step]))}


def _place(request: RecordedRequest) -> tuple[float, int]:
    return request.at_unix_s, request.number


def product_address(request: RecordedRequest) -> str:
    return request.path if request.is_page else ""


def changing_step(request: RecordedRequest) -> str:
    """ "add_to_basket" or "checkout" for what changes something in the shop; otherwise ""."""
    segments = _segments(request)
    words = {word for segment in segments for word in segment}
    operation = operation_of(request)
    changing = changes_something(request)
    if is_tracking(request) or request.method == "DELETE" or (operation is not None and not changing):
        return ""
    adds = "add" in words or "tobasket" in words or "addtocart" in words
    if not changing and not (adds and request.method == "GET" and _is_kind(segments, BASKET)):
        return ""
    if words & UNDO:
        return ""
    if request.method in ("PUT", "PATCH"):
        known = "checkout" if _is_kind(segments, ORDER) else ""
        return "add_to_basket" if _is_kind(segments, BASKET) and adds else known
    if operation is not None:
        return _changing_operation(words)
    if any({name.lower() for name, _ in request.fields} & {"add-to-cart", "addtocart", "add_to_cart"}):
        return "add_to_basket"
    if _is_kind(segments, BASKET):
        return _changing_basket(request, segments, words)
    return "checkout" if _is_kind(segments, ORDER) else ""


def _changing_basket(request: RecordedRequest, segments: Sequence[Sequence[str]], words: set[str]) -> str:
    """What a request to a basket does: its address may end in what is added, ordered or said of delivery."""
    if words & (GOODS | {"add"}) and not words & PLACES - {"checkout"}:
        return "add_to_basket"
    if words & PLACES:
        return "checkout"
    is_bare = bool(segments) and set(segments[-1]) <= BASKET | FILLERS  # POST /cart, not POST /carts/17
    return "add_to_basket" if not words & ABOUT_DELIVERY and (is_bare or _names_product(request) > 1) else ""


def _changing_operation(words: set[str]) -> str:
    if "add" in words and words & (GOODS | BASKET) and not words & (ABOUT_DELIVERY | {"payment"}):
        return "add_to_basket"
    if words & BASKET and words & {"create"} and not words & PLACES:
        return "add_to_basket"
    places = words & (ORDER | {"place", "complete", "submit"})
    return "checkout" if places and not words & UNDO else ""


def is_tracking(request: RecordedRequest) -> bool:
    """Whether a request reports what the visitor does; it says "order" without being one."""
    words = {word for segment in _segments(request) for word in segment}
    host = set((urlsplit(request.origin).hostname or "").split(".")[:-2])
    if (words | host) & TRACKING:
        return True
    body = request.body.value
    names = {str(name).lower() for name in body} if isinstance(body, dict) else set()
    return bool(names & EVENT_FIELDS) and operation_of(request) is None


def undoes(request: RecordedRequest) -> bool:
    """Whether a request takes something back, or has to do with an account or a voucher."""
    words = {word for segment in _segments(request) for word in segment}
    return bool(words & UNDO) or request.method == "DELETE"


def reading_step(request: RecordedRequest) -> str:
    """The step of a request that only reads."""
    operation = operation_of(request)
    segments = _segments(request)
    words = {word for segment in segments for word in segment}
    if is_tracking(request) or (request.method != "GET" and operation is None):
        return ""
    if operation is not None:
        return _reading_operation(operation)
    if words & THANKS or ("add" in words and _is_kind(segments, BASKET)):
        return ""
    names = {name.lower() for name, value in request.query if value}
    ordering = _is_kind(segments, CHECKOUT_PAGE)
    sought = any(set(segment) & SEARCH for segment in segments) or names & set(TERMS)
    if sought and not words & SUGGEST and not _is_kind(segments, ORDER):
        return "search"
    if _is_kind(segments, BASKET):
        last = [segment for segment in segments if set(segment) & (BASKET | CHECKOUT_PAGE)][-1]
        return "basket" if set(last) & BASKET or not ordering else "checkout_page"
    if ordering:
        return "checkout_page"
    return _place_in_catalogue(request, segments, names)


def _place_in_catalogue(request: RecordedRequest, segments: Sequence[Sequence[str]], names: set[str]) -> str:
    kinds = [_kind(segment) for segment in segments]
    found = ""
    for kind, following in zip(kinds, [*kinds[1:], "end"], strict=False):
        if kind and following != "end":
            found = kind
    if segments and set(segments[-1]) & BESIDE_PRODUCT and found == "product":
        return ""
    if kinds and kinds[-1]:
        if names & set(CATEGORIES) or (kinds[-1] == "category" and names & set(CATEGORY_IDS)):
            return "category"
        if kinds[-1] == "product" and names & set(SKUS):
            return "product"
        if found == "category" or (kinds[-1] == "product" and not request.answer.is_html):
            return "category"
    if found:
        return found
    if names & set(CATEGORIES):
        return "category"
    return "home" if _is_root(segments) else ""


def _is_root(segments: Sequence[Sequence[str]]) -> bool:
    """Whether a path is that of a home page: /, /en, /en-gb/, /index.html, /api/home."""
    rest = [
        one for one in segments if not set(one) <= {"index", "home", "api", "v", "default", "html", "htm"}
    ]
    return not rest or (len(rest) == 1 and all(len(word) == 2 for word in rest[0]) and len(rest[0]) <= 2)


def _kind(segment: Sequence[str]) -> str:
    words = set(segment)
    if words <= CATEGORY | {"product", "products"} and words & CATEGORY:
        return "category"
    return (
        "product"
        if words and words <= PRODUCT | {"php", "detail", "details", "view"} and words & PRODUCT
        else ""
    )


def _reading_operation(operation: Operation) -> str:
    words = set(_words(operation.name))
    names = {name.lower() for name, value in variables_of(operation.variables) if value not in ("", None)}
    if words & SUGGEST:
        return ""
    if names & set(TERMS) or words & SEARCH:
        return "category" if names & set(CATEGORIES) and not names & set(TERMS) else "search"
    if "checkout" in words:
        return "checkout_page"
    if words & BASKET or {"active", "order"} <= words:
        return "basket"
    if words & {"product", "pdp"} and not words & {"category", "categories", "collection", "collections"}:
        return "" if words & BESIDE_PRODUCT else "product"
    if words & (CATEGORY | {"products", "listing", "plp"}):
        return "category" if names or words & {"products", "listing", "plp"} else ""
    return "home" if words & {"home", "homepage", "bestsellers"} else ""


def variables_of(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values inside JSON variables; a recording bounds their depth."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, dict):
            waiting += one.items()
        elif isinstance(one, list):
            waiting += [(name, inner) for inner in one]
        else:
            yield name, one


def _is_better(new: RecordedRequest, old: RecordedRequest) -> bool:
    """The first one stands for its step, but a page that was reached beats a redirect."""
    return old.is_redirected and not new.is_redirected


def _names_product(request: RecordedRequest) -> int:
    """Whether a request says which product: the one that only opens a basket does not."""
    operation = operation_of(request)
    values = operation.variables if operation is not None else [dict(request.fields)]
    names = {name.lower() for name, _ in variables_of(values)}
    segments = _segments(request)
    in_path = any(any(word.isdigit() for word in segment) for segment in segments[1:])
    return 2 * bool(names & set(SKUS) or any("qty" in name or "quantity" in name for name in names)) + in_path


def _order_among(
    candidates: Sequence[RecordedRequest], requests: Sequence[RecordedRequest]
) -> RecordedRequest | None:
    """The request that placed the order: the last one before the page that says thank you.

    Without such a page: the last one that was answered with something.
    """
    if not candidates:
        return None
    thanks = [one.number for one in requests if one.method == "GET" and _says_thanks(one.path)]
    before = [one for one in candidates if any(number > one.number for number in thanks)]
    if before:
        return before[-1]
    answered = [one for one in candidates if one.is_redirected or one.is_page or one.answer.text or
                "json" in one.answer.kind]  # fmt: skip
    return (answered or list(candidates))[-1]


def _says_thanks(path: str) -> bool:
    return any(set(_words(part)) & THANKS for part in unquote(path).split("/"))


def _fill_in_by_content(requests: Sequence[RecordedRequest], found: dict[str, RecordedRequest]) -> None:
    """Product and category pages whose addresses say nothing, such as /red-lamp.html: what they hold, or
    where they stand before the basket.
    """
    taken = {one.number for one in found.values()}
    adding = found.get("add_to_basket")
    unknown = [
        one for one in requests
        if one.is_page and one.method == "GET" and one.number not in taken and not one.is_redirected
        and not is_tracking(one) and not reading_step(one) and not _says_thanks(one.path)
        and (adding is None or _place(one) < _place(adding))
    ]  # fmt: skip
    first = min(map(_place, found.values()), default=(0.0, 0))
    if unknown and _place(unknown[0]) <= first and not _PRODUCT_MARK.search(unknown[0].answer.text):
        landed = unknown.pop(0)
        if "home" not in found and len(found) > 1:
            found["home"] = landed
    if "product" not in found and unknown:
        marked = [one for one in unknown if _PRODUCT_MARK.search(one.answer.text)]
        if marked or adding is not None:
            found["product"] = (marked or unknown)[-1]
            unknown.remove(found["product"])
    if "category" not in found and "product" in found:
        before = [one for one in unknown if _place(one) < _place(found["product"])]
        linked = [one for one in before if found["product"].path in one.answer.text]
        if linked or before:
            found["category"] = (linked or before)[-1]


def _segments(request: RecordedRequest) -> list[list[str]]:
    """The words of each segment of the address, and of operations and parameters that route."""
    path = unquote(request.path, errors="replace")
    found = [
        _words(re.sub(r"\.(php|html?|aspx?|jsp|do|json|js)$", "", part)) for part in path.split("/") if part
    ]
    for name, value in request.query:
        if name.lower() in ROUTING:
            found += [_words(part) for part in re.split(r"[/.|]", value)]
        elif name.lower() in ("add-to-cart", "add_to_cart"):
            found.append(_words(name))
    operation = operation_of(request)
    if operation is not None:
        found.append(_words(operation.name))
    return [words for words in found if words]


def _is_kind(segments: Sequence[Sequence[str]], kind: set[str]) -> bool:
    """Whether a segment speaks of one kind of thing and nothing else."""
    return any(
        set(segment) & kind and set(segment) <= kind | FILLERS | PLACES | ABOUT_DELIVERY
        for segment in segments
    )


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(text[:200])]
