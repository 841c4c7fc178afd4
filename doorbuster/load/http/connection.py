"""One connection: sends a request, reads its answer and says whether the connection can be reused.

llhttp (through httptools) decides what an answer is and where it ends. It calls back only for the body and
the borders of messages; the head is kept as text and parsed on first use, so a request costs no Python call
per header. An answer that llhttp refuses is read again by the rules of `lenient.py`.

Rules: bytes after the end of a response, a parser error, an incomplete response and an exception thrown into
the waiting greenlet make the connection unusable. A response that ends with the connection is complete only
if it had neither a length nor chunks. Interim responses (1xx) are skipped.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any, Final

import httptools

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.gevent_socket import RECEIVE_BYTES, GeventSocket
from doorbuster.load.http.headers import ResponseHeaders
from doorbuster.load.http.lenient import ChunkNormaliser, read_head
from doorbuster.load.http.tls import TlsChannel, tls_detail

_END_OF_HEAD: Final = b"\r\n\r\n"
_MAX_KEPT_BYTES: Final = 256 * 1024  # of an answer, to read it again leniently
_H: Final = ord("H")
_1: Final = ord("1")


class Connection(GeventSocket):
    """An open connection to one origin, used by one request at a time.

    After `exchange` or `read`: complete, and if so status; head (without the empty line), chunks[:body_parts]
    (the body as it came over the wire), received (bytes), first_byte_at (clock), lenient (what was odd about
    the answer, or ""). `unsent` says that the last request did not leave this machine. `delivered`: bytes of
    the body that a stream has taken from `chunks`. `session_reads`: how often its TLS session is still read.

    `_untouched` tells whether anything followed the answer, at no cost in Python: the end of the answer adds
    one item, and llhttp's callback for the beginning of any message is the list's own `clear`.
    """

    __slots__ = (
        "_channel",
        "_head_only",
        "_is_clear",
        "_kept",
        "_kept_alive",
        "_max_body",
        "_max_head",
        "_normaliser",
        "_notes",
        "_parser",
        "_partial",
        "_queued",
        "_refusal",
        "_untouched",
        "_unusual",
        "body_parts",
        "chunks",
        "complete",
        "delivered",
        "encrypted",
        "first_byte_at",
        "head",
        "lenient",
        "on_body",
        "on_message_begin",
        "received",
        "session_reads",
        "status",
        "total_deadline",
        "unsent",
    )

    def __init__(
        self,
        sock: socket.socket,
        clock: Callable[[], float],
        *,
        max_head_bytes: int,
        max_body_bytes: int,
    ) -> None:
        super().__init__(sock, clock)
        self._channel: socket.socket | TlsChannel = sock
        self._max_head = max_head_bytes
        self._max_body = max_body_bytes
        self._partial = self._queued = b""
        self._kept: list[bytes] = []
        self._refusal = ""
        self._is_clear = True
        self._notes: tuple[str, ...] = ()
        self._normaliser: ChunkNormaliser | None = None
        self._head_only = False
        self._unusual = False
        self._kept_alive = False
        self._untouched: list[bool] = []
        self.encrypted = False
        self.session_reads = 2
        self.status = 0
        self.chunks: list[bytes] = []
        self.body_parts = 0
        self.complete = True
        self.head: str | None = None
        self.lenient = ""
        self.delivered = 0
        self.received = 0
        self.first_byte_at = 0.0
        self.total_deadline = 0.0
        self.unsent = False
        self.on_body = self.chunks.append
        self.on_message_begin = self._untouched.clear
        self._parser: Any = httptools.HttpResponseParser(self)

    @property
    def tls(self) -> ssl.SSLObject | None:
        return self._channel.tls if isinstance(self._channel, TlsChannel) else None

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str, session: ssl.SSLSession | None
    ) -> ssl.SSLObject:
        """Start encryption. Raises: RequestFailed("tls", "reset" or the timeout)."""
        channel = TlsChannel(self.socket, context, server_hostname, session, self.wait)
        try:
            channel.handshake()
        except OSError as error:
            raise RequestFailed("reset", f"during the TLS handshake: {error.strerror or error}") from None
        self._channel = channel
        self.encrypted = True
        return channel.tls

    def send_now(self, data: bytes) -> bool:
        """Send as much of this as the socket accepts now, and keep the rest for the next call.

        For other protocols. Returns whether nothing is left. Raises: RequestFailed("reset" or "tls").
        """
        channel = self._channel
        try:
            if isinstance(channel, TlsChannel):
                return channel.send_now(data)
            self._queued += data
            while self._queued:
                sent = channel.send(self._queued)
                self._queued = self._queued[sent:]
        except BlockingIOError:
            return False
        except OSError as error:
            raise _broken(error, "while sending") from None
        return True

    def receive_now(self) -> bytes:
        """Bytes of another protocol that have arrived; b"" at the end.

        Raises: BlockingIOError if none have arrived, RequestFailed("reset" or "tls").
        """
        try:
            return self._channel.recv(RECEIVE_BYTES)
        except BlockingIOError:
            raise
        except OSError as error:
            raise _broken(error, "while receiving") from None

    def is_alive(self) -> bool:
        """Whether the server has not closed it, as far as known; unexpected bytes count as closed."""
        self.suspect = False
        if not self.encrypted:
            return not self.is_readable()
        try:
            self._channel.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return True
        except (OSError, RequestFailed):
            return False
        return False

    def exchange(
        self,
        request: bytes,
        head_only: bool,
        stream: bool,
        first_byte_deadline: float,
        total_deadline: float,
    ) -> None:
        """Send the request and read its response, or with `stream` only the head. Raises: RequestFailed."""
        self.chunks.clear()
        self.complete = self.unsent = self._kept_alive = False
        self.head = None
        self.received = 0
        self._head_only = self._unusual = head_only
        if self._kept or self.lenient or self.delivered:
            self._forget_last_answer()
        self.total_deadline = total_deadline
        if first_byte_deadline < total_deadline:
            self.deadline = first_byte_deadline
            self.timeout_cause = "first_byte_timeout"
        else:
            self.deadline = total_deadline
            self.timeout_cause = "total_timeout"
        try:
            sent = self._channel.send(request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.unsent = True
            raise _broken(error, "while sending") from None
        if sent != len(request):
            self._send_rest(memoryview(request)[sent:])
        self.read(stream)

    def read(self, stream: bool) -> None:
        """Read until the response is complete, or with `stream` until there is a head and one more piece."""
        parser = self._parser
        receive = self._channel.recv
        wait = not self.encrypted
        while not self.complete:
            if wait:
                self.wait_readable()
            try:
                data = receive(RECEIVE_BYTES)
            except BlockingIOError:
                wait = True
                continue
            except OSError as error:
                raise _broken(error, self._progress()) from None
            count = len(data)
            wait = count < RECEIVE_BYTES and not self.encrypted
            if self.received:
                self.received += count
            elif count:
                self.received = count
                self.first_byte_at = self._clock()
                self.deadline = self.total_deadline
                self.timeout_cause = "total_timeout"
            if not count:
                self._end_of_stream()
                return
            piece = data
            if self.head is None and not self._refusal:
                end = data.find(_END_OF_HEAD)
                if 0 < end <= self._max_head and data[0] == _H and data[9] != _1 and not self._unusual:
                    self.head = data[:end].decode("latin-1")
                else:
                    data = self._take_head(data)
            try:
                if self._refusal and not self.lenient:
                    parser = self._read_leniently(piece, self._refusal)
                else:
                    parser.feed_data(data if self._normaliser is None else self._normalised(data))
            except httptools.HttpParserError as error:
                if self.complete:
                    self._kept_alive = False
                else:
                    parser = self._read_leniently(piece, str(error))
            except httptools.HttpParserUpgrade:
                raise RequestFailed("bad_response", "the server switched protocols unasked") from None
            if self._head_only:
                self._end_head_only(count - len(data))
            elif self.received > self._max_body:
                self._check_size()
            if not self.complete:
                if self.received - count < _MAX_KEPT_BYTES:
                    self._kept.append(piece)
            elif self._kept:
                self._kept.clear()
            if stream and self.head is not None:
                return

    def is_reusable(self) -> bool:
        """Whether it can be reused: the response ended, allows it, and nothing followed."""
        return self._kept_alive and bool(self._untouched)

    def close(self) -> None:
        super().close()
        self._parser = None  # breaks a reference cycle: the parser holds bound methods of this object
        self._channel = self.socket

    def on_message_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        if not self.complete and not 100 <= status < 200:
            self.complete = True
            self.status = status
            self.body_parts = len(self.chunks)
            self._kept_alive = (
                parser.should_keep_alive() and self._is_clear
            )  # llhttp forgets it after this call
            self._untouched.append(True)

    def _forget_last_answer(self) -> None:
        """After an answer that came in pieces or was read leniently: free its bytes, be strict again."""
        self._kept.clear()
        self.delivered = 0
        if self._refusal:
            self._refusal = self.lenient = ""
            self._normaliser = None
            self._is_clear = True
            self._parser = httptools.HttpResponseParser(self)

    def _read_leniently(self, piece: bytes, refusal: str) -> Any:
        """Read the answer again from its first byte; the parser for what is still to come.

        Raises: RequestFailed("bad_response") if it cannot be read leniently either.
        """
        if self.lenient or self.received - len(piece) > sum(map(len, self._kept)):
            raise RequestFailed("bad_response", refusal)
        self._refusal = refusal
        data = b"".join((*self._kept, piece))
        found = read_head(data, refusal)
        if found is None:
            self.head = None
            if len(data) > self._max_head:
                raise RequestFailed("too_large", f"headers of more than {self._max_head:,} bytes")
            return self._parser
        if found.end > self._max_head:
            raise RequestFailed("too_large", f"headers of more than {self._max_head:,} bytes")
        self.head = found.head
        self.lenient = ", ".join(found.notes) or refusal
        self._is_clear = found.is_clear and bool(found.notes)
        self._notes = found.notes
        self._partial = b""
        self._normaliser = ChunkNormaliser(refusal) if found.is_chunked and not self._head_only else None
        parser = self._parser = httptools.HttpResponseParser(self)
        self.chunks.clear()
        body = b"" if self._head_only else self._normalised(data[found.end :])
        try:
            parser.feed_data(found.for_parser + body)
        except httptools.HttpParserError as error:
            if not self.complete:
                raise RequestFailed("bad_response", str(error)) from None
            self._kept_alive = False
        if self.delivered:
            rest = b"".join(self.chunks)[self.delivered :]
            self.chunks[:] = [rest] if rest else []
            if self.complete:
                self.body_parts = len(self.chunks)
        if self._head_only and len(data) > found.end:
            self._is_clear = False
        return parser

    def _normalised(self, data: bytes) -> bytes:
        """The body's bytes for the parser, after a head that was read leniently."""
        normaliser = self._normaliser
        if normaliser is None:
            return data
        data = normaliser.feed(data)
        if normaliser.odd:
            self._is_clear = False
            self.lenient = ", ".join((*self._notes, *normaliser.odd))
        return data

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self.wait_writable()
            try:
                sent = self._channel.send(rest)
                rest = rest[sent:]
            except BlockingIOError:
                continue
            except OSError:
                return  # the server may have responded before it read everything: read that response

    def _take_head(self, data: bytes) -> bytes:
        """Handle an unusual head: in pieces, after interim responses, of HEAD. Returns what to parse."""
        before = len(self._partial)
        self._partial += data
        found = _final_head(self._partial)
        if (len(self._partial) if found is None else found[1]) > self._max_head:
            raise RequestFailed("too_large", f"headers of more than {self._max_head:,} bytes")
        if found is None:
            self._unusual = True
            return data
        self._partial = b""
        self.head, end = found
        self._unusual = self._head_only
        return data[: end - before] if self._head_only else data

    def _end_head_only(self, more: int) -> None:
        """A response to HEAD ends with its head, even if that announces a body."""
        parser = self._parser
        if self.head is not None:
            if not self.complete:
                self._kept_alive = parser.should_keep_alive() and self._is_clear
                self._untouched.append(True)
                self.status = parser.get_status_code()
                self.complete = True
            self.body_parts = 0
            self._kept_alive = self._kept_alive and not more
            self._parser = httptools.HttpResponseParser(self)  # the old one still expects a body

    def _end_of_stream(self) -> None:
        if self.head is None:
            if self._refusal:
                raise RequestFailed("bad_response", self._refusal)
            raise RequestFailed("closed_early", f"closed {self._progress()}")
        headers = ResponseHeaders(self.head)
        chunked = headers.get("transfer-encoding", "").lower().rstrip().endswith("chunked")
        if chunked or "content-length" in headers:
            raise RequestFailed("closed_early", f"closed {self._progress()}")
        self.complete = True
        self.status = int(self.head[9:12])
        self.body_parts = len(self.chunks)

    def _check_size(self) -> None:
        if self.head is not None and self.received - len(self.head) > self._max_body:
            raise RequestFailed("too_large", f"a body of more than {self._max_body:,} bytes")

    def _progress(self) -> str:
        if not self.received:
            return "before any byte of the answer"
        return "in the headers" if self.head is None else "in the body"


def _final_head(data: bytes) -> tuple[str, int] | None:
    """The head of the final response and the offset of its body; interim responses are skipped."""
    start = 0
    while True:
        end = data.find(_END_OF_HEAD, start)
        if end < 0:
            return None
        head = data[start:end].lstrip(b"\r\n")
        if head and head[9:10] != b"1":
            return head.decode("latin-1"), end + 4
        start = end + 4


def _broken(error: OSError, when: str) -> RequestFailed:
    if isinstance(error, ssl.SSLError):
        return RequestFailed("tls", tls_detail(error))
    return RequestFailed("reset", f"{error.strerror or error} {when}")
