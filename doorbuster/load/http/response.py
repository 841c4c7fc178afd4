"""An answer, or the failure in its place, with the interface of requests' Response.

Rules: an answer is parsed and decoded on first use. A request without a usable answer has status_code 0, an
empty body and `error`; its `exchange` has the status line if one was received. Reading a body that is damaged
or decodes to too much raises RequestFailed. By then the request is recorded, unless the body is read inside a
`with` block (catch_response=True) or the settings ask for check_bodies.
"""

from __future__ import annotations

import http.client
import json as stdlib_json
import re
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

import orjson

from doorbuster.load.exchange import Exchange, RequestFailed
from doorbuster.load.http.body_text import charset_of, decoded_lines, lines_of, texts_of
from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.decoding import decode, decode_stream
from doorbuster.load.http.headers import ResponseHeaders, header_values
from doorbuster.load.http.raw_body import RawBody
from doorbuster.load.http.request_target import resolve_target
from doorbuster.load.http.requests_errors import bad_json, failure
from doorbuster.load.http.sent_request import SentRequest
from doorbuster.load.http.stream import BodyStream

_ANSWERED: Final = frozenset(("status_4xx", "status_5xx", "content"))
_LONG_NUMBER: Final = b"0" * 19  # digits; orjson makes a float of an integer beyond 64 bits
_DIGITS_TO_ZERO: Final = bytes.maketrans(b"123456789", b"000000000")
_LINK: Final = re.compile(r"<([^>]*)>([^<]*)")
_LINK_PARAMETER: Final = re.compile(r""";\s*([^\s=;,]+)\s*=\s*("[^"]*"|'[^']*'|[^\s;,"']+)""")


