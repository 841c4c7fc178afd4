"""One HTTP/2 connection: requests of one customer as streams over a connection that all of them share.

h2 reads and writes the frames. Pings, settings and announcements of the server are handled when they arrive,
also while the customer thinks.
Source: RFC 9113.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gevent.event import Event as Flag

from doorbuster.errors import UsageError
from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.connection import Connection
from doorbuster.load.protocols.goaway_filter import GoawayFilter
from doorbuster.load.protocols.http2_fields import Field, problem_of
from doorbuster.load.protocols.live_connection import LiveConnection, wait_for

try:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.errors import ErrorCodes
    from h2.events import (
        DataReceived,
        Event,
        RemoteSettingsChanged,
        ResponseReceived,
        StreamEnded,
        StreamReset,
        TrailersReceived,
        WindowUpdated,
    )
    from h2.exceptions import DenialOfServiceError, ProtocolError
    from h2.settings import SettingCodes, Settings
except ImportError as missing:
    raise UsageError("HTTP/2 and gRPC need a library: pip install 'doorbuster[http2]'") from missing

WINDOW_BYTES = 16 * 1024 * 1024  # that the server may send before it hears from us, as browsers allow
UNSTATED_STREAMS = 100  # at once, until the server states its limit; no server should have a lower one
REFUSED = "refused_stream"
NEEDS_HTTP1 = "http_1_1_required"


class Http2Stream:
    """One request and its answer.

    received: bytes on the wire, as far as they are this stream's. is_sent: its headers were sent.
    is_over: the server has ended or reset it.
    """

    __slots__ = (
        "body_length",
        "chunks",
        "ended",
        "failure",
        "fields",
        "first_byte_at",
        "is_over",
        "is_sent",
        "news",
        "received",
        "status",
        "trailers",
    )

    def __init__(self) -> None:
        self.status = 0
        self.fields: Sequence[Field] = ()
        self.trailers: Sequence[Field] = ()
        self.chunks: list[bytes] = []
        self.body_length = self.received = 0
        self.first_byte_at = 0.0
        self.ended = self.is_over = self.is_sent = False
        self.failure: RequestFailed | None = None
        self.news = Flag()

    def end(self, failure: RequestFailed | None) -> None:
        """Complete, or failed; what comes later changes nothing."""
        if not self.ended:
            self.ended, self.failure = True, failure
        self.news.set()


class Http2Connection:
    """Takes over an open connection that has negotiated h2.

    is_closing: it takes no further requests. tls: its encryption, also after the end.
    """

    def __init__(
        self,
        connection: Connection,
        clock: Callable[[], float],
        *,
        max_head_bytes: int,
        max_body_bytes: int,
    ) -> None:
        self.is_closing = False
        self.tls = connection.tls
        self._clock = clock
        self._max_body_bytes = max_body_bytes
        self._max_streams = UNSTATED_STREAMS
        self._streams: dict[int, Http2Stream] = {}
        self._queue: list[Http2Stream] = []  # requests that wait for a place
        self._frames = GoawayFilter()
        self._h2 = H2Connection(H2Configuration(
            client_side=True, header_encoding=None, validate_inbound_headers=False,
            validate_outbound_headers=False, normalize_outbound_headers=False,
        ))  # fmt: skip
        self._h2.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.INITIAL_WINDOW_SIZE: WINDOW_BYTES,
                SettingCodes.MAX_HEADER_LIST_SIZE: max_head_bytes,
            },
        )
        self._h2.decoder.max_header_list_size = max_head_bytes
        self._live = LiveConnection(
            connection, on_bytes=self._take, on_end=self._fail, on_sent=self._wake_all
        )
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(WINDOW_BYTES)
        self._live.read()
        self._flush()

    @property
    def in_use(self) -> int:
        """Requests without a complete answer."""
        return len(self._streams)

    def request(
        self,
        stream: Http2Stream,
        fields: Sequence[Field],
        body: bytes,
        *,
        first_byte_deadline: float,
        total_deadline: float,
    ) -> None:
        """Send a request and wait for its answer, which the stream then has; a part of it after a failure.

        Raises: RequestFailed, with the cause REFUSED if the server has certainly not seen the request.
        """
        self._wait_for_place(stream, total_deadline)
        if self.is_closing:
            raise RequestFailed(REFUSED, self._why_closing())
        try:
            number = self._h2.get_next_available_stream_id()
            self._h2.send_headers(number, fields, end_stream=not body)
        except ProtocolError as error:
            self.is_closing = True  # such as after the last possible number of a stream
            raise RequestFailed(REFUSED, f"HTTP/2: {error}") from None
        self._streams[number] = stream
        is_whole = False
        try:
            self._flush()
            stream.is_sent = not self.is_closing
            is_whole = self._send_body(number, stream, body, total_deadline)
            if first_byte_deadline < total_deadline:
                self._wait(stream, lambda: stream.status or stream.ended, first_byte_deadline,
                           "first_byte_timeout")  # fmt: skip
            self._wait(stream, lambda: stream.ended, total_deadline, "total_timeout")
            if stream.failure is not None:
                raise stream.failure
        finally:
            self._streams.pop(number, None)
            if not (is_whole and stream.is_over):
                self._abandon(number)
            self._wake_next()
            if self.is_closing:
                self.retire()

    def retire(self) -> None:
        """Take no further requests, and close as soon as none is under way."""
        self.is_closing = True
        if not self._streams:
            self._live.close()

    def close(self) -> None:
        """Close it; requests under way fail."""
        self._fail(RequestFailed("closed_early", "the connection was closed here"))
        self._live.close()

    # ---- inside

    def _wait(self, stream: Http2Stream, holds: Callable[[], object], deadline: float, cause: str) -> None:
        wait_for(holds, stream.news, deadline, self._clock, cause)

    def _wait_for_place(self, stream: Http2Stream, deadline: float) -> None:
        if self._has_place():
            return
        self._queue.append(stream)
        try:
            self._wait(stream, self._has_place, deadline, "total_timeout")
        finally:
            self._queue.remove(stream)
            self._wake_next()

    def _has_place(self) -> bool:
        return self.is_closing or self.in_use < self._max_streams

    def _wake_next(self) -> None:
        """Wake one request that waits for a place; it wakes the next one, since several may be free."""
        for waiting in self._queue[:1]:
            waiting.news.set()

    def _send_body(self, number: int, stream: Http2Stream, body: bytes, deadline: float) -> bool:
        """Send the body as the server's windows and the socket allow it; whether all of it was sent.

        An early answer ends it.
        """

        def may_send() -> bool:
            return stream.ended or (self._live.is_sent and self._h2.local_flow_control_window(number) > 0)

        at = 0
        while at < len(body):
            self._wait(stream, may_send, deadline, "total_timeout")
            if stream.ended:
                return False
            room = min(self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size)
            piece = body[at : at + room]
            at += len(piece)
            self._h2.send_data(number, piece, end_stream=at == len(body))
            self._flush()
        return True

    def _take(self, data: bytes) -> None:
        at, owner = self._clock(), None
        try:
            events = self._h2.receive_data(self._frames.feed(data))
            for event in events:
                owner = self._handle(event, at) or owner
        except DenialOfServiceError:
            self._break_off(RequestFailed("too_large", "headers exceed the limit"))
        except ProtocolError as error:
            self._break_off(RequestFailed("bad_response", f"HTTP/2: {error}"))
        if owner is not None:
            owner.received += len(data)
        if self._frames.last_stream_id is not None:
            self._go_away(self._frames.last_stream_id)
        self._flush()

    def _handle(self, event: Event, at: float) -> Http2Stream | None:
        """Apply one event; returns its stream."""
        if isinstance(event, RemoteSettingsChanged | WindowUpdated):
            self._max_streams = self._h2.remote_settings.max_concurrent_streams
            self._wake_all()
            return None
        number = getattr(event, "stream_id", None) or 0
        stream = self._streams.get(number)
        if isinstance(event, DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, number)
        if stream is None:  # of the connection, or of a request that was abandoned
            return None
        if not stream.first_byte_at:
            stream.first_byte_at = at
        if isinstance(event, ResponseReceived):
            fields = event.headers
            problem = problem_of(fields)
            if problem:
                stream.end(RequestFailed("bad_response", f"HTTP/2: {problem}"))
                return stream
            stream.status = int(fields[0][1])
            stream.fields = fields[1:]
            stream.news.set()
        elif isinstance(event, DataReceived):
            stream.chunks.append(event.data)
            stream.body_length += len(event.data)
            if stream.body_length > self._max_body_bytes:
                limit = f"a body of more than {self._max_body_bytes:,} bytes"
                stream.end(RequestFailed("too_large", limit))
        elif isinstance(event, TrailersReceived):
            stream.trailers = event.headers
            problem = problem_of(stream.trailers, trailers=True)
            if problem:
                stream.end(RequestFailed("bad_response", f"HTTP/2: {problem}, in the trailers"))
        elif isinstance(event, StreamEnded):
            stream.is_over = True
            stream.end(None)
        elif isinstance(event, StreamReset):
            stream.is_over = True
            stream.end(_failure_of(event))
        return stream

    def _go_away(self, last: int) -> None:
        """The server ends the connection: it has not seen the requests after the last one that it names."""
        self.is_closing = True
        for number, stream in self._streams.items():
            if number > last:
                stream.end(RequestFailed(REFUSED, self._why_closing()))
        self._wake_all()
        if not self._streams:
            self._flush()
            self.retire()

    def _why_closing(self) -> str:
        return f"the server is closing the connection{self._frames.reason}"

    def _break_off(self, failure: RequestFailed) -> None:
        """Say what the server did wrong, as far as the socket takes it at once, and close."""
        self._flush()
        self._fail(failure)
        self._live.close()

    def _fail(self, failure: RequestFailed) -> None:
        """The connection has ended: so have all requests on it."""
        self.is_closing = True
        for stream in self._streams.values():
            detail = failure.detail
            if failure.cause in ("closed_early", "reset"):
                when = "in the answer" if stream.first_byte_at else "before any byte of the answer"
                detail = f"{detail} {when}{self._frames.reason}"
            stream.end(RequestFailed(failure.cause, detail))
        self._wake_all()

    def _abandon(self, number: int) -> None:
        """Tell the server that nobody waits for this answer any more."""
        try:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)
        except ProtocolError:
            return  # the server has reset the stream, or the connection has ended
        self._flush()

    def _wake_all(self) -> None:
        for stream in (*self._streams.values(), *self._queue):
            stream.news.set()

    def _flush(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._live.send(data)


def _failure_of(event: StreamReset) -> RequestFailed:
    code = event.error_code
    name = code.name if isinstance(code, ErrorCodes) else f"code {code}"
    if not event.remote_reset:
        return RequestFailed("bad_response", f"HTTP/2: the server broke a rule ({name})")
    cause = "reset"
    if code == ErrorCodes.REFUSED_STREAM:
        cause = REFUSED
    elif code == ErrorCodes.HTTP_1_1_REQUIRED:
        cause = NEEDS_HTTP1
    return RequestFailed(cause, f"the server reset the stream ({name})")
