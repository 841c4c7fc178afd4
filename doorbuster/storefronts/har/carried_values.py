"""Values that the shop gave in one answer and wanted back later: basket ids, tokens, the next step's address.

A value counts as carried if an answer held it before any request sent it. Each way to take it out of an
answer is tried on the recorded answer first, and kept only if it finds the same value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

from doorbuster.storefronts.answers import at, field_value, text_between
from doorbuster.storefronts.base import Rejected
from doorbuster.storefronts.har.recorded_request import RecordedRequest

MAX_VALUES = 20_000  # of one answer
_MAX_LENGTH = 4000
_TAG = re.compile(r"<(?:input|meta|button)\b([^<>]{0,2000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([\w:-]{1,60})\s?=\s?("[^"]{0,2000}"|'[^']{0,2000}')""")
_IN_SCRIPT = re.compile(r"""(["']([\w-]{2,60})["']\s?:\s?["'])([^"'\s<>\\]{6,2000})(["'])""")
_IN_TAG = re.compile(r"""((data-[\w-]{1,60})=["'])([^"'<>]{1,300})(["'])""")
_TOKEN_HEADER = re.compile(r"token|csrf|xsrf|session|cart|basket|auth")
_LINK = re.compile(r"""((?:href|action)=["'])([^"'<>]{2,500})["']""")
_IN_LINK = re.compile(r"(?<=[/=])((?=[A-Za-z._~-]{0,60}\d)[\w.~-]{6,200})(?=[/?&#]|$)")
PLAIN_KEYS = {"id", "code", "key", "token", "value", "ref", "number", "uuid", "href"}
_COOKIE_NAME = re.compile(r"[\w.-]{1,80}")
_IDENTIFYING = re.compile(
    r"(^|[_-])(id|ids|uuid|guid|key|token|hash|nonce|ref|sid|csrf|xsrf|signature|version|code)$",
    re.IGNORECASE,
)


class Source(NamedTuple):
    """How a value is taken out of an answer. place: position of the request in the visit."""

    place: int
    how: Literal["json", "field", "text", "header", "address", "cookie"]
    where: tuple[Any, ...]
    name: str


class CarriedValues:
    """The answers' values by their text. Positions are those of `requests`."""

    def __init__(self, requests: Sequence[RecordedRequest]) -> None:
        self._requests = requests
        self._sources: dict[str, list[Source]] = {}
        self._first_sent: dict[str, int] = {}
        for place, request in enumerate(requests):
            for value in islice(_sent_values(request), MAX_VALUES):
                self._first_sent.setdefault(value, place)
        for place in range(len(requests)):
            for value, source in islice(self._values_of(place), MAX_VALUES):
                # What no request ever sends is not worth keeping.
                if value in self._first_sent:
                    self._sources.setdefault(value, []).append(source)

    def sources(self, name: str, value: Any, before: int) -> list[Source]:
        """Where a value of a request was seen in answers before it; empty if a person typed it."""
        text = str(value)
        if not _is_identifying(name, value):
            return []
        found = [source for source in self._sources.get(text, []) if source.place < before]
        if not found or found[0].place >= self._first_sent.get(text, before):
            return []
        return [source for source in found if self._takes(source, text)]

    def holds(self, place: int, value: str) -> Source | None:
        """The way to a value in one answer, whoever sent it first."""
        found = (source for source in self._sources.get(value, []) if source.place == place)
        return next((source for source in found if self._takes(source, value)), None)

    def _takes(self, source: Source, value: str) -> bool:
        """Whether the helper that the driver will call finds the value in the recorded answer."""
        request = self._requests[source.place]
        page: Any = _Page(request.answer.text, "")
        try:
            if source.how == "json":
                return str(at(request.json_answer, *source.where)) == value
            if source.how == "field":
                return field_value(page, source.name) == value
            if source.how == "text":
                return text_between(page.text, *source.where) == value
        except Rejected:
            return False
        return True

    def _values_of(self, place: int) -> Iterator[tuple[str, Source]]:
        request = self._requests[place]
        answer = request.answer
        if request.json_answer is not None:
            for path, value in _paths(request.json_answer):
                yield str(value), Source(place, "json", path, _name_of(path))
        elif answer.text:
            yield from _of_page(place, answer.text)
        for name, value in answer.headers.items():
            if _TOKEN_HEADER.search(name) and name not in ("set-cookie", "access-control-allow-headers"):
                yield value, Source(place, "header", (), name)
        if answer.is_redirect:
            yield from self._of_address(place)
        for name, value in answer.cookies:
            if not _COOKIE_NAME.fullmatch(name):
                continue
            yield unquote(value), Source(place, "cookie", (), name)

    def _of_address(self, place: int) -> Iterator[tuple[str, Source]]:
        """Parts of the address that a redirect ended at."""
        rest = self._requests[place + 1 : place + 10]
        landed = next((one for one in rest if one.method == "GET" and not one.is_redirected), None)
        if landed is None:
            return
        segments = landed.path.split("/")
        for number, segment in enumerate(segments):
            before = segments[number - 1] if number else ""
            after = "/" if number + 1 < len(segments) else ""
            if segment and before:
                yield unquote(segment), Source(place, "address", (f"/{before}/", after), before)
        for name, value in landed.query:
            yield value, Source(place, "address", (f"{name}=", ""), name)


