"""One HTTP/2 connection: requests of one customer as streams over a connection that all of them share.

Any number of greenlets may wait for their answers; one of them reads for all, and when its own answer is
complete, another one goes on. h2 reads and writes the frames.
Source: RFC 9113.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import gevent
from gevent.event import Event as Flag

from doorbuster.errors import UsageError
from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.protocols.goaway_filter import GoawayFilter

try:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.errors import ErrorCodes
    from h2.events import (
        DataReceived,
        Event,
        ResponseReceived,
        StreamEnded,
        StreamReset,
        TrailersReceived,
    )
    from h2.exceptions import ProtocolError
    from h2.settings import SettingCodes, Settings
except ImportError as missing:
    raise UsageError("HTTP/2 and gRPC need a library: pip install 'doorbuster[http2]'") from missing

WINDOW_BYTES = 16 * 1024 * 1024  # that the server may send before it hears from us, as browsers allow
FULL_PAUSE_S = 0.002  # until a full socket is looked at again
REFUSED = "refused_stream"
HeaderFields = Sequence[tuple[str, str]]


class Http2Stream:
    """One request and its answer. `received`: bytes on the wire, as far as they are this stream's."""

    __slots__ = (
        "body_length",
        "chunks",
        "ended",
        "failure",
        "fields",
        "first_byte_at",
        "news",
        "received",
        "status",
        "trailers",
    )

    def __init__(self) -> None:
        self.status = 0
        self.fields: HeaderFields = ()
        self.trailers: HeaderFields = ()
        self.chunks: list[bytes] = []
        self.body_length = self.received = 0
        self.first_byte_at = 0.0
        self.ended = False
        self.failure: RequestFailed | None = None
        self.news = Flag()


