"""One recorded request as a call of the drafted driver, with what varies in place of what was recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from doorbuster.output.secret_masking import is_secret
from doorbuster.storefronts.base import Storefront
from doorbuster.storefronts.har.carried_values import PLAIN_KEYS, CarriedValues, Source
from doorbuster.storefronts.har.recorded_request import RecordedRequest, shown_text
from doorbuster.storefronts.har.source_code import (
    Code,
    identifier,
    literal,
    long_text,
    render,
    text_literal,
    text_of,
)
from doorbuster.storefronts.har.steps import ORDER_OF_STEPS, operation_of
from doorbuster.storefronts.har.visit_plan import VisitPlan, is_idempotency, without_ending
from doorbuster.storefronts.har.vocabulary import CATEGORY_IDS, SKUS, TERMS

_NOT_SENT = re.compile(
    r"sec-|accept|content-(?!type)|x-client-data|if-|cf-|x-forwarded|x-newrelic|x-datadog|proxy-"
    r"|(cookie|host|origin|referer|user-agent|connection|priority|cache-control|pragma|dnt|te|range"
    r"|upgrade-insecure-requests|save-data|traceparent|tracestate|sentry-trace|baggage|newrelic"
    r"|x-request-id|x-correlation-id|content-type)$"
)
_CSRF_COOKIES = {"x-xsrf-token": "XSRF-TOKEN", "x-csrftoken": "csrftoken"}
_CACHE_BUSTERS = {"_", "t", "ts", "timestamp", "cb", "cachebuster", "rnd", "random", "nocache"}
_CAMPAIGN = re.compile(r"utm_|gclid$|fbclid$|msclkid$|_ga$|_gl$|mc_[ce]id$")
_SCHEME = re.compile(r"(Bearer|Token|JWT)\s+(\S+)", re.IGNORECASE)
_SECRET_HEADER = re.compile(
    r"authorization|key|token|secret|signature|bypass|password|csrf|xsrf", re.IGNORECASE
)
_PATH_SAFE = "/%:@!$&()*+,;=~-._"
_ALWAYS_BEFORE: dict[str, set[str]] = {
    "category": {"home"},
    "search": {"home"},
    "product": {"home"},
    "add_to_basket": {"home", "category", "product"},
    "basket": {"home", "category", "product", "add_to_basket"},
    "checkout_page": {"home", "category", "product", "add_to_basket", "basket"},
    "checkout": {"home", "category", "product", "add_to_basket", "basket", "checkout_page"},
}  # in each journey of the starter's customers
_TAKEN = {
    *dir(Storefront), *ORDER_OF_STEPS, "seen", "sku", "key", "lines", "chosen_sku", "answer", "page", "found",
    "listing", "client", "channel", "catalogue", "rng", "visit",
}  # fmt: skip
_TAKEN_CONSTANTS = {
    "product_link",
    "price",
    "order",
    "total",
    "category_link",
    "search_terms",
    "stock",
    "all",
    "api",
}
_MAX_CALL = 95
_NO_BODY_BUT_NULL = 'data="null", headers={"Content-Type": "application/json"}'


@dataclass(slots=True)
class DriverParts:
    """What the calls need around them; filled while they are written.

    extracted: variables that are set from the answer of a request, by its position. variables: their names
    by the recorded value. supporting: requests
    that are sent first, by the position of the one that needs them. secrets: environment variables by the
    name of their constant. unknown: product numbers by value that no answer showed.
    """

    plan: VisitPlan
    values: CarriedValues
    prefix: str
    origins: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    extracted: dict[int, dict[str, Source]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    supporting: dict[int, list[int]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    category: str = ""
    keeps_sku: bool = False
    takes_key: bool = False
    uses_quote: bool = False
    names: set[str] = field(default_factory=lambda: set(_TAKEN))
    constant_names: set[str] = field(default_factory=lambda: set(_TAKEN_CONSTANTS))

    def constant(self, wanted: str, source: str) -> str:
        """The name of a module constant with this source."""
        known = next((name for name, one in self.constants.items() if one == source), "")
        if known:
            return known
        name = identifier(wanted, self.constant_names).upper()
        self.constants[name] = source
        return name

    def source_of(self, variable: str) -> Source:
        return next(kept[variable] for kept in self.extracted.values() if variable in kept)

    def secret(self, wanted: str) -> Code:
        """The constant for a secret that the recording must not give away."""
        name = identifier(wanted, set()).upper()
        self.constant_names.add(name.lower())
        self.secrets[name] = f"{self.prefix}_{name}"
        return Code(name)


def call_of(parts: DriverParts, place: int, step: str, *, sender: str = "self") -> str:
    """The source of the call that sends a request, such as self.fetch("GET", "/")."""
    return _RecordedCall(parts, place, step, sender).source()


class _RecordedCall:
    def __init__(self, parts: DriverParts, place: int, step: str, sender: str) -> None:
        self._parts = parts
        self._place = place
        self._step = step
        self._sender = sender
        self._request: RecordedRequest = parts.plan.visit.requests[place]

    def source(self) -> str:
        request = self._request
        if self._place in self._parts.plan.forms:
            return f"submit(self, self.seen, {self._form_fields()}, to={text_literal(_fixed(request.path))})"
        line = self._call(indent=8)
        return line if len(line) <= _MAX_CALL and "\n" not in line else self._call(indent=12)

    def _call(self, indent: int) -> str:
        request = self._request
        options = [text_literal(request.method), self._address()]
        options += self._body(indent)
        headers = self._headers()
        if request.body.content_type:
            headers["Content-Type"] = text_literal(request.body.content_type)
        if headers and options[-1] != _NO_BODY_BUT_NULL:
            rows = [f"{text_literal(name)}: {value}" for name, value in headers.items()]
            options.append(f"headers={_braced(rows, indent)}")
        if indent == 8:
            return f"{self._sender}.fetch({', '.join(options)})"
        return f"{self._sender}.fetch(\n            " + ",\n            ".join(options) + ",\n        )"

    # ---- address

    def _address(self) -> str:
        request, parts = self._request, self._parts
        pieces: list[str] = []
        if request.origin != parts.plan.visit.origin:
            if request.origin not in parts.origins:
                number = len(parts.origins) + 1
                parts.origins[request.origin] = "API" if number == 1 else f"API_{number}"
            pieces.append(Code(parts.origins[request.origin]))
        for segment in re.split(r"(/)", request.path):
            pieces += [segment] if segment in ("", "/") else self._segment(segment)
        joint = "?"
        for name, value in request.query:
            if _CAMPAIGN.match(name) or (name.lower() in _CACHE_BUSTERS and value.isdigit()):
                continue
            code = self._varying(name, value)
            pieces += [f"{joint}{quote(name, safe='[]', errors='replace')}="]
            if code is None and is_secret(name) and value:
                code = parts.secret(name)
            pieces.append(
                self._quoted(code)
                if code is not None
                else quote(shown_text(value), safe="@,:/", errors="replace")
            )
            joint = "&"
        return text_of(pieces)

    def _segment(self, segment: str) -> list[str]:
        plain = unquote(segment, errors="replace")
        stem = without_ending(plain)
        code = self._varying("", stem)
        if code is None:
            return [quote(segment, safe=_PATH_SAFE, errors="replace")]
        return [self._quoted(code), quote(plain[len(stem) :], safe=_PATH_SAFE, errors="replace")]

    def _quoted(self, code: Code) -> Code:
        self._parts.uses_quote = True
        return Code(f"quote({code})")

    # ---- body

    def _body(self, indent: int) -> list[str]:
        body = self._request.body
        if body.kind == "json":
            if body.value is None:
                return [_NO_BODY_BUT_NULL]
            return [f"json={render(body.value, self._leaf, indent=indent)}"]
        if body.kind == "text":
            return [f"data={self._around_sku(body.value)}.encode()"]
        if body.kind == "none" or not body.value:
            return []
        if body.kind == "multipart":
            rows = [
                f"({text_literal(name)}, (None, {self._text(name, value)}))" for name, value in body.value
            ]
            return [f"files=[{', '.join(rows)}]"]
        return [f"data={self._form(body.value, indent)}"]

    def _form(self, fields: tuple[tuple[str, str], ...], indent: int = 8) -> str:
        """Fields as a dict; repeated ones as a list of their values, or as pairs where they alternate."""
        names = [name for name, _ in fields]
        grouped: dict[str, list[str]] = {}
        for name, value in fields:
            grouped.setdefault(name, []).append(self._text(name, value))
        if [name for name, values in grouped.items() for _ in values] != names:
            pairs = (f"({text_literal(name)}, {self._text(name, value)})" for name, value in fields)
            return f"[{', '.join(pairs)}]"
        rows = [
            f"{text_literal(name)}: {values[0] if len(values) == 1 else '[' + ', '.join(values) + ']'}"
            for name, values in grouped.items()
        ]
        return _braced(rows, indent)

    def _form_fields(self) -> str:
        """What a person typed into a form; what its page knows is sent along by `submit`."""
        fields = tuple(
            (name, value) for name, value in self._request.body.value if not self._is_hidden(name, value)
        )
        return self._form(fields)

    def _is_hidden(self, name: str, value: str) -> bool:
        if is_idempotency(name):
            return False
        if any(word in name.lower() for word in ("token", "csrf", "xsrf", "nonce", "signature")):
            return True
        pages = self._parts.plan.visit.requests[: self._place]
        hidden = len(value) >= 16 and any(letter.isdigit() for letter in value) and " " not in value
        return hidden and any(f'"{value}"' in page.answer.text for page in pages if page.is_page)

    def _text(self, name: str, value: str) -> str:
        return self._leaf(name, value)

    def _leaf(self, name: str, value: Any) -> str:
        """The source of one field."""
        if name == "query" and isinstance(value, str) and "{" in value:
            operation = operation_of(self._request)
            if self._has_sku(value):
                return self._around_sku(value)
            wanted = operation.name if operation is not None and operation.name else "operation"
            return self._parts.constant(wanted, long_text(shown_text(value)))
        code = self._varying(name, value)
        if code is not None:
            return f"int({code})" if isinstance(value, int) else code
        if is_secret(name) and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return self._parts.secret(name)
        return self._around_sku(value) if isinstance(value, str) else literal(value)

    def _has_sku(self, text: str) -> bool:
        """Whether the product's number is part of a longer text, such as a query or an XML body."""
        sku = self._parts.plan.sku
        return len(sku) > 2 and re.search(rf"(?<![\w-]){re.escape(sku)}(?![\w-])", text) is not None

    def _around_sku(self, text: str) -> str:
        if not self._has_sku(text):
            return text_literal(shown_text(text))
        sku = self._parts.plan.sku
        split = re.split(rf"(?<![\w-])({re.escape(sku)})(?![\w-])", text)
        parts = [self._sku() if part == sku else shown_text(part) for part in split]
        return text_of(parts)

    # ---- headers

    def _headers(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in self._request.headers.items():
            shown = "-".join(word.capitalize() for word in name.split("-"))
            if _NOT_SENT.match(name) or not re.fullmatch(r"[\w-]{1,80}", name) or len(value) > 4000:
                continue
            if is_idempotency(name):
                self._parts.takes_key = self._parts.takes_key or self._step == "checkout"
                found[shown] = "key" if self._step == "checkout" else text_literal("")
                continue
            scheme = _SCHEME.fullmatch(value)
            code = self._varying(name, scheme[2] if scheme else value)
            if code is not None:
                found[shown] = text_of([f"{scheme[1]} ", code]) if scheme else code
            elif name in _CSRF_COOKIES:
                found[shown] = f"self.client.cookies.get('{_CSRF_COOKIES[name]}', '')"
            elif _SECRET_HEADER.search(name):
                found[shown] = self._parts.secret(name)
            elif value.isprintable() and value.isascii():
                found[shown] = text_literal(shown_text(value))
        accept = self._request.headers.get("accept", "")
        if "json" in accept and not self._request.is_page:
            found["Accept"] = text_literal("application/json")
        return {name: value for name, value in found.items() if value != text_literal("")}

    # ---- what varies

    def _varying(self, name: str, value: Any) -> Code | None:
        """The expression for a value that differs from visit to visit; None if it stays as recorded."""
        parts, step, text = self._parts, self._step, str(value)
        if isinstance(value, bool | float) or value is None or text == "":
            return None
        if is_idempotency(name) and step == "checkout":
            parts.takes_key = True
            return Code("key")
        if step == "search" and name.lower() in TERMS and not text.startswith("{"):
            return Code("self.rng.choice(self.catalogue.search_terms)")
        if (
            step == "category"
            and text == parts.category
            and (len(text) > 2 or not name or name.lower() in CATEGORY_IDS)
        ):
            return Code("self.rng.choice(self.catalogue.categories)")
        if text == parts.plan.sku and (len(text) > 2 or name.lower() in SKUS):
            return self._sku()
        sources = parts.values.sources(name, value, self._place) if name or len(text) > 3 else []
        if not sources and step == "add_to_basket" and name.lower() in SKUS:
            source = self._of_product(text)
            if source is None:
                parts.unknown[text] = name
                return None
            return self._carried(name, text, source)
        return self._carried(name, text, self._best(sources)) if sources else None

    def _needed(self) -> list[int]:
        """The requests that are sent before this one for what their answers hold."""
        return self._parts.supporting.setdefault(self._place, [])

    def _sku(self) -> Code:
        if self._step in ("product", "add_to_basket"):
            return Code("sku")
        self._parts.keeps_sku = True
        return Code("self.chosen_sku")

    def _of_product(self, text: str) -> Source | None:
        """The product's number in the answer to the product step, even where it is short."""
        places = self._parts.plan.steps.get("product", [])
        found = (self._parts.values.holds(place, text) for place in reversed(places))
        return next((source for source in found if source is not None), None)

    def _best(self, sources: list[Source]) -> Source:
        """The latest answer of a step that every customer took before; then of a request that can be sent
        first; then of any step.
        """
        before = _ALWAYS_BEFORE.get(self._step, set())

        def rank(source: Source) -> tuple[int, int, bool]:
            step = self._parts.plan.step_of(source.place)
            near = 2 if step == self._step or step in before else 0 if step else 1
            return near, source.place, source.name.lower() not in PLAIN_KEYS

        return max(sources, key=rank)

    def _carried(self, name: str, text: str, source: Source) -> Code:
        parts = self._parts
        if source.how == "cookie":
            return Code(f"self.client.cookies.get('{source.name}', '')")
        if text in parts.variables:
            source = parts.source_of(parts.variables[text])
        if not parts.plan.step_of(source.place) and source.place not in self._needed():
            self._needed().append(source.place)
        if text in parts.variables:
            return Code(f"self.{parts.variables[text]}")
        is_field = len(name) > 2 and "-" not in name and name != "authorization"
        wanted = name if is_field else source.name
        variable = identifier(wanted, parts.names)
        parts.extracted.setdefault(source.place, {})[variable] = source
        parts.variables[text] = variable
        return Code(f"self.{variable}")


def _braced(rows: list[str], indent: int) -> str:
    """Rows of a dict on one line, or on one each if that is too long."""
    line = "{" + ", ".join(rows) + "}"
    if len(line) + indent <= _MAX_CALL - 15:
        return line
    pad = " " * indent
    return "{" + "".join(f"\n{pad}    {row}," for row in rows) + f"\n{pad}}}"


def _fixed(path: str) -> str:
    """The part of a form's address that all products share: up to the first word with a digit."""
    words = path.split("/")
    kept = next((n for n, word in enumerate(words) if re.search(r"\d", word)), len(words))
    return path if kept == len(words) else "/".join(words[:kept]) + "/"