class _Page(NamedTuple):
    """As much of a response as the helpers look at."""

    text: str
    url: str


def _name_of(path: tuple[str | int, ...]) -> str:
    """What a JSON value is called: its key, with the key around it where it is as plain as "id"."""
    named = [step for step in path if isinstance(step, str)]
    if len(named) > 1 and named[-1].lower() in PLAIN_KEYS and named[-2] != "data":
        return f"{named[-2]}_{named[-1]}"
    return named[-1] if named else "value"


def _is_identifying(name: str, value: Any) -> bool:
    """Whether equal values are hardly a coincidence."""
    if isinstance(value, bool) or value is None or not isinstance(value, str | int):
        return False
    text = str(value)
    if len(text) > _MAX_LENGTH:
        return False
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name[:100])
    if _IDENTIFYING.search(snake) or _TOKEN_HEADER.search(name.lower()):
        return len(text) >= 3
    if text.isdigit():
        return len(text) >= 6
    return len(text) >= 8 and any(letter.isdigit() for letter in text) and " " not in text


def _paths(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Texts and numbers of a JSON value with their paths; its depth is bounded when it is read."""
    if isinstance(value, dict):
        for key, inner in value.items():
            for path, one in _paths(inner):
                yield (key, *path), one
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            for path, one in _paths(inner):
                yield (number, *path), one
    elif isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        yield (), value


def _of_page(place: int, text: str) -> Iterator[tuple[str, Source]]:
    for tag in _TAG.finditer(text):
        attributes = {name.lower(): value[1:-1] for name, value in _ATTRIBUTE.findall(tag[1])}
        name = attributes.get("name") or attributes.get("property") or ""
        value = attributes.get("value") or attributes.get("content") or ""
        if name and value:
            yield value, Source(place, "field", (), name)
    for link in _LINK.finditer(text):
        for segment in _IN_LINK.finditer(link[2]):
            before = link[1] + link[2][: segment.start(1)]
            after = text[link.start(2) + segment.end(1)]
            name = before.rstrip("/=").rpartition("/")[2].rpartition("?")[2].rpartition("&")[2]
            yield segment[1], Source(place, "text", (before, after), name or "link")
    for pattern in (_IN_SCRIPT, _IN_TAG):
        for found in pattern.finditer(text):
            yield found[3], Source(place, "text", (found[1], found[4]), found[2])


def _sent_values(request: RecordedRequest) -> Iterator[str]:
    yield from (unquote(part) for part in request.path.split("/") if part)
    yield from (value for _, value in request.query)
    if request.body.kind == "json":
        yield from (str(value) for _, value in _paths(request.body.value))
    elif request.body.kind in ("form", "multipart"):
        yield from (value for _, value in request.body.value)
    for value in request.headers.values():
        yield value
        yield value.partition(" ")[2]
