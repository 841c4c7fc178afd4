"""What is kept of a recording: requests with their answers, and what was left out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from doorbuster.output.secret_masking import MASK, is_secret
from doorbuster.storefronts.har.request_body import MAX_JSON_DEPTH, RequestBody, depth_of

_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}\.[^@\s.]{2,63}")
_TOKEN_IN_PATH = re.compile(
    r"/(?=(?:[^/\d]{0,99}\d){4}|(?=[^/]*\d)(?=[^/]*[a-z])[^/]*[A-Z])[\w=~.-]{16,}(?=/|$)"
)
TEST_MAIL = "test.customer@example.com"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. text: "" where the recording has none. headers: lower-case names."""

    status: int
    kind: str
    text: str = field(default="", repr=False)
    location: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cookies: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def is_redirect(self) -> bool:
        return self.status in (301, 302, 303, 307, 308)

    @property
    def is_html(self) -> bool:
        return "html" in self.kind

    def json(self) -> Any:
        """The JSON value of the answer; None if it is not JSON or nested too deep."""
        if self.text[:1].isspace() or self.text[:1] in ("{", "["):
            try:
                value = json.loads(self.text)
            except (ValueError, RecursionError):
                return None
            return value if depth_of(value) < MAX_JSON_DEPTH else None
        return None


@dataclass(frozen=True)
class RecordedRequest:
    """One request. `path` is percent-encoded; query, body and headers are as sent and never shown."""

    number: int
    method: str
    origin: str
    path: str
    query: tuple[tuple[str, str], ...] = field(repr=False)
    body: RequestBody = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    answer: Answer = field(repr=False)
    at_unix_s: float
    is_page: bool

    @property
    def is_redirected(self) -> bool:
        return self.answer.is_redirect

    @property
    def shown_path(self) -> str:
        """The path without what may be a token of the visitor."""
        return _TOKEN_IN_PATH.sub(f"/{MASK}", self.path)

    @property
    def as_json(self) -> bool:
        return self.body.kind == "json"

    @cached_property
    def fields(self) -> tuple[tuple[str, Any], ...]:
        """Names and values of the query and the body, fit to be shown."""
        pairs: list[tuple[str, Any]] = list(self.query)
        if self.body.kind == "json":
            pairs += self.body.value.items() if isinstance(self.body.value, dict) else ()
        elif self.body.kind in ("form", "multipart"):
            pairs += self.body.value
        return tuple((name, shown_value(name, value)) for name, value in pairs)

    @cached_property
    def json_answer(self) -> Any:
        return self.answer.json()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something of the recording that the driver does without. what: an address fit to be shown."""

    what: str
    reason: str


@dataclass(frozen=True, slots=True)
class RecordedVisit:
    """What one person did in a shop, in order of time. `pauses_s`: between one page and the next.

    other_origins: where requests went besides `origin`. source: what it was taken from, in words.
    invented: values that only stand for real ones.
    """

    origin: str
    requests: tuple[RecordedRequest, ...]
    pauses_s: tuple[float, ...]
    left_out: tuple[LeftOut, ...] = ()
    source: str = "recording"
    invented: tuple[str, ...] = ()

    @property
    def lacks_credentials(self) -> bool:
        """Whether no request has a cookie or an Authorization header, as in Chrome's plain export."""
        sent = any({"cookie", "authorization"} & set(one.headers) for one in self.requests)
        return not sent and not any("set-cookie" in one.answer.headers for one in self.requests)

    @property
    def other_origins(self) -> tuple[str, ...]:
        found = dict.fromkeys(request.origin for request in self.requests)
        return tuple(origin for origin in found if origin != self.origin)


def shown_value(name: str, value: Any) -> Any:
    """A field's value, fit to be written to a file that people share; nested values too."""
    if is_secret(name):
        return MASK
    if isinstance(value, dict):
        return {key: shown_value(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shown_value(name, inner) for inner in value]
    return shown_text(value) if isinstance(value, str) else value


def shown_text(text: str) -> str:
    """Text with the test customer's e-mail address in place of any other."""
    return _MAIL.sub(TEST_MAIL, text)
