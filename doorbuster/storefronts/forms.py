"""Reads the forms of a page: their action and their hidden and preset fields.

Most shops put a hidden token into each form and refuse a submission without it, so a driver reads the form
from the current page, as a browser does. It uses regular expressions, because parsing a page of 50 kB would
cost the generator milliseconds; forms built by scripts are not seen.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import urljoin

from doorbuster.storefronts.base import Rejected, Storefront
from doorbuster.storefronts.http import HttpResponse

_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.DOTALL | re.IGNORECASE)
_INPUT = re.compile(r"<input\b([^>]*)>", re.IGNORECASE)
_TEXT = re.compile(r"<textarea\b([^>]*)>(?:\r?\n)?(.*?)</textarea>", re.DOTALL | re.IGNORECASE)
_SELECT = re.compile(r"<select\b([^>]*)>(.*?)</select>", re.DOTALL | re.IGNORECASE)
_OPTION = re.compile(r"<option\b([^>]*)>([^<]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_NOT_SENT = frozenset({"submit", "button", "image", "reset", "file", "checkbox", "radio"})


@dataclass(frozen=True, slots=True)
class Form:
    """`action`: the absolute URL it is sent to; `fields`: what it would send unchanged."""

    action: str
    fields: dict[str, str]


def submit(shop: Storefront, page: HttpResponse, fields: dict[str, str], *, to: str = "") -> HttpResponse:
    """Fill in a form of the page and send it with its hidden fields; returns the page it leads to.

    Raises: Rejected if there is no such form, or if the response is an error.
    """
    form = form_on(page, to=to)
    # Over https, some frameworks check the referrer of a form.
    return shop.fetch("POST", form.action, data={**form.fields, **fields}, headers={"Referer": page.url})


def form_on(page: HttpResponse, *, to: str = "") -> Form:
    """The first POST form of a page whose action contains `to`; without `to`, the first POST form.

    A form without an action is sent to its page; it is used when no other form matches.

    Raises: Rejected (page_without_form) if there is none: this is not the expected page.
    """
    itself: Form | None = None
    for found in _FORM.finditer(page.text):
        attributes = _attributes(found[1])
        if attributes.get("method", "get").lower() != "post":
            continue
        action = attributes.get("action", "")
        form = Form(urljoin(page.url, action), _filled(found[2]))
        if action and to in action:
            return form
        itself = itself or (None if action else form)
    if itself is None:
        raise Rejected("page_without_form", f"no form to {to or 'anywhere'}: {page.text[:200]}")
    return itself


def _filled(inner: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for found in _INPUT.finditer(inner):
        attributes = _attributes(found[1])
        chosen = re.search(r"\bchecked\b", found[1]) is not None
        if "name" in attributes and (chosen or attributes.get("type", "text").lower() not in _NOT_SENT):
            fields[attributes["name"]] = attributes.get("value", "on" if chosen else "")
    for found in _TEXT.finditer(inner):
        fields[_attributes(found[1]).get("name", "")] = unescape(found[2])
    for found in _SELECT.finditer(inner):
        options = _OPTION.findall(found[2])
        chosen_ones = [option for option in options if re.search(r"\bselected\b", option[0])]
        for attributes_of, text in (chosen_ones or options)[:1]:
            value = _attributes(attributes_of).get("value", unescape(text.strip()))
            fields[_attributes(found[1]).get("name", "")] = value
    fields.pop("", None)
    return fields


def _attributes(text: str) -> dict[str, str]:
    return {
        name.lower(): unescape(value[1:-1] if value[0] in "\"'" else value)
        for name, value in _ATTRIBUTE.findall(text)
    }
