"""A browser's recording of one visit (HAR 1.2), reduced to the requests that a driver can start from.

Rules: the shop is the origin with the most pages; requests to other origins of the same site stay, as does an
API on another site that takes the basket. Images, styles, scripts, frames, prefetches and failed requests are
left out. An entry that cannot be read is skipped. Everything left out is listed with the reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from doorbuster.storefronts.har.recorded_request import Answer, LeftOut, RecordedRequest, RecordedVisit
from doorbuster.storefronts.har.registrable_domain import registrable_domain
from doorbuster.storefronts.har.request_body import (
    RequestBody,
    UnusableError,
    decoded_base64,
    read_body,
)
from doorbuster.storefronts.har.steps import changing_step

MAX_RECORDING_BYTES = 256 * 1024 * 1024
MAX_REQUESTS = 3000  # of the shop; a visit has a few hundred
MAX_ANSWER_CHARACTERS = 1_000_000
MAX_CHARACTERS_OF_ALL_ANSWERS = 32_000_000
_MAX_URL_CHARACTERS = 4000
_FILES = re.compile(r"\.(js|mjs|css|map|png|jpe?g|gif|svg|webp|avif|ico|woff2?|ttf|mp4|webm)$", re.IGNORECASE)
_PLACE = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")  # no user, no password
_METHOD = re.compile(r"[A-Z]{1,20}")
_SAFE = "/%:@!$&()*+,;=~-._"  # allowed in a path; other characters become %xx, so that code can quote it
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?\s*(Z|[+-]\d{2}:?\d{2})?"
)
_FRAMES = {"iframe", "frame", "embed", "object", "fencedframe"}
_BACKGROUND = {"ping", "beacon", "csp-violation-report", "preflight", "websocket", "eventsource"}


def read_har(text: bytes) -> RecordedVisit:
    """The visit in a recording.

    Raises: ValueError if it is not one: not JSON, no entries, or no page of a shop.
    """
    if len(text) > MAX_RECORDING_BYTES:
        size_mb = MAX_RECORDING_BYTES // 2**20
        raise ValueError(f"is larger than {size_mb} MB; record one visit only, and filter out images")
    try:
        entries = json.loads(text)["log"]["entries"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"is not a HAR recording ({type(error).__name__}: {str(error)[:100]})") from error
    if not isinstance(entries, list):
        raise ValueError("is not a HAR recording (log.entries is not a list)")
    if not entries:
        raise ValueError("has no entries: nothing was recorded while the network panel was open")
    left_out: list[LeftOut] = []
    found: list[RecordedRequest] = []
    at_unix_s, room = 0.0, MAX_CHARACTERS_OF_ALL_ANSWERS
    for number, entry in enumerate(entries):
        try:
            request = _request(number, entry, at_unix_s)
        except UnusableError as error:
            left_out.append(LeftOut(_shown_address(number, entry), str(error)))
            continue
        at_unix_s = request.at_unix_s
        room -= len(request.answer.text)
        found.append(request if room >= 0 else replace(request, answer=replace(request.answer, text="")))
    found.sort(key=lambda request: (request.at_unix_s, request.number))
    origin = _shop_origin(found)
    kept = _kept_origins(found, origin)
    own: list[RecordedRequest] = []
    for request in found:
        reason = _why_not(request, origin, kept, full=len(own) >= MAX_REQUESTS)
        if reason:
            left_out.append(LeftOut(f"{request.method} {request.origin}{request.shown_path}", reason))
        else:
            own.append(request)
    starts = [one.at_unix_s for one in own if one.is_page and not one.is_redirected]
    pauses = tuple(round(later - earlier, 3) for earlier, later in pairwise(starts))
    return RecordedVisit(origin, tuple(own), pauses, tuple(left_out))


def _shown_address(number: int, entry: Any) -> str:
    request = entry.get("request") if isinstance(entry, Mapping) else None
    url = request.get("url") if isinstance(request, Mapping) else None
    where = quote(url.partition("?")[0][:100], safe=_SAFE, errors="replace") if isinstance(url, str) else ""
    return f"entry {number + 1}{': ' if where else ''}{where}"


# ---- reading one entry


def _request(number: int, entry: Any, last_unix_s: float) -> RecordedRequest:
    """Raises: UnusableError with the reason why the entry is skipped."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("request"), Mapping):
        raise UnusableError("the entry has no request")
    sent = entry["request"]
    method, url = str(sent.get("method") or "").upper(), sent.get("url")
    if not isinstance(url, str) or not _METHOD.fullmatch(method):
        raise UnusableError("the entry has no readable method or address")
    if len(url) > _MAX_URL_CHARACTERS:
        raise UnusableError(f"its address is longer than {_MAX_URL_CHARACTERS:,} characters")
    try:
        place = urlsplit(url.strip())
        port = place.port
    except ValueError as error:
        raise UnusableError(f"its address is not valid ({error})") from error
    if place.scheme not in ("http", "https"):
        raise UnusableError(f"it was not sent by HTTP ({place.scheme[:20]}:)")
    if not _PLACE.fullmatch(place.netloc) or port == 0:
        raise UnusableError("its address is not a plain host")
    if not isinstance(entry.get("response"), Mapping):
        raise UnusableError("it has no response (still pending when the recording was saved)")
    answer = _answer(entry["response"])
    headers = _headers(sent.get("headers"))
    kind = str(entry.get("_resourceType") or "").lower()
    _refuse_unwanted(method, place.path, headers, answer, kind)
    is_form = method == "POST" and answer.is_redirect
    is_page = (answer.is_html or is_form) and kind not in ("xhr", "fetch")
    return RecordedRequest(
        number=number,
        method=method,
        origin=f"{place.scheme}://{place.netloc.lower()}",
        path=quote(place.path, safe=_SAFE, errors="replace") or "/",
        query=tuple(parse_qsl(place.query, keep_blank_values=True)),
        body=read_body(sent.get("postData")) if method != "GET" else RequestBody(),
        headers=headers,
        answer=answer,
        at_unix_s=_unix_s(entry.get("startedDateTime"), last_unix_s),
        is_page=is_page,
    )


