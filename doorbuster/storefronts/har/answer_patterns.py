"""What a page or a JSON answer shows that a driver needs: products, price, stock, order number and total.

Each candidate is tried on the recorded answer; the first one that finds something is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from doorbuster.storefronts.answers import ALL, all_at

_MONEY = r"[£$€]\s?(\d[\d.,]*)"
PRICES = (
    r'"price":\s*"?(\d+(?:\.\d+)?)"?',
    r'itemprop="price"[^<>]{0,200}content="([\d.,]+)"',
    r'content="([\d.,]+)"[^<>]{0,200}itemprop="price"',
    r'price:amount"\s+content="([\d.,]+)"',
    r'data-price="([\d.,]+)"',
    r'class="[^"<>]{0,100}price[^"<>]{0,100}"[^<>]{0,200}>[^\d<]{0,20}(\d[\d.,]*)',
    _MONEY,
    r"(\d[\d.,]*)\s?€",
)
STOCK = r"(?i)(in[ _-]?stock)|out[ _-]?of[ _-]?stock|sold[ _-]?out"  # the first of them is the product's
_NUMBER = r"(?:<[^<>]{0,200}>\s*){0,4}#?((?=[A-Z-]{0,12}\d)[A-Z0-9][A-Z0-9-]{2,40})"
ORDER_NUMBERS = (
    r'data-order-(?:ref|number|id)="([^"<>]{1,80})"',
    rf"(?i)order\s*(?:number|no\.?|reference|ref\.?|id)?\s*(?:is|was|:|#|-)?\s*{_NUMBER}",
    rf"(?i)(?:bestell|auftrags)(?:ung|nummer)?\s*(?:nr\.?|nummer)?\s*:?\s*{_NUMBER}",
)
TOTALS = (
    (r'data-total-pence="(\d+)"', True),
    (rf"(?i)total[^£$€<>]{{0,40}}(?:<[^<>]{{0,99}}>[^£$€<>\d]{{0,40}}){{0,6}}{_MONEY}", False),
)
_MINOR = re.compile(r"pence|cents|minor|withtax|priceint", re.IGNORECASE)
_PRICE_KEYS = ("price_pence", "pricewithtax", "price", "unit_price", "amount", "value",
               "final_price", "min")  # fmt: skip
_STOCK_KEYS = ("availability", "in_stock", "instock", "available", "is_in_stock", "stock_status",
               "stocklevel", "stock", "is_available", "availableforsale", "is_available_to_buy")  # fmt: skip
_ORDER_KEYS = ("order_ref", "orderref", "order_number", "ordernumber", "increment_id", "reference", "number",
               "order_id", "orderid", "display_id", "code", "id")  # fmt: skip
_TOTAL_KEYS = ("total_pence", "totalwithtax", "grand_total", "total_incl_tax", "order_total", "total_price",
               "totalprice", "total", "amount")  # fmt: skip
Path = tuple[str | int, ...]


class Found(NamedTuple):
    """Where a value stands in a JSON answer. is_minor: in the currency's smallest unit."""

    path: Path
    value: Any
    is_minor: bool = False


def first_match(patterns: tuple[str, ...], text: str) -> str:
    """The first pattern that matches; "" for none."""
    return next((pattern for pattern in patterns if text and re.search(pattern, text)), "")


def attribute_with(text: str, value: str) -> str:
    """A pattern for the attribute of pages that holds a product's id; "" for none."""
    found = re.search(rf'\b(data-[\w-]{{1,60}}|value)="{re.escape(value)}"', text)
    return f'{re.escape(found[1])}="([^"<>]{{1,200}})"' if found else ""


def path_to_all(answer: Any, value: str) -> Path:
    """The path to a value in a list of things, with `ALL` for the list; () for none."""
    for path, found in leaves(answer):
        if str(found) == value:
            at_list = [n for n, step in enumerate(path) if isinstance(step, int)]
            if at_list:
                return (*path[: at_list[-1]], ALL, *path[at_list[-1] + 1 :])
    return ()


def path_with_key(answer: Any, key: Any) -> Path:
    """The path to a value of this name in a list of things; () for none."""
    for path, _ in leaves(answer):
        if path and path[-1] == key and len(path) > 1 and isinstance(path[-2], int):
            return (*path[:-2], ALL, key)
    return ()


def finds_all(answer: Any, path: Path) -> int:
    return len(all_at(answer, *path)) if answer is not None and path else 0


def price_in(answer: Any) -> Found | None:
    return _by_key(answer, _PRICE_KEYS, numeric=True)


def stock_in(answer: Any) -> Found | None:
    return _by_key(answer, _STOCK_KEYS)


def order_in(answer: Any) -> Found | None:
    return _by_key(answer, _ORDER_KEYS)


def total_in(answer: Any) -> Found | None:
    return _by_key(answer, _TOTAL_KEYS, numeric=True)


def _by_key(answer: Any, keys: tuple[str, ...], *, numeric: bool = False) -> Found | None:
    """The value whose own or parent key comes first in `keys`; the shallowest of several."""
    best: tuple[int, int, Found] | None = None
    for path, value in leaves(answer):
        if numeric and (isinstance(value, bool) or not _is_number(value)):
            continue
        names = [step for step in path if isinstance(step, str)]
        own = names[-1].lower() if names else ""
        if own not in keys or sum(isinstance(step, int) for step in path) > 1:
            continue
        rank = (keys.index(own), len(path))
        if best is None or rank < best[:2]:
            minor = isinstance(value, int) or any(_MINOR.search(name) for name in names)
            best = (*rank, Found(path, value, is_minor=minor and not isinstance(value, float)))
    return best[2] if best else None


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return re.fullmatch(r"[£$€]?\s?\d[\d.,]{0,20}", value) is not None
    return isinstance(value, int | float)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, number))
    else:
        yield path, value
