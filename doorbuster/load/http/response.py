"""A response, or the failure in its place, with the interface of requests' Response as locustfiles use it.

Rules: nothing is parsed or decoded before it is accessed. A request without a usable response has status_code
0, an empty body and `error`; its `exchange` still has the status on the wire. Reading a body that is damaged
or too large raises RequestFailed: the request was already recorded, unless it is read inside a `with` block
(catch_response=True) or the settings have check_bodies.
"""

from __future__ import annotations

import codecs
import http.client
import json as stdlib_json
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

import orjson

from doorbuster.load.exchange import DETAIL_CHARACTERS, Exchange, RequestFailed
from doorbuster.load.http.decoding import decode, decode_stream
from doorbuster.load.http.headers import ResponseHeaders, header_values
from doorbuster.load.http.stream import BodyStream

_ANSWERED: Final = frozenset(("status_4xx", "status_5xx", "content"))


class Response:
    """The response to one request.

    status_code: 0 without a usable response. exchange: the record of this hop. history: the redirects before
    it. encoding: set it before `.text` if the shop's charset is wrong.
    """

    __slots__ = (
        "_body",
        "_content",
        "_head",
        "_headers",
        "_history",
        "_limit",
        "encoding",
        "exchange",
        "status_code",
        "stream",
    )

    def __init__(self, exchange: Exchange, head: str, body: bytes, limit: int) -> None:
        self.exchange = exchange
        self.status_code = exchange.status if not exchange.cause or exchange.cause in _ANSWERED else 0
        self._history: list[Response] | None = None
        self.encoding: str | None = None
        self.stream: BodyStream | None = None
        self._head = head
        self._body = body
        self._limit = limit
        self._content: bytes | None = None
        self._headers: ResponseHeaders | None = None

    def __repr__(self) -> str:
        return f"<Response [{self.exchange.cause or self.status_code}]>"

    def __bool__(self) -> bool:
        return self.ok

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self.close()
        return None

    @property
    def ok(self) -> bool:
        """Whether the request counts as a success."""
        return not self.exchange.cause

    @property
    def cause(self) -> str:
        return self.exchange.cause

    @property
    def detail(self) -> str:
        """The text that explains a failure; "" if the cause is enough."""
        return self.exchange.detail

    @property
    def error(self) -> RequestFailed | None:
        """Why the request failed; the text is the same for all requests with this failure."""
        exchange = self.exchange
        if not exchange.cause:
            return None
        if exchange.cause in ("status_4xx", "status_5xx"):
            return RequestFailed(exchange.cause, f"{exchange.status} {self.reason}".rstrip())
        return RequestFailed(exchange.cause, exchange.detail)

    @property
    def url(self) -> str:
        return self.exchange.url

    @property
    def reason(self) -> str:
        """The reason phrase of the status line, or the standard one."""
        if not self.status_code:
            return ""
        words = self._head.partition("\r\n")[0][13:]
        return words or http.client.responses.get(self.status_code, "")

    @property
    def elapsed(self) -> timedelta:
        """Service time: from the actual start to the end of the body (of the headers, if streamed)."""
        return timedelta(seconds=self.exchange.ended_at - self.exchange.started_at)

    @property
    def headers(self) -> ResponseHeaders:
        if self._headers is None:
            self._headers = ResponseHeaders(self._head if self.status_code else "")
        return self._headers

    @property
    def cookies(self) -> dict[str, str]:
        """Name and value of the cookies that this response sets."""
        found = {}
        for value in self.headers.get_list("set-cookie"):
            name, _, rest = value.partition(";")[0].partition("=")
            found[name.strip()] = rest.strip()
        return found

    @property
    def history(self) -> list[Response]:
        if self._history is None:
            self._history = []
        return self._history

    @history.setter
    def history(self, history: list[Response]) -> None:
        self._history = history

    @property
    def body_length(self) -> int:
        """Bytes of the body on the wire, so far."""
        return self.stream.body_length if self.stream is not None and not self._body else len(self._body)

    @property
    def is_redirect(self) -> bool:
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.headers

    @property
    def content(self) -> bytes:
        """The decoded body. Raises: RequestFailed (too_large, bad_response; streamed: also reset, …)."""
        if self._content is None:
            if not self.status_code:
                return b""
            if self.stream is not None:
                self._body = b"".join(self.stream.pieces())
            encodings = self._encodings()
            self._content = decode(self._body, encodings, self._limit) if encodings else self._body
        return self._content

    @property
    def text(self) -> str:
        """The body as text: by `encoding`, else by the charset of Content-Type, else UTF-8, else Latin-1."""
        content = self.content
        named = self.encoding or _charset(self.headers.get("content-type", ""))
        if named:
            return content.decode(named, "replace")
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def json(self) -> Any:
        """The body parsed. Raises: ValueError (json.JSONDecodeError) if it is not JSON."""
        content = self.content
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError:
            return stdlib_json.loads(self.text)  # NaN, UTF-16, a byte-order mark; else its error

    def raise_for_status(self) -> None:
        """Raises: RequestFailed if the request counts as failed."""
        error = self.error
        if error is not None:
            raise error

    def iter_content(self, chunk_size: int = 64 * 1024) -> Iterator[bytes]:
        """The decoded body in pieces of at most chunk_size bytes; with stream=True as they arrive.

        Raises: RequestFailed if the body is incomplete, damaged or too large.
        """
        if self.stream is None or self._content is not None:
            content = self.content
            for at in range(0, len(content), chunk_size):
                yield content[at : at + chunk_size]
            return
        for piece in decode_stream(self.stream.pieces(), self._encodings(), self._limit):
            for at in range(0, len(piece), chunk_size):
                yield piece[at : at + chunk_size]

    def iter_lines(self) -> Iterator[bytes]:
        """The decoded body line by line, without line ends."""
        rest = b""
        for piece in self.iter_content():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.removesuffix(b"\r")
        if rest:
            yield rest

    def close(self) -> None:
        """End a streamed body; the connection is closed unless the body was read completely."""
        if self.stream is not None:
            self.stream.close()

    def _encodings(self) -> str:
        lower_head = self._head.lower()
        if "\ncontent-encoding:" not in lower_head:
            return ""
        return ", ".join(header_values(self._head, lower_head, "\ncontent-encoding:"))

    def success(self) -> None:
        raise ValueError("success() needs catch_response=True and a with block")

    def failure(self, exc: object) -> None:
        raise ValueError(f"failure({exc!r}) needs catch_response=True and a with block")