class Http2Connection:
    """Takes over an open connection that has negotiated h2. `is_closing`: it takes no further requests."""

    def __init__(self, connection: Connection, clock: Callable[[], float], *, max_body_bytes: int) -> None:
        self.is_closing = self._is_closed = False
        self._connection = connection
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._streams: dict[int, Http2Stream] = {}
        self._queue: list[Http2Stream] = []  # requests that wait for a place
        self._is_read = False
        self._frames = GoawayFilter()
        self._h2 = H2Connection(H2Configuration(
            client_side=True, header_encoding="latin-1", validate_outbound_headers=False,
            normalize_outbound_headers=False,
        ))  # fmt: skip
        self._h2.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES},
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        self._flush()

    @property
    def in_use(self) -> int:
        """Requests without a complete answer."""
        return len(self._streams)

    def request(
        self, fields: HeaderFields, body: bytes, *, first_byte_deadline: float, total_deadline: float
    ) -> Http2Stream:
        """Send a request and wait for its answer.

        Raises: RequestFailed, with the cause REFUSED if the server has certainly not seen the request.
        """
        stream = Http2Stream()
        self._queue.append(stream)
        try:
            self._wait(stream, total_deadline, "total_timeout", until=self._has_room)
        finally:
            self._queue.remove(stream)
        if self.is_closing:
            raise RequestFailed(REFUSED, "the server is closing the connection")
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, fields, end_stream=not body)
        except ProtocolError as error:
            raise RequestFailed(REFUSED, f"HTTP/2: {error}") from None
        self._streams[number] = stream
        try:
            self._flush()
            self._send_body(number, stream, body, total_deadline)
            if first_byte_deadline < total_deadline:
                self._wait(stream, first_byte_deadline, "first_byte_timeout",
                           until=lambda: bool(stream.status) or stream.ended)  # fmt: skip
            self._wait(stream, total_deadline, "total_timeout", until=lambda: stream.ended)
        except BaseException:
            self._abandon(number)
            raise
        finally:
            self._streams.pop(number, None)
            self._hand_over()
            if self.is_closing:
                self.retire()
        if stream.failure is not None:
            raise stream.failure
        return stream

    def _has_room(self) -> bool:
        return self.is_closing or self.in_use < self._h2.remote_settings.max_concurrent_streams

    def retire(self) -> None:
        """Take no further requests, and close as soon as none is under way."""
        self.is_closing = True
        if not self._streams:
            self.close()

    def close(self) -> None:
        """Close it; requests under way fail."""
        self.is_closing = True
        if not self._is_closed:
            self._is_closed = True
            self._connection.close()

    # ---- inside

    def _send_body(self, number: int, stream: Http2Stream, body: bytes, deadline: float) -> None:
        """Send the body as the server's windows allow it."""
        at = 0
        while at < len(body) and not stream.ended:
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._wait(stream, deadline, "total_timeout", until=lambda: self._may_send(number, stream))
                continue
            while self._is_read and not self._connection.is_writable():
                gevent.sleep(FULL_PAUSE_S)  # one greenlet at a time can wait for the socket
                if self._clock() > deadline:
                    raise RequestFailed("total_timeout", "the server does not read the body")
            piece = body[at : at + room]
            at += len(piece)
            self._h2.send_data(number, piece, end_stream=at == len(body))
            self._flush()

    def _may_send(self, number: int, stream: Http2Stream) -> bool:
        return stream.ended or self._h2.local_flow_control_window(number) > 0

    def _wait(self, stream: Http2Stream, deadline: float, cause: str, *, until: Callable[[], bool]) -> None:
        """Read, or wait for the greenlet that reads, until something holds. Raises: RequestFailed(cause)."""
        while not until():
            if self._clock() > deadline:
                raise RequestFailed(cause, "")
            if self._is_read:
                left = None if deadline == inf else max(deadline - self._clock(), 0.0)
                stream.news.clear()
                if not stream.news.wait(left):
                    raise RequestFailed(cause, "")
                continue
            self._is_read = True
            try:
                self._connection.deadline, self._connection.timeout_cause = deadline, cause
                self._take(self._connection.receive_raw(), stream)
            except RequestFailed as failure:
                if failure.cause != cause:
                    self._fail(failure)
                raise
            finally:
                self._is_read = False

    def _take(self, data: bytes, reader: Http2Stream) -> None:
        if not data:
            self._fail(RequestFailed("closed_early", "the server closed the connection"))
            return
        at, owner = self._clock(), reader
        try:
            events = self._h2.receive_data(self._frames.feed(data))
        except ProtocolError as error:
            self._fail(RequestFailed("bad_response", f"HTTP/2: {error}"))
            return
        for event in events:
            owner = self._handle(event, at) or owner
        if self._frames.last_stream_id is not None:
            self._go_away(self._frames.last_stream_id)
        owner.received += len(data)
        self._flush()

    def _handle(self, event: Event, at: float) -> Http2Stream | None:
        """Apply one event; returns its stream."""
        stream = self._streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            if isinstance(event, DataReceived):  # of a request that was abandoned
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            return None
        if not stream.first_byte_at:
            stream.first_byte_at = at
        if isinstance(event, ResponseReceived):
            fields = [(str(name), str(value)) for name, value in event.headers]
            stream.status = int(fields[0][1])
            stream.fields = fields[1:]
        elif isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            stream.chunks.append(event.data)
            stream.body_length += len(event.data)
            if stream.body_length > self._max_body_bytes:
                self._end(
                    stream, RequestFailed("too_large", f"the body exceeds {self._max_body_bytes} bytes")
                )
        elif isinstance(event, TrailersReceived):
            stream.trailers = [(str(name), str(value)) for name, value in event.headers]
        elif isinstance(event, StreamEnded):
            self._end(stream, None)
        elif isinstance(event, StreamReset):
            refused = event.error_code == ErrorCodes.REFUSED_STREAM
            cause = REFUSED if refused else "reset"
            self._end(
                stream, RequestFailed(cause, f"HTTP/2: the server reset the stream ({event.error_code})")
            )
        else:
            return stream
        stream.news.set()
        return stream

    def _go_away(self, last: int) -> None:
        """The server ends the connection: it has not seen the requests after the last one that it names."""
        self.is_closing = True
        for number, stream in self._streams.items():
            if number > last:
                self._end(stream, RequestFailed(REFUSED, "the server is closing the connection"))

    @staticmethod
    def _end(stream: Http2Stream, failure: RequestFailed | None) -> None:
        if not stream.ended:
            stream.ended, stream.failure = True, failure
        stream.news.set()

    def _fail(self, failure: RequestFailed) -> None:
        """The connection has ended: so have all requests on it."""
        self.is_closing = True
        for stream in self._streams.values():
            if failure.cause == "closed_early" and not stream.first_byte_at:
                self._end(
                    stream, RequestFailed("reset", "the server closed the connection without an answer")
                )
            else:
                self._end(stream, failure)

    def _abandon(self, number: int) -> None:
        """Tell the server that nobody waits for this answer any more."""
        stream = self._streams.get(number)
        if stream is None or stream.ended or self.is_closing:
            return
        try:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
            self._flush()
        except (ProtocolError, RequestFailed):
            self.is_closing = True

    def _hand_over(self) -> None:
        """Wake those who wait: one of them reads on, and places for new requests are free."""
        for stream in (*self._streams.values(), *self._queue):
            stream.news.set()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._connection.send_raw(data)
