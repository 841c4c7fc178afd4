"""Reads a browser's recording of one visit (HAR 1.2) and keeps what a driver needs.

Only the shop's own pages and API calls are kept, without other origins, images, styles, scripts and fonts.
Cookies and headers are not read. The values of secret fields are masked, and e-mail addresses are replaced by
a test customer's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from doorbuster.storefronts.secrets import MASK, is_secret

_KEPT = ("text/html", "application/xhtml", "json")
_FILES = re.compile(r"\.(js|mjs|css|map|png|jpe?g|gif|svg|webp|ico|woff2?|ttf)$", re.IGNORECASE)
_PLACE = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")  # no user, no password
_SAFE = "/%:@!$&()*+,;=~-._"  # in a path; anything else becomes %xx, so that the path can stand in code
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
TEST_MAIL = "test.customer@example.com"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request to the shop; `fields` are those of the query or of the body, which `as_json` was JSON."""

    method: str
    path: str
    fields: tuple[tuple[str, Any], ...]
    as_json: bool
    at_unix_s: float
    is_page: bool
    is_redirected: bool = False


@dataclass(frozen=True, slots=True)
class RecordedVisit:
    """The requests of one visit in order of time; `pauses_s`: between consecutive pages."""

    origin: str
    requests: tuple[RecordedRequest, ...]
    pauses_s: tuple[float, ...]


def read_har(text: bytes) -> RecordedVisit:
    """The visit in a recording.

    Raises: ValueError if the file is not a recording or contains no page.
    """
    try:
        entries = json.loads(text.decode("utf-8-sig"))["log"]["entries"]
        rows = [(entry, urlsplit(entry["request"]["url"])) for entry in entries]
        pages = [place for entry, place in rows if _mime(entry).startswith(_KEPT[:2])]
    except (UnicodeDecodeError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"is not a HAR recording ({type(error).__name__}: {error})") from error
    if not pages:
        raise ValueError("contains no page")
    home = pages[0]
    if not _PLACE.fullmatch(home.netloc):
        raise ValueError(f"has a page at {home.netloc[:60]!r}, which is not a plain host name")
    own = [
        entry
        for entry, place in rows
        if place[:2] == home[:2]
        and any(kind in _mime(entry) for kind in _KEPT)
        and not _was_missing(entry, place)
    ]
    requests = tuple(sorted((_recorded(entry) for entry in own), key=lambda request: request.at_unix_s))
    starts = [request.at_unix_s for request in requests if request.is_page]
    pauses = tuple(round(later - earlier, 3) for earlier, later in pairwise(starts))
    return RecordedVisit(f"{home.scheme}://{home.netloc}", requests, pauses)


def _was_missing(entry: Mapping[str, Any], place: SplitResult) -> bool:
    """Whether this is an error page for a missing file, not a page of the visit."""
    return entry["response"]["status"] == 404 or _FILES.search(place.path) is not None


def _mime(entry: Mapping[str, Any]) -> str:
    """The content type; a redirect after a form counts as the page it leads to."""
    if entry["request"]["method"] == "POST" and 300 <= entry["response"]["status"] < 400:
        return "text/html"
    return str(entry["response"]["content"].get("mimeType", "")).lower()


def _recorded(entry: Mapping[str, Any]) -> RecordedRequest:
    request = entry["request"]
    place = urlsplit(request["url"])
    body = request.get("postData") or {}
    as_json = "json" in str(body.get("mimeType", "")).lower()
    fields: list[tuple[str, Any]] = list(parse_qsl(place.query, keep_blank_values=True))
    if as_json:
        try:
            document = json.loads(body.get("text") or "{}")
        except json.JSONDecodeError:
            document = {}
        fields = list(document.items()) if isinstance(document, dict) else []
    elif body:
        # Prefer the text: in the list, some browsers leave values encoded (%40 for @) and others do not.
        listed = [(row["name"], row.get("value", "")) for row in body.get("params") or ()]
        fields = _form_fields(body) or listed
    return RecordedRequest(
        method=request["method"].upper(),
        path=quote(place.path, safe=_SAFE) or "/",
        fields=tuple((name, _clean(name, value)) for name, value in fields),
        as_json=as_json,
        at_unix_s=datetime.fromisoformat(entry["startedDateTime"]).timestamp(),
        is_page=_mime(entry).startswith(_KEPT[:2]),
        is_redirected=300 <= entry["response"]["status"] < 400,
    )


def _form_fields(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The fields of a form from its text; empty for a multipart form, whose fields are only in the list."""
    if "multipart" in str(body.get("mimeType", "")).lower():
        return []
    return list(parse_qsl(body.get("text") or "", keep_blank_values=True))


def _clean(name: str, value: Any) -> Any:
    """A field's value without secrets and addresses, nested values included."""
    if is_secret(name):
        return MASK
    if isinstance(value, dict):
        return {key: _clean(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_clean(name, inner) for inner in value]
    if isinstance(value, str):
        return _MAIL.sub(TEST_MAIL, value)
    return value
