"""The operations of an API in the order of a purchase.

An API does more than sell: returns, quotes, subscriptions. Of the operations that a step could be, the one
with the fewest words that have nothing to do with a purchase stands for it; other operations that
change something belong to the purchase only if they are about the same basket or order, or about payment or
delivery, and have no such word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from doorbuster.storefronts.har.recorded_request import Answer, RecordedRequest
from doorbuster.storefronts.har.request_body import RequestBody
from doorbuster.storefronts.har.steps import changing_step, reading_step
from doorbuster.storefronts.har.vocabulary import (
    BASKET,
    CATEGORY,
    FILLERS,
    GOODS,
    SEARCH,
    TERMS,
    every_word,
)
from doorbuster.storefronts.openapi.document import ApiDocument, ApiOperation

PARAMETER = re.compile(r"\{([^{}/]+)\}")
_READING = ("home", "category", "search", "product")
_LISTS_CATEGORIES = 0  # before a category, whose identifier it answers with
_NEW_BASKET, _ADDITION, _OTHER_READING, _OTHER_CHANGE, _CHECKOUT_PAGE, _CHECKOUT = 4, 5, 6, 7, 8, 10
_WORD = re.compile(r"[a-z]+")
_FORMAT = re.compile(r"(?<!/)\.?\{[^{}/]+\}/?$")  # /basket{format} beside /basket/
_AFTERWARDS = {
    "cancel",
    "cancellation",
    "return",
    "returns",
    "refund",
    "refunds",
    "state",
    "history",
    "status",
}
_PLAIN = {"v", "by", "for", "of", "all", "list", "id"}
_EXPLICIT = {"place", "complete", "checkout", "checkouts", "submit"}  # places the order beyond doubt


@dataclass(frozen=True, slots=True)
class _Placed:
    """An operation with its place in a purchase. strange: words of its path that no purchase needs."""

    number: int
    operation: ApiOperation
    stage: int
    words: frozenset[str]
    strange: int
    family: str

    @property
    def order(self) -> tuple[int, int, int, int]:
        parameters = self.operation.path.count("{")
        if self.stage == _CHECKOUT:  # the last one is the order
            doubt = self.strange + 2 * len(self.words & _AFTERWARDS) - bool(self.words & _EXPLICIT)
            return self.stage, -doubt, parameters, self.number
        return self.stage, self.strange, parameters, self.number


def purchase_order(document: ApiDocument) -> list[ApiOperation]:
    """The operations of a purchase in their order, then all that only read."""
    operations = list(document.operations())
    paths = {(one.method, _shape(one.path)) for one in operations}
    placed = [
        _placed(number, one, document) for number, one in enumerate(operations)
        if not _FORMAT.search(one.path) or (one.method, _shape(_FORMAT.sub("", one.path))) not in paths
    ]  # fmt: skip
    placed.sort(key=lambda one: one.order)
    order = next((one for one in reversed(placed) if one.stage == _CHECKOUT), None)
    addition = next((one for one in placed if one.stage == _ADDITION), None)
    families = {one.family for one in (order, addition) if one is not None}
    return [
        one.operation for one in placed
        if one in (order, addition) or not _changes(one) or _belongs(one, families)
    ]  # fmt: skip


def _shape(path: str) -> str:
    """A path without the names of its parameters."""
    return PARAMETER.sub("{}", path.rstrip("/"))


def _changes(one: _Placed) -> bool:
    return one.operation.method != "GET"


def _belongs(one: _Placed, families: set[str]) -> bool:
    """Whether an operation that changes something is part of the purchase that leads to the order."""
    if one.strange or one.words & _AFTERWARDS - {"state", "status"}:
        return False
    if one.operation.method != "POST" and one.words & GOODS:
        return False  # changes what is in the basket
    is_about = set(_WORD.findall(one.family)) & {"payment", "payments", "shipping", "delivery"}
    return one.family in families or one.stage == _NEW_BASKET or bool(is_about)


def _placed(number: int, operation: ApiOperation, document: ApiDocument) -> _Placed:
    segments = [part for part in PARAMETER.sub("", operation.path).lower().split("/") if part]
    words = frozenset(word for part in segments for word in _WORD.findall(part))
    strange = words - every_word() - _PLAIN
    if operation.method != "GET":
        strange |= words & SEARCH
    family = next((part for part in segments if not set(_WORD.findall(part)) <= FILLERS - {"customer"}), "")
    return _Placed(number, operation, _stage(operation, document, words), words, len(strange), family)


def _stage(operation: ApiOperation, document: ApiDocument, words: frozenset[str]) -> int:
    bare = _bare_request(operation, document.origin, filled_path(document, operation, {}))
    if operation.method == "GET":
        step = reading_step(bare)
        if step == "checkout_page":
            return _CHECKOUT_PAGE
        if step != "category" and words & CATEGORY and "{" not in operation.path:
            return _LISTS_CATEGORIES
        return _READING.index(step) if step in _READING else _OTHER_READING
    step = changing_step(bare)
    if step == "checkout":
        return _CHECKOUT
    has_parameters = "{" in operation.path
    if step == "add_to_basket":
        adds = has_parameters or words & GOODS or _names_goods(operation)
        return _ADDITION if adds else _NEW_BASKET
    return _NEW_BASKET if words & BASKET and not has_parameters else _OTHER_CHANGE


def _names_goods(operation: ApiOperation) -> bool:
    return bool(re.search(r"sku|product|variant|quantity|item", json.dumps(operation.body, default=str)))


def _bare_request(operation: ApiOperation, origin: str, path: str) -> RecordedRequest:
    query = tuple((str(one.get("name")), "x") for one in operation.parameters if one.get("in") == "query")
    terms = tuple(pair for pair in query if pair[0].lower() in TERMS)
    empty = Answer(200, "application/json")
    return RecordedRequest(
        0, operation.method, origin, path, terms, RequestBody(), {}, empty, 0.0, is_page=False
    )


def filled_path(document: ApiDocument, operation: ApiOperation, named: Mapping[str, str]) -> str:
    """The path with the values of its parameters; a number for those without one."""
    filled = PARAMETER.sub(lambda found: named.get(found[1], "471000"), operation.path)
    return quote(document.base_path + filled, safe="/%:@!$&()*+,;=~-._") or "/"
