"""One connection: send a request, read its answer, say whether the connection may serve again.

llhttp (through httptools) decides what is an answer and where it ends. It is told to call back for the body
and the borders of messages only; the head is kept as bytes and parsed when somebody looks, so a request costs
no Python call per header.

Rules: bytes after the end of an answer, a parser error, an answer that broke off, and anything thrown into
the waiting greenlet make the connection unusable. An answer that ends with the connection is complete only if
it had neither a length nor chunks. Interim answers (1xx) are skipped.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Final

import httptools

from doorbuster.load.http.exchange import RequestFailed
from doorbuster.load.http.headers import ResponseHeaders
from doorbuster.load.http.tls import TlsChannel, tls_detail
from doorbuster.load.http.waiting import RECEIVE_BYTES, WaitingSocket, Wire

_END_OF_HEAD: Final = b"\r\n\r\n"
_H: Final = ord("H")
_1: Final = ord("1")


class Connection(WaitingSocket):
    """An open connection to one origin, used by one request at a time.

    After `exchange` or `read`: head (raw, without the empty line), chunks[:body_parts] (the body as it came
    over the wire), received (bytes), first_byte_at (clock). `unsent` says that the last request did not
    leave this machine.
    """

    __slots__ = (
        "_channel",
        "_excess",
        "_head_only",
        "_kept_alive",
        "_max_body",
        "_max_head",
        "_parser",
        "_partial",
        "_wire",
        "body_parts",
        "chunks",
        "complete",
        "first_byte_at",
        "head",
        "on_body",
        "received",
        "total_deadline",
        "unsent",
    )

    def __init__(
        self,
        sock: socket.socket,
        wire: Wire,
        clock: Callable[[], float],
        *,
        max_head_bytes: int,
        max_body_bytes: int,
    ) -> None:
        super().__init__(sock, clock)
        self._channel: socket.socket | TlsChannel = sock
        self._wire = wire
        self._max_head = max_head_bytes
        self._max_body = max_body_bytes
        self._parser: httptools.HttpResponseParser | None = None
        self._partial = b""
        self._head_only = False
        self._kept_alive = False
        self._excess = False
        self.chunks: list[bytes] = []
        self.on_body = self.chunks.append
        self.body_parts = 0
        self.complete = True
        self.head: bytes | None = None
        self.received = 0
        self.first_byte_at = 0.0
        self.total_deadline = 0.0
        self.unsent = False

    @property
    def encrypted(self) -> bool:
        return self._channel is not self.socket

    @property
    def tls(self) -> ssl.SSLObject | None:
        return self._channel.tls if isinstance(self._channel, TlsChannel) else None

    def start_tls(
        self, context: ssl.SSLContext, server_hostname: str, session: ssl.SSLSession | None
    ) -> ssl.SSLObject:
        """Encrypt from here on. Raises: RequestFailed("tls", "reset" or the timeout)."""
        channel = TlsChannel(self.socket, context, server_hostname, session, self.wait, self._wire.records)
        try:
            channel.handshake()
        except OSError as error:
            raise RequestFailed("reset", f"during the TLS handshake: {error.strerror or error}") from None
        self._channel = channel
        return channel.tls

    def is_alive(self) -> bool:
        """Whether the other side has not closed, as far as we can know; stray bytes count as closed."""
        self.suspect = False
        try:
            if self.encrypted:
                self._channel.recv_into(self._wire.buffer)
            else:
                self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
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
        """Send the request and read its answer, or with `stream` only its head. Raises: RequestFailed."""
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self.chunks.clear()
        self.complete = self._excess = self.unsent = False
        self.head = None
        self.received = 0
        self._head_only = head_only
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
        self.read(stream=stream)

    def read(self, *, stream: bool) -> None:
        """Read until the answer is complete, or with `stream` until there is a head and one more piece."""
        buffer = self._wire.buffer
        view = self._wire.view
        parser = self._parser
        assert parser is not None
        wait = not self.encrypted
        while not self.complete:
            if wait:
                self.wait_readable()
            try:
                count = self._channel.recv_into(buffer)
            except BlockingIOError:
                wait = True
                continue
            except OSError as error:
                raise _broken(error, self._progress()) from None
            wait = count < RECEIVE_BYTES and not self.encrypted
            if not count:
                self._end_of_stream()
                return
            if not self.received:
                self.first_byte_at = self._clock()
                self.deadline = self.total_deadline
                self.timeout_cause = "total_timeout"
            self.received += count
            fed = count if self.head is not None else self._take_head(count)
            try:
                parser.feed_data(view[:fed])
            except httptools.HttpParserError as error:
                if not self.complete:
                    raise RequestFailed("bad_response", str(error)) from None
                self._excess = True
            except httptools.HttpParserUpgrade:
                raise RequestFailed("bad_response", "the server switched protocols unasked") from None
            if self._head_only and self.head is not None:
                if not self.complete:
                    self.complete = True
                    self._kept_alive = parser.should_keep_alive()
                self.body_parts = 0
                self._excess = self._excess or fed != count
            if self.received > self._max_body and not self.complete:
                self._check_size()
            if stream and self.head is not None:
                return

    def is_reusable(self) -> bool:
        """Whether the next request may follow on this connection; call it once after each answer."""
        if self._head_only:
            self._parser = None  # it still expects the body that HEAD does not have
        return self.complete and self._kept_alive and not self._excess

    def close(self) -> None:
        super().close()
        self._parser = (
            None  # the parser holds our bound methods: without this, memory waits for the collector
        )
        self._channel = self.socket

    def on_message_begin(self) -> None:
        if self.complete:
            self._excess = True

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser is not None and not self.complete and not 100 <= parser.get_status_code() < 200:
            self.complete = True
            self.body_parts = len(self.chunks)
            self._kept_alive = parser.should_keep_alive()  # llhttp forgets it when this call returns

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self.wait_writable()
            try:
                rest = rest[self._channel.send(rest) :]
            except BlockingIOError:
                continue
            except OSError:
                return  # the server may have answered before it read everything: its answer tells more

    def _take_head(self, count: int) -> int:
        """Keep the head if it ends in this piece; how many of its bytes the parser may see."""
        buffer = self._wire.buffer
        end = buffer.find(_END_OF_HEAD, 0, count)
        if 0 < end <= self._max_head and not self._partial and buffer[0] == _H and buffer[9] != _1:
            self.head = bytes(self._wire.view[:end])
            return end + 4 if self._head_only else count
        before = len(self._partial)
        self._partial += bytes(self._wire.view[:count])
        found = _final_head(self._partial)
        if (len(self._partial) if found is None else found[1]) > self._max_head:
            self._partial = b""
            raise RequestFailed("too_large", f"headers of more than {self._max_head:,} bytes")
        if found is None:
            return count
        self._partial = b""
        self.head, end = found
        return end - before if self._head_only else count

    def _end_of_stream(self) -> None:
        if self.head is None:
            self._partial = b""
            raise RequestFailed("closed_early", f"closed {self._progress()}")
        headers = ResponseHeaders(self.head)
        chunked = headers.get("transfer-encoding", "").lower().rstrip().endswith("chunked")
        if chunked or "content-length" in headers:
            raise RequestFailed("closed_early", f"closed {self._progress()}")
        self.complete = self._excess = True
        self.body_parts = len(self.chunks)

    def _check_size(self) -> None:
        if self.head is not None and self.received - len(self.head) > self._max_body:
            raise RequestFailed("too_large", f"a body of more than {self._max_body:,} bytes")

    def _progress(self) -> str:
        if not self.received:
            return "before any byte of the answer"
        if self.head is None:
            return f"in the headers, after {self.received:,} bytes"
        return f"in the body, after {self.received:,} bytes of answer"


def _final_head(data: bytes) -> tuple[bytes, int] | None:
    """The head of the final answer and where its body starts; interim answers before it are skipped."""
    start = 0
    while True:
        end = data.find(_END_OF_HEAD, start)
        if end < 0:
            return None
        head = data[start:end].lstrip(b"\r\n")
        if head and head[9:10] != b"1":
            return head, end + 4
        start = end + 4


def _broken(error: OSError, when: str) -> RequestFailed:
    if isinstance(error, ssl.SSLError):
        return RequestFailed("tls", tls_detail(error))
    return RequestFailed("reset", f"{error.strerror or error} {when}")
