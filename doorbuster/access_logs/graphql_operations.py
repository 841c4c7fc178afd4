"""GraphQL in a log: every request goes to one address, so the name of its operation tells the page.

- The name is in the query of the address (`?operationName=`), behind it (/graphql/ProductPage), or in a field
  of its own, which the reader of the log turns into a query.
- A page asks for several things at once. Of reading operations of one visitor without a second between them,
  the one that tells most stands for the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.page_paths import VARIABLE
from doorbuster.storefronts.har import vocabulary as words_for

OPERATION_ROUTE = "?operationName="
_ADDRESS_ENDS = {"graphql", "gql", "graphql.json", "graphql.php"}
_ROUTES = (OPERATION_ROUTE, "?op=", "?operation=")
_NAME = re.compile(r"[A-Za-z_]\w{0,80}")
_IN_BODY = re.compile(r'"operationName"\s*:\s*"([A-Za-z_]\w{0,80})"')
_IN_TEXT = re.compile(r"\b(?:query|mutation)\s+([A-Za-z_]\w{0,80})\s*[({@]")
_READS = {"get", "fetch", "load", "list", "view", "query", "page"}
_PLACES = {"place", "complete", "submit", "confirm", "finalize"}
_SIGN_IN = {"login", "authenticate", "signin"}
TELLING = (
    "search", "product", "category", "checkout_page", "home", "order_status", "basket", "other",
)  # fmt: skip


def operation_in(value: object) -> str:
    """The name in a field of a log: the name itself, or a body or query text that has one; else ""."""
    text = value if isinstance(value, str) else ""
    if _NAME.fullmatch(text):
        return text
    found = _IN_BODY.search(text[:4096]) or _IN_TEXT.search(text[:4096])
    return found[1] if found else ""


def operation_of_address(template: str, route: str) -> str | None:
    """The operation that an address names; "" if one of GraphQL names none; None for any other address."""
    parts = [part for part in template.lower().split("/") if part]
    is_graphql = bool(parts) and parts[-1] in _ADDRESS_ENDS
    named = next((route.removeprefix(start) for start in _ROUTES if route.startswith(start)), "")
    if route.startswith(OPERATION_ROUTE) or (is_graphql and named):
        return named
    if len(parts) > 1 and parts[-2] in _ADDRESS_ENDS and parts[-1] != VARIABLE:
        return template.rpartition("/")[2]
    return "" if is_graphql else None


def changes_something(name: str) -> bool:
    words = _words(name)
    return bool(set(words) & words_for.CHANGING_WORDS | set(words) & _SIGN_IN) and words[0] not in _READS


def kind_of_operation(name: str) -> str:
    """The kind of page; "payment" for a payment, which is the order where nothing else places it."""
    words = set(_words(name))
    if words & words_for.TRACKING:
        return "ignore"
    return _changing(words) if changes_something(name) else _reading(words)


def _changing(words: set[str]) -> str:
    if words & _SIGN_IN and "out" not in words:
        return "sign_in"
    if words & words_for.UNDO or words & (words_for.ABOUT_DELIVERY - {"customer"}):
        return "other"
    if "add" in words and words & (words_for.GOODS | words_for.BASKET):
        return "add_to_basket"
    if words & words_for.BASKET and "create" in words and not words & _PLACES:
        return "add_to_basket"
    if words & _PLACES and words & (words_for.ORDER | words_for.BASKET):
        return "checkout"
    if words & {"payment", "pay"}:
        return "payment"
    return "checkout" if {"create", "order"} <= words or words == {"checkout"} else "other"


def _reading(words: set[str]) -> str:
    if words & words_for.SEARCH and not words & words_for.SUGGEST:
        return "search"
    if words & words_for.CHECKOUT_PAGE:
        return "checkout_page"
    if words & words_for.BASKET or {"active", "order"} <= words:
        return "basket"
    if words & {"order", "orders"}:
        return "order_status"
    if words & (words_for.SUGGEST | words_for.BESIDE_PRODUCT):
        return "ignore"
    categories = words & (words_for.CATEGORY | {"products", "list", "listing", "plp"}) - {"shop", "c", "cat"}
    if words & {"product", "pdp", "variant"} and not categories:
        return "product"
    if categories:
        return "category"
    return "home" if words & {"home", "homepage", "bestsellers", "landing"} else "other"


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)] or [""]


def telling_ranks(pages: Iterable[tuple[str, str, str]]) -> NDArray[np.int64]:
    """For each page, of a template, route and kind, its place in `TELLING`; -1 for no reading operation."""
    found = []
    for template, route, kind in pages:
        name = operation_of_address(template, route)
        is_reading = name is not None and kind in TELLING and not changes_something(name)
        found.append(TELLING.index(kind) if is_reading else -1)
    return np.array(found, np.int64)