class Response:
    """The answer to a request.

    status_code: 0 without a usable answer. url: of the last request of a chain of redirects. exchange: the
    record. history: the redirects before it. encoding: by Content-Type, else None; set it before `.text` if
    the server's charset is wrong.
    """

    __slots__ = (
        "_body",
        "_content",
        "_encoding",
        "_head",
        "_headers",
        "_history",
        "_limit",
        "_raw",
        "_request",
        "_sent",
        "connection_of_hook",
        "exchange",
        "status_code",
        "stream",
        "url",
    )

    def __init__(self, exchange: Exchange, head: str, body: bytes, limit: int, sent: bytes = b"") -> None:
        self.exchange = exchange
        self.url = exchange.url
        self._sent = sent
        self.connection_of_hook: Any = None
        self._request: Any = None
        self._raw: Any = None
        self.status_code = exchange.status if not exchange.cause or exchange.cause in _ANSWERED else 0
        self._history: list[Response] | None = None
        self._encoding: str | None = None
        self.stream: BodyStream | None = None
        self._head = head
        self._body = body
        self._limit = limit
        self._content: bytes | None = None
        self._headers: ResponseHeaders | None = None

    def __repr__(self) -> str:
        return f"<Response [{self.status_code or self.exchange.cause}]>"

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
            return failure(exchange.cause, f"{exchange.status} {self.reason}".rstrip(), self)
        return failure(exchange.cause, exchange.detail, self)

    @property
    def request(self) -> Any:
        """The request of this answer, as it was sent; or the one that a hook of an auth object set."""
        return SentRequest(self.url, self._sent) if self._request is None else self._request

    @request.setter
    def request(self, request: Any) -> None:
        self._request = request

    @property
    def encoding(self) -> str | None:
        if self._encoding is None:
            return charset_of(self.headers.get("content-type", "")) or None
        return self._encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        self._encoding = encoding

    @property
    def apparent_encoding(self) -> str:
        """The charset that the body seems to have."""
        content = self.content
        for encoding in ("ascii", "utf-8"):
            try:
                content.decode(encoding)
            except UnicodeDecodeError:
                continue
            return encoding
        detector = getattr(sys.modules.get("requests.compat"), "chardet", None)
        found = detector.detect(content)["encoding"] if detector is not None else None
        return found or "iso-8859-1"

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link headers by `rel`, or by URL for a link without one."""
        found = {}
        for url, rest in _LINK.findall(self.headers.get("link", "")):
            link = {"url": url}
            for name, value in _LINK_PARAMETER.findall(rest):
                link[name.lower()] = value.strip("\"'")
            found[link.get("rel") or url] = link
        return found

    @property
    def raw(self) -> RawBody:
        """The body as received, as a file."""
        if self._raw is None:
            stream = self.stream
            whole = stream is None or self._content is not None or bool(self._body)
            pieces = (self._body,) if whole or stream is None else stream.pieces()
            odd: list[str] = []
            decoded = decode_stream(pieces, self._encodings(), self._limit, odd)
            self._raw = RawBody(pieces, decoded, self.status_code, self.reason, self.headers)
        return self._raw  # type: ignore[no-any-return]

    @property
    def is_permanent_redirect(self) -> bool:
        return self.status_code in (301, 308) and "location" in self.headers

    @property
    def next(self) -> None:
        raise AttributeError("next is not supported: request response.headers['location'] instead")

    @property
    def connection(self) -> Any:
        """What a hook of an auth object sends further requests with."""
        if self.connection_of_hook is None:
            raise AttributeError("connection is not supported: send another request with the client")
        return self.connection_of_hook

    @property
    def request_meta(self) -> None:
        raise AttributeError("request_meta is not supported: use name= and context= of the request")

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
    def cookies(self) -> CookieJar:
        """The cookies that this answer sets."""
        jar = CookieJar(1000, time.time)
        target = resolve_target("", self.url)
        for value in self.headers.get_list("set-cookie"):
            jar.store(target, value)
        return jar

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
            encodings = self._encodings()
            try:
                if self.stream is not None:
                    self._body = b"".join(self.stream.pieces())
                self._content = self._body
                if encodings:
                    odd: list[str] = []
                    self._content = None
                    self._content = decode(self._body, encodings, self._limit, odd)
                    self._add_lenient(odd)
            except RequestFailed as failed:
                raise failure(failed.cause, failed.detail, self) from None
        return self._content

    @property
    def text(self) -> str:
        """The body as text: by `encoding`, else by the charset of Content-Type, else UTF-8, else Latin-1."""
        content = self.content
        named = self.encoding
        if named:
            try:
                return content.decode(named, "replace")
            except (LookupError, ValueError):  # a name that is not a charset of texts, such as idna
                pass
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content.decode("latin-1")

    def json(self, **options: Any) -> Any:
        """The body parsed, with the options of json.loads. Raises: ValueError (json.JSONDecodeError)."""
        content = self.content
        if not options and content.translate(_DIGITS_TO_ZERO).find(_LONG_NUMBER) < 0:
            try:
                return orjson.loads(content)
            except orjson.JSONDecodeError:
                pass
        try:
            return stdlib_json.loads(self.text, **options)  # also NaN, a byte-order mark
        except ValueError as error:
            problem = error
        except RecursionError:  # nested thousands of levels deep
            raise bad_json(stdlib_json.JSONDecodeError("nested too deeply", self.text, 0)) from None
        try:
            return stdlib_json.loads(content, **options)  # UTF-16, UTF-32
        except ValueError:
            raise bad_json(problem) from None

    def raise_for_status(self) -> None:
        """Raises: RequestFailed if the request counts as failed."""
        error = self.error
        if error is not None:
            raise error

    def iter_content(
        self, chunk_size: int | None = 64 * 1024, decode_unicode: bool = False, decode_content: bool = True
    ) -> Iterator[Any]:
        """The decoded body in pieces of at most chunk_size bytes; with stream=True as they arrive.

        Args: decode_unicode: yield text. decode_content: False yields the body as received.
        Raises: RequestFailed if the body breaks off, is damaged or too large.
        """
        pieces = self._pieces(chunk_size or 64 * 1024, decode_content)
        if not decode_unicode:
            return pieces
        return texts_of(pieces, self.encoding or "utf-8")

    def iter_lines(
        self,
        chunk_size: int | None = 64 * 1024,
        decode_unicode: bool = False,
        delimiter: str | bytes | None = None,
    ) -> Iterator[Any]:
        """The decoded body line by line, without line ends, or divided at a delimiter.

        Args: decode_unicode: yield text instead of bytes.
        """
        if isinstance(delimiter, str):
            delimiter = delimiter.encode(self.encoding or "utf-8")
        lines = lines_of(self.iter_content(chunk_size), delimiter)
        return decoded_lines(lines, self.encoding or "utf-8") if decode_unicode else lines

    def __iter__(self) -> Iterator[Any]:
        return self.iter_content(128)

    def _pieces(self, chunk_size: int, decoded: bool) -> Iterator[bytes]:
        if not self.status_code:
            return
        if self.stream is None or self._content is not None:
            content = self.content if decoded else self._body
            for at in range(0, len(content), chunk_size):
                yield content[at : at + chunk_size]
            return
        odd: list[str] = []
        encodings = self._encodings() if decoded else ""
        try:
            for piece in decode_stream(self.stream.pieces(), encodings, self._limit, odd):
                for at in range(0, len(piece), chunk_size):
                    yield piece[at : at + chunk_size]
        except RequestFailed as failed:
            raise failure(failed.cause, failed.detail, self) from None
        self._add_lenient(odd)

    def _add_lenient(self, odd: list[str]) -> None:
        new = [what for what in odd if what not in self.exchange.lenient]
        if new:
            self.exchange.lenient = ", ".join((self.exchange.lenient, *new) if self.exchange.lenient else new)

    def close(self) -> None:
        """End a streamed body; its connection is closed unless the body was read to its end."""
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
