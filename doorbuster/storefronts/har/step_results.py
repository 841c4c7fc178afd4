"""What each step of the drafted driver returns: products, prices, stock and orders, read where the recorded
answers show them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from doorbuster.storefronts.har.answer_patterns import (
    ORDER_NUMBERS,
    PRICES,
    STOCK,
    TOTALS,
    Found,
    Path,
    attribute_with,
    finds_all,
    first_match,
    order_in,
    path_to_all,
    path_with_key,
    price_in,
    stock_in,
    total_in,
)
from doorbuster.storefronts.har.recorded_request import RecordedRequest
from doorbuster.storefronts.har.source_code import literal
from doorbuster.storefronts.har.visit_plan import LISTINGS, VisitPlan, link_pattern

_USUAL_PRODUCT_LINK = r'href="/product/([A-Za-z0-9-]+)"'
_TOTAL_OF_LINES = "sum(line.quantity * line.unit_pence for line in lines)"


@dataclass(slots=True)
class StepResults:
    """The last lines of the methods. patterns: regular expressions they use, by their constants' names.

    to_do: what the recording does not show, for the person who reads the draft.
    """

    plan: VisitPlan
    patterns: dict[str, str] = field(default_factory=dict)
    to_do: dict[str, None] = field(default_factory=dict)
    product_link: str = ""
    product_path: Path = ()

    def __post_init__(self) -> None:
        self.product_link = self._product_link()
        self.product_path = self._path_of_products()

    # ---- listings

    def lists_products(self, step: str) -> bool:
        request = self._last(step)
        if request.json_answer is not None:
            return finds_all(request.json_answer, self._path_in(request.json_answer)) > 0
        text = request.answer.text
        if not text:  # a recording without answers is of pages; a description without them says nothing
            return self.plan.visit.source == "recording"
        return re.search(self.product_link, text) is not None

    def listing(self, step: str, name: str) -> list[str]:
        answer = self._last(step).json_answer
        if self.lists_products(step):
            if answer is not None:
                return [f"return self.listing(all_at(json_of({name}), {path_source(self._path_in(answer))}))"]
            self.patterns["PRODUCT_LINK"] = self.product_link
            return [f"return self.listing(tuple(PRODUCT_LINK.findall({name}.text)))"]
        if step != "home":
            self.note(f"{step}: the recorded answer does not list the product that was bought")
        return ["return Listing(())  # no product was recognised in the recorded answer"]

    def _path_in(self, answer: Any) -> Path:
        """Where an answer lists products: at the bought one, or where another answer has such a list."""
        own = path_to_all(answer, self.plan.sku)
        if own or not self.product_path:
            return own
        if finds_all(answer, self.product_path):
            return self.product_path
        return path_with_key(answer, self.product_path[-1])

    def _product_link(self) -> str:
        """How pages link to a product, or the attribute that holds its number."""
        texts = [self._last(step).answer.text for step in LISTINGS if step in self.plan.steps]
        places = self.plan.steps.get("product", [])
        page = next((self.plan.visit.requests[place] for place in places), None)
        if page is not None:
            pattern = link_pattern(page, self.plan.sku)
            if pattern and (not any(texts) or any(re.search(pattern, text) for text in texts)):
                return pattern
        found = next((one for text in texts if (one := attribute_with(text, self.plan.sku))), "")
        return found or _USUAL_PRODUCT_LINK

    def _path_of_products(self) -> Path:
        for step in LISTINGS:
            for place in self.plan.steps.get(step, ()):
                answer = self.plan.visit.requests[place].json_answer
                path = path_to_all(answer, self.plan.sku) if answer is not None else ()
                if path:
                    return path
        return ()

    # ---- product

    def product(self, name: str) -> list[str]:
        request = self._last("product")
        if request.json_answer is not None:
            return self._product_of_json(request.json_answer, name)
        text = request.answer.text
        pattern = first_match(PRICES, text)
        if not pattern:
            self.note("product: no price was recognised in the recorded page; correct PRICE")
        self.patterns["PRICE"] = pattern or PRICES[0]
        shown = re.search(STOCK, text)
        if (shown is None and text) or (shown is not None and shown[1] is None):
            stock, available = [], "True"
        else:
            self.patterns["STOCK"] = STOCK
            stock = [f"stock = STOCK.search({name}.text)"]
            available = "stock is None or stock[1] is not None"
        return [
            f"price = PRICE.search({name}.text)",
            "if price is None:",
            f'    raise Rejected("product_without_price", {name}.text[:200])',
            *stock,
            f"return Product(sku, pence_of(price[1]), available={available})",
        ]

    def _product_of_json(self, answer: Any, name: str) -> list[str]:
        price, stock = price_in(answer), stock_in(answer)
        available = "True" if stock is None else _in_stock(stock)
        if price is None:
            self.note("product: no price was recognised in the recorded answer; say where it stands")
            return [f"found = json_of({name})", f"return Product(sku, 0, available={available})"]
        return [
            f"found = json_of({name})",
            f"price = {_pence('found', price)}",
            f"available = {available}",
            "return Product(sku, price, available)",
        ]

    # ---- order

    def order(self, place: int, name: str, *, takes_key: bool) -> list[str]:
        """name: the variable with the answer, or with the page that says thank you."""
        if not takes_key:
            self.note(
                "checkout: send `key` where the shop's ledger keeps it, or an audit cannot match orders"
            )
        answer = self.plan.visit.requests[place].json_answer
        ref = order_in(answer) if answer is not None else None
        if ref is not None:
            total = total_in(answer)
            pence = _TOTAL_OF_LINES if total is None else _pence("order", total)
            return [
                f"order = json_of({name})",
                f"total = {pence}",
                f"return Order(str(at(order, {path_source(ref.path)})), total, lines)",
            ]
        return self._order_on_page(place, name)

    def needs_confirmation(self, place: int) -> bool:
        """Whether the order's number is on a page that is opened after the answer."""
        request = self.plan.visit.requests[place]
        known = request.json_answer is not None and order_in(request.json_answer) is not None
        return self.plan.confirmation is not None and not known and not request.is_redirected

    def _order_on_page(self, place: int, name: str) -> list[str]:
        confirmation = self.plan.confirmation
        page = self.plan.visit.requests[confirmation].answer.text if confirmation is not None else ""
        page = page or self.plan.visit.requests[place].answer.text
        number = first_match(ORDER_NUMBERS, page)
        if not number:
            self.note(
                f"checkout: no order number was recognised in the {self.plan.visit.source}; correct ORDER"
            )
        self.patterns["ORDER"] = number or ORDER_NUMBERS[0]
        rows = [
            f"found = ORDER.search({name}.text)",
            "if found is None:",
            f'    raise Rejected("order_without_reference", {name}.text[:200])',
        ]
        pattern, is_minor = next((one for one in TOTALS if page and re.search(one[0], page)), ("", False))
        if not pattern:
            return [*rows, f"return Order(found[1], {_TOTAL_OF_LINES}, lines)"]
        self.patterns["TOTAL"] = pattern
        pence = "int(total[1])" if is_minor else "pence_of(total[1])"
        return [
            *rows,
            f"total = TOTAL.search({name}.text)",
            "if total is None:",
            f'    raise Rejected("order_without_total", {name}.text[:200])',
            f"return Order(found[1], {pence}, lines)",
        ]

    def note(self, text: str) -> None:
        self.to_do[text] = None

    def _last(self, step: str) -> RecordedRequest:
        return self.plan.visit.requests[self.plan.steps[step][-1]]


def path_source(path: Iterable[Any]) -> str:
    """The arguments of `at` and `all_at` for a path."""
    return ", ".join("ALL" if step == "*" else literal(step) for step in path)


def _pence(variable: str, price: Found) -> str:
    value = f"at({variable}, {path_source(price.path)})"
    return f"int({value})" if price.is_minor else f"pence_of({value})"


def _in_stock(stock: Found) -> str:
    value = f"at(found, {path_source(stock.path)})"
    if isinstance(stock.value, bool):
        return f"bool({value})"
    if isinstance(stock.value, int | float):
        return f"{value} > 0"
    return f"{value} == {literal(stock.value)}"
