"""Values in answers: JSON by path, hidden fields and meta tags of pages, prices as people write them.

Each helper raises `Rejected` where an answer does not have what a shop that works would send, so that a
holding page with status 200 counts as a failure of the shop and not of the driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any, Final

from doorbuster.storefronts.base import Rejected
from doorbuster.storefronts.http import HttpResponse

ALL: Final = "*"
"""In a path: every element of a list, or every value of an object."""
_EXCERPT = 200
_TAG = re.compile(r"<(?:input|meta|button)\b[^<>]{0,2000}>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_AMOUNT = re.compile(r"\d[\d.,'\u00a0\u202f ]*\d|\d")
_NO_DECIMALS = re.compile(r"[.,'\u00a0\u202f ](?=\d{3}(?!\d))")


def json_of(response: HttpResponse) -> Any:
    """The JSON value of an answer.

    Raises: Rejected (unexpected_content) if it is something else, such as a holding page; (graphql_error, or
    the error's own code) for a GraphQL answer that says no with status 200.
    """
    try:
        value = response.json()
    except ValueError as error:
        raise Rejected("unexpected_content", response.text[:_EXCERPT]) from error
    if isinstance(value, dict) and value.get("errors") and "data" in value:
        raise Rejected("graphql_error", str(value["errors"])[:_EXCERPT])
    if isinstance(value, dict) and isinstance(value.get("data"), dict):
        _refuse_error_types(value["data"])
    return value


def _refuse_error_types(data: dict[str, Any]) -> None:
    """Raise Rejected for a mutation that was answered with an error type, or with a list of errors."""
    for result in data.values():
        if not isinstance(result, dict):
            continue
        listed = next(
            (result[key] for key in ("userErrors", "errors", "user_errors") if result.get(key)), None
        )
        code = result.get("errorCode") or (
            listed[0].get("code") if isinstance(listed, list) and isinstance(listed[0], dict) else None
        )
        if code or listed or str(result.get("__typename", "")).endswith("Error"):
            cause = re.sub(r"\W+", "_", str(code or result.get("__typename") or "graphql_error")).lower()
            sold_out = "stock" in cause
            raise Rejected("sold_out" if sold_out else cause[:60], str(result)[:_EXCERPT], expected=sold_out)


def at(value: Any, *path: str | int) -> Any:
    """The value at a path of keys and list positions. Raises: Rejected (missing_value) if there is none."""
    found = value
    for step in path:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            where = "/".join(map(str, path))
            raise Rejected("missing_value", f"nothing at {where} in {str(value)[:_EXCERPT]}") from None
    if found is None:
        raise Rejected("missing_value", f"null at {'/'.join(map(str, path))}")
    return found


def all_at(value: Any, *path: str | int) -> tuple[Any, ...]:
    """Every value at a path that may hold `ALL`, each once; empty if there is none."""
    return tuple(dict.fromkeys(one for one in _walk(value, path) if isinstance(one, str | int | float)))


def _walk(value: Any, path: tuple[str | int, ...]) -> Iterator[Any]:
    if not path:
        yield value
        return
    first, rest = path[0], path[1:]
    if first == ALL and isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _walk(one, rest)
        return
    try:
        inner = value[first]
    except (KeyError, IndexError, TypeError):
        return
    yield from _walk(inner, rest)


def field_value(response: HttpResponse, name: str) -> str:
    """The value of a hidden field or meta tag of this name. Raises: Rejected (page_without_field)."""
    for tag in _TAG.findall(response.text):
        attributes = {key.lower(): value.strip("\"'") for key, value in _ATTRIBUTE.findall(tag)}
        if name in (attributes.get("name"), attributes.get("property"), attributes.get("id")):
            return unescape(attributes.get("value", attributes.get("content", "")))
    raise Rejected("page_without_field", f"no field {name}: {response.text[:_EXCERPT]}")


def text_between(text: str, before: str, after: str) -> str:
    """What stands between two texts, such as an id in an address. Raises: Rejected (missing_value)."""
    start = text.find(before)
    end = text.find(after, start + len(before)) if start >= 0 and after else len(text)
    if start < 0 or end < 0:
        raise Rejected("missing_value", f"nothing between {before!r} and {after!r}: {text[:_EXCERPT]}")
    return text[start + len(before) : end]


def pence_of(amount: Any, *, digits: int = 2) -> int:
    """A price in the currency's smallest unit: "£1,299.00", "1.299,00 €" and 1299.0 are 129900.

    Args: digits: of the currency after the decimal point: 0 for yen, 3 for dinars.

    Raises: Rejected (missing_price) if there is no number.
    """
    factor = int(10**digits)
    if isinstance(amount, int | float) and not isinstance(amount, bool):
        return round(amount * factor)
    found = _AMOUNT.search(str(amount))
    if found is None:
        raise Rejected("missing_price", str(amount)[:_EXCERPT])
    text = found[0]
    whole, _, decimals = text.rpartition(max(".", ",", key=text.rfind))
    if not whole or (len(decimals) == 3 and digits != 3):
        whole, decimals = _NO_DECIMALS.sub("", text), ""
    units = int(re.sub(r"\D", "", whole) or 0) * factor
    return units + (int(decimals[:digits].ljust(digits, "0")) if decimals and digits else 0)
