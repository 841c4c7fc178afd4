"""An HTTP client that records its exchanges for display; used by `probe`."""

from __future__ import annotations

import json as stdlib_json
import re
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.response import Response
from doorbuster.output.secret_masking import is_secret, mask_values, masked

MAX_LINES = 6
MAX_CHARACTERS = 160
MAX_LINK_KINDS = 3
LONG_PAGE = 1_000  # characters
_LINK = re.compile(r'href="(/[^"#?]+)')
_PRICE = re.compile(
    r"<[^/<>][^<>]{0,79}>\s*[£$€]\s?\d[\d.,]*|\bprice\b[^<>\n]{0,20}\d+[.,]\d\d", re.IGNORECASE
)
_IS_PAGE = re.compile(r"\s*<(!doctype html|html)", re.IGNORECASE)
_INVISIBLE = re.compile(r"<(script|style|svg|select)\b.*?</\1>|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_TAGS = re.compile(r"<[^>]+>")
_ANSWER_HEADERS = ("content-type", "location", "retry-after", "server-timing")


@dataclass(frozen=True, slots=True)
class ExchangeTrace:
    """One request and its response for display; without a response `status` is 0 and `cause` the reason."""

    method: str
    url: str
    status: int
    cause: str
    service_ms: float
    redirects: int
    request: tuple[str, ...]
    answer: tuple[str, ...]
    links: tuple[str, ...] = ()  # of a page: the addresses that occur in most variants, one of each kind
    prices: tuple[str, ...] = ()  # of a page: what looks like a price


class TracingClient:
    """Implements `storefronts.Client`; several may share one list of exchanges and responses."""

    def __init__(self, http: HttpClient, shared: TracingClient | None = None) -> None:
        self.exchanges: list[ExchangeTrace] = shared.exchanges if shared is not None else []
        self._responses: list[Response] = shared._responses if shared is not None else []
        self._http = http

    def begin_step(self) -> None:
        """Forget the exchanges of the step before."""
        self.exchanges.clear()
        self._responses.clear()

    @property
    def last_response(self) -> Response | None:
        """The response that the current step got last."""
        return self._responses[-1] if self._responses else None

    @property
    def cookies(self) -> CookieJar:
        return self._http.cookies

    def request(self, method: str, url: str, **options: Any) -> Response:
        started_at = perf_counter()
        response = self._http.request(method, url, **options)
        self._responses[:] = [response]
        text = _text(response)
        self.exchanges.append(
            ExchangeTrace(
                method=method,
                url=masked(response.url),
                status=response.status_code,
                cause=response.cause,
                service_ms=(perf_counter() - started_at) * 1e3,
                redirects=len(response.history),
                request=_request_lines(options),
                answer=_answer_lines(response, text),
                links=_kinds_of_links(text),
                prices=_prices(text),
            )
        )
        return response


def _request_lines(options: dict[str, Any]) -> tuple[str, ...]:
    headers = [
        f"{name}: {'***' if is_secret(name) else mask_values(str(value))}"
        for name, value in (options.get("headers") or {}).items()
    ]
    body = options.get("json") if options.get("json") is not None else options.get("data")
    text = body if isinstance(body, str) else stdlib_json.dumps(body, default=str) if body else ""
    return (*headers, *_first_lines(text))


def _text(response: Response) -> str:
    """The page; what is wrong with it if it cannot be decoded."""
    try:
        return response.text if response.status_code else ""
    except RequestFailed as damaged:
        return str(damaged)


def _answer_lines(response: Response, text: str) -> tuple[str, ...]:
    if not response.status_code:
        return (masked(str(response.error)),)
    headers = [f"{name}: {value}" for name in _ANSWER_HEADERS if (value := response.headers.get(name))]
    return (*(masked(line) for line in headers), *_first_lines(text))


def _kinds_of_links(text: str) -> tuple[str, ...]:
    """One link of each of the most frequent kinds; links of one kind differ in the last path segment only."""
    kinds: dict[str, dict[str, None]] = {}
    for link in _LINK.findall(text):
        kinds.setdefault(link.rstrip("/").rpartition("/")[0], {})[link] = None
    most = sorted(kinds.values(), key=len, reverse=True)[:MAX_LINK_KINDS]
    return tuple(f"{masked(next(iter(links)))} ({len(links)} like it)" for links in most if len(links) > 1)


def _prices(text: str) -> tuple[str, ...]:
    found = dict.fromkeys(" ".join(place.split()) for place in _PRICE.findall(text))
    return tuple(found)[:2]


def _first_lines(text: str) -> tuple[str, ...]:
    """The first lines of a body, cut to the width of a terminal; of a long page, its visible text."""
    if len(text) > LONG_PAGE and _IS_PAGE.match(text):
        text = _TAGS.sub("\n", _INVISIBLE.sub("\n", text))
    lines = [line.strip() for line in masked(text[:20_000]).splitlines() if line.strip()]
    cut = [line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS]}…" for line in lines[:MAX_LINES]]
    return (*cut, f"… {len(lines) - MAX_LINES} more lines") if len(lines) > MAX_LINES else tuple(cut)