def _refuse_unwanted(method: str, path: str, headers: Mapping[str, str], answer: Answer, kind: str) -> None:
    """Raises: UnusableError for what no customer asks for by hand."""
    if method in ("OPTIONS", "HEAD", "CONNECT", "TRACE"):
        raise UnusableError(f"{method} requests are sent by the browser itself")
    if kind in _BACKGROUND or "csp-report" in headers.get("content-type", ""):
        raise UnusableError(f"it is a background message of the browser ({kind or 'report'})")
    if headers.get("sec-fetch-dest") in _FRAMES:
        raise UnusableError("it is a frame inside a page")
    if "prefetch" in headers.get("sec-purpose", "") + headers.get("purpose", ""):
        raise UnusableError("it was prefetched, not opened")
    if not 100 <= answer.status < 600:
        raise UnusableError("it was blocked, aborted or never answered")
    if answer.status >= 400:
        raise UnusableError(f"it was answered with {answer.status}")
    reads_data = answer.is_html or any(word in answer.kind for word in ("json", "xml"))
    holds_json = answer.text.lstrip()[:1] in ("{", "[")
    if method == "GET" and (not (reads_data or holds_json or answer.is_redirect) or "svg" in answer.kind):
        raise UnusableError("it is a file of a page: a script, a style, an image or a font")
    if method == "GET" and _FILES.search(path) and not holds_json:
        raise UnusableError("it is a file of a page: a script, a style, an image or a font")


def _answer(response: Mapping[str, Any]) -> Answer:
    content = response.get("content")
    content = content if isinstance(content, Mapping) else {}
    kind = str(content.get("mimeType") or "").lower()
    text = content.get("text")
    text = text if isinstance(text, str) else ""
    headers = _headers(response.get("headers"))
    if content.get("encoding") == "base64":
        wanted = any(word in kind for word in ("html", "json", "text"))
        text = decoded_base64(text[: 2 * MAX_ANSWER_CHARACTERS]) if wanted else ""
    status = response.get("status")
    location = headers.get("location") or response.get("redirectURL")
    cookies = response.get("cookies")
    return Answer(
        status=status if isinstance(status, int) else 0,
        kind=kind or headers.get("content-type", "").lower(),
        text=text if len(text) <= MAX_ANSWER_CHARACTERS else "",
        location=location if isinstance(location, str) else "",
        headers=headers,
        cookies=tuple(_named_values(cookies)),
    )


def _named_values(rows: Any) -> list[tuple[str, str]]:
    return [
        (row["name"], row["value"])
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, Mapping) and isinstance(row.get("name"), str) and isinstance(row.get("value"), str)
    ]


def _headers(rows: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in _named_values(rows) if not name.startswith(":")}


def _unix_s(started: Any, last_unix_s: float) -> float:
    """When a request began. Without a readable time it keeps its place behind the entry before it."""
    found = _TIME.match(started) if isinstance(started, str) else None
    if found is None:
        return last_unix_s
    year, month, day, hour, minute, second = (int(found[n]) for n in range(1, 7))
    zone = (found[8] or "Z").replace("Z", "+0000").replace(":", "")
    offset_s = (int(zone[1:3]) * 3600 + int(zone[3:5]) * 60) * (-1 if zone[0] == "-" else 1)
    try:
        whole = datetime(year, month, day, hour, minute, 0, tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return last_unix_s
    return whole + second + float(f"0.{found[7] or 0}") - offset_s


# ---- which of them are the shop's


def _shop_origin(requests: list[RecordedRequest]) -> str:
    """The origin with the most pages; then the one with the most requests; then the first.

    Raises: ValueError if there is no page.
    """
    opened = [one for one in requests if one.answer.is_html and not one.is_redirected and one.method == "GET"]
    pages = Counter(one.origin for one in opened)
    if not pages:
        raise ValueError("contains no page of a shop")
    calls = Counter(one.origin for one in requests)
    return max(pages, key=lambda origin: (pages[origin], calls[origin]))


def _kept_origins(requests: list[RecordedRequest], origin: str) -> frozenset[str]:
    """The shop's origin, those of the same site, and the site that takes the basket if the shop does not."""
    own = {one.origin for one in requests if _site(one.origin) == _site(origin)}
    baskets = {one.origin for one in requests if changing_step(one) == "add_to_basket"}
    return frozenset(own if own & baskets else own | baskets)


def _why_not(request: RecordedRequest, origin: str, kept: frozenset[str], *, full: bool) -> str:
    """Why a request is left out; empty if it stays."""
    if request.origin not in kept:
        return "it went to another site"
    if full:
        return f"the recording has more than {MAX_REQUESTS:,} requests to the shop"
    if urlsplit(request.origin).hostname == urlsplit(origin).hostname and request.origin[:5] != origin[:5]:
        return f"the shop is at {origin}"
    goes_to = urlsplit(request.answer.location).path or request.path
    if request.is_redirected and request.method == "GET" and request.origin != origin:
        return "the address moved; the driver uses the new one" if goes_to == request.path else ""
    return ""


def _site(origin: str) -> str:
    """The registrable domain of an origin."""
    return registrable_domain(urlsplit(origin).hostname or "")