class CaughtResponse(Response):
    """A response whose success the customer decides inside a `with` block; recorded once, at its end."""

    __slots__ = ("_report", "_verdict", "js")  # js belongs to Locust's `rest`

    def __init__(
        self,
        exchange: Exchange,
        head: str,
        body: bytes,
        limit: int,
        report: Callable[[Exchange, Response], None],
    ) -> None:
        super().__init__(exchange, head, body, limit)
        self._report: Callable[[Exchange, Response], None] | None = report
        self._verdict: str | None = None
        self.js: Any = None

    def success(self) -> None:
        """Count the request as a success, whatever its status."""
        self._verdict = ""
        self.exchange.decide("", "")

    def failure(self, exc: object) -> None:
        """Count the request as failed, for the reason given."""
        self._verdict = str(exc)
        self.exchange.decide("content", self._verdict[:DETAIL_CHARACTERS])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self.stream is not None:
            self.stream.close()
        if error is not None and self._verdict is None and not self.exchange.cause:
            if isinstance(error, RequestFailed):
                self.exchange.decide(error.cause, error.detail)
            elif isinstance(error, Exception):
                detail = f"{type(error).__name__}: {error}"[:DETAIL_CHARACTERS]
                self.exchange.decide("content", detail)
        self.report()
        return isinstance(error, RequestFailed)

    def report(self) -> None:
        """Report the exchange once; for a streamed body, as it is after the stream."""
        report, self._report = self._report, None
        if report is None:
            return
        stream = self.stream
        if stream is not None:
            self.exchange.ended_at = stream.ended_at
            self.exchange.bytes_received = stream.bytes_received
            failure = stream.failure
            if failure is not None and self._verdict is None:
                self.exchange.decide(failure.cause, failure.detail)
        report(self.exchange, self)

    def __del__(self) -> None:
        self.report()  # without a with block the status decides


def _charset(content_type: str) -> str:
    _, _, named = content_type.lower().partition("charset=")
    name = named.partition(";")[0].strip().strip("\"'")
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError:
        return ""
