"""WebSocket steps: open a connection, send messages, wait for the answers that the customer waits for.

Rules: `connect`, `request` and `wait_for` each record one request of the current step, also a failed one, and
end at the customer's patience or the time limit of the step; `send` records nothing. Connections go where the
client's requests may go, with its cookies, headers, proxies, TLS settings and source addresses. Pings are
answered at once, also while the customer thinks, and messages that arrive meanwhile are kept for `wait_for`;
beyond MAX_KEPT_BYTES of them, nothing is read until the customer takes some.
Source: RFC 6455; wsproto reads and writes the frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import orjson
from gevent.event import Event as Flag
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.request_target import resolve_target
from doorbuster.load.http.response_parsing import cause_of_status
from doorbuster.load.protocols.live_connection import LiveConnection, wait_for
from doorbuster.storefronts import Rejected

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_KEPT_BYTES = 4 * 1024 * 1024
MESSAGE_BYTES = 64  # that Python keeps for a message beside its content
CLOSED = "closed"
_SCHEMES = {"ws": "http", "wss": "https"}

Message = str | bytes
T = TypeVar("T")


class WebSocket:
    """One connection of a customer; a context manager that closes it.

    url: ws:// or wss://, or relative to the client's base URL. subprotocol: the one that the server chose.
    """

    def __init__(
        self,
        client: HttpClient,
        url: str,
        *,
        subprotocols: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        scheme, mark, rest = url.partition("://")
        self._target = resolve_target(client.base_url, f"{_SCHEMES.get(scheme, scheme)}{mark}{rest}")
        self._client = client
        self._subprotocols = list(subprotocols)
        self._headers = dict(headers or {})
        self._news = Flag()
        self._sent = self._received = 0
        self._live: LiveConnection | None = None
        self.subprotocol: str | None = None
        self._begin()

    def _begin(self) -> None:
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._is_accepted = False
        self._failure: RequestFailed | None = None
        self._ping: Ping | None = None  # the last one, while the socket does not take its answer
        self._messages: deque[Message] = deque()
        self._kept_bytes = 0
        self._parts: list[Any] = []
        self._parts_length = 0

    def __enter__(self) -> Self:
        if self._live is None:
            self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Open the connection, also after it has ended. Raises: Rejected with the recorded cause."""
        client, target = self._client, self._target
        self._end()
        self._begin()

        def work() -> None:
            opened = client.open_connection(target, client.step.deadline_at)
            self._live = LiveConnection(
                opened, on_bytes=self._take, on_end=self._lost, on_sent=self._room_again
            )
            names = client.headers_for(target)
            names.update(self._headers)
            request = Request(
                host=target.authority.decode(), target=target.path.decode(), subprotocols=self._subprotocols,
                extensions=[PerMessageDeflate()],
                extra_headers=[(name.encode(), value.encode("latin-1")) for name, value in names.items()],
            )  # fmt: skip
            self._live.read()
            self._write(self._protocol.send(request))
            self._wait(lambda: self._is_accepted, "first_byte_timeout")

        self._recorded(work, connects=True)

    def send(self, message: Message | dict[str, Any] | list[Any]) -> None:
        """Send a message; objects are sent as JSON. Raises: Rejected if the connection has ended."""
        try:
            self._send(message)
        except RequestFailed as failure:
            self._end()
            raise Rejected(failure.cause, failure.detail) from None

    def request(
        self,
        message: Message | dict[str, Any] | list[Any],
        wanted: Callable[[Message], object] = lambda _: True,
    ) -> Message:
        """Send a message and return the first wanted one after it; recorded as one request."""

        def work() -> Message:
            ceiling = self._client.settings.ceiling
            if ceiling is not None:
                ceiling.sends.wait(self._client.step.deadline_at)
            self._send(message)
            return self._next(wanted)

        return self._recorded(work)

    def wait_for(self, wanted: Callable[[Message], object] = lambda _: True) -> Message:
        """The next wanted message; recorded as one request, from now until it is there."""
        return self._recorded(lambda: self._next(wanted))

    def close(self) -> None:
        """Say goodbye, as far as the connection takes it at once, and close."""
        self._say_goodbye(CloseReason.NORMAL_CLOSURE)
        self._end()

    # ---- inside

    def _recorded(self, work: Callable[[], T], *, connects: bool = False) -> T:
        """The result of the work, recorded as one request. Raises: Rejected with the recorded cause."""
        step, clock = self._client.step, self._client.clock
        started_at, sent, received = clock(), self._sent, self._received
        cause = detail = ""
        results: list[T] = []
        try:
            results.append(work())
        except RequestFailed as failure:
            cause, detail = failure.cause, failure.detail
        except BaseException:
            self._end()
            raise
        ended_at = clock()
        step.record(
            started_at=started_at, ended_at=ended_at, connect_s=ended_at - started_at if connects else 0.0,
            bytes_sent=self._sent - sent, bytes_received=self._received - received, cause=cause,
            detail=detail, protocol="WebSocket",
        )  # fmt: skip
        if cause:
            self._end()
            raise Rejected(cause, detail)
        return results[0]

    def _next(self, wanted: Callable[[Message], object]) -> Message:
        while True:
            self._wait(lambda: self._messages, "total_timeout")
            message = self._messages.popleft()
            self._kept_bytes -= len(message) + MESSAGE_BYTES
            if self._live is not None and self._kept_bytes <= MAX_KEPT_BYTES:
                self._live.read()
            if wanted(message):
                return message

    def _wait(self, holds: Callable[[], object], cause: str) -> None:
        """Wait until something holds. Raises: RequestFailed(cause), or why the connection has ended."""
        client = self._client

        def is_over() -> bool:
            return bool(holds()) or self._failure is not None or self._live is None

        wait_for(is_over, self._news, client.step.deadline_at, client.clock, cause)
        if not holds():
            raise self._failure or RequestFailed(CLOSED, "the connection is not open")

    def _send(self, message: Message | dict[str, Any] | list[Any]) -> None:
        data = orjson.dumps(message).decode() if isinstance(message, dict | list) else message
        event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        if self._failure is not None:
            raise self._failure
        live = self._live
        if live is None or not self._is_accepted:
            raise RequestFailed(CLOSED, "the connection is not open")
        self._write(self._protocol.send(event))
        self._wait(lambda: live.is_sent and not live.is_broken, "total_timeout")

    def _write(self, data: bytes) -> None:
        assert self._live is not None, "opened before"
        self._sent += len(data)
        self._live.send(data)

    # ---- called by the event loop

    def _take(self, data: bytes) -> None:
        self._received += len(data)
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                self._apply(event)
        except RemoteProtocolError as error:
            self._lost(RequestFailed("bad_response", f"WebSocket: {error}"))
        except RequestFailed as failure:
            self._lost(failure)
        if self._kept_bytes > MAX_KEPT_BYTES and self._live is not None:
            self._live.pause()

    def _apply(self, event: Event) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            if event.data:
                self._parts.append(event.data)
            self._parts_length += len(event.data)
            if self._parts_length > MAX_MESSAGE_BYTES:
                self._say_goodbye(CloseReason.MESSAGE_TOO_BIG)
                raise RequestFailed("too_large", f"a message of more than {MAX_MESSAGE_BYTES:,} bytes")
            if event.message_finished:
                empty: Any = "" if isinstance(event, TextMessage) else b""
                self._messages.append(empty.join(self._parts))
                self._kept_bytes += self._parts_length + MESSAGE_BYTES
                self._parts, self._parts_length = [], 0
                self._news.set()
        elif isinstance(event, Ping):
            self._ping = event
            self._answer_ping()
        elif isinstance(event, AcceptConnection):
            self.subprotocol, self._is_accepted = event.subprotocol, True
            self._news.set()
        elif isinstance(event, RejectConnection):
            status = event.status_code
            raise RequestFailed(cause_of_status(status) or "bad_response", f"the server answered {status}")
        elif isinstance(event, CloseConnection):
            raise self._closed_by(event)

    def _closed_by(self, event: CloseConnection) -> RequestFailed:
        """Answer a close frame; why the connection has ended."""
        said = f": {event.reason}" if event.reason else ""
        if self._protocol.state is ConnectionState.OPEN:  # wsproto's own: the server broke a rule
            self._say_goodbye(event.code)
            return RequestFailed("bad_response", f"WebSocket: {_name_of(event.code)}{said}")
        with suppress(LocalProtocolError):
            self._write(self._protocol.send(event.response()))
        return RequestFailed(
            "closed_early", f"the server closed the connection ({_name_of(event.code)}{said})"
        )

    def _answer_ping(self) -> None:
        """Answer the last ping; RFC 6455, section 5.5.3, asks for no more where several wait."""
        if self._ping is not None and self._live is not None and self._live.is_sent:
            ping, self._ping = self._ping, None
            self._write(self._protocol.send(ping.response()))

    def _room_again(self) -> None:
        with suppress(RequestFailed, LocalProtocolError):
            self._answer_ping()
        self._news.set()

    def _lost(self, failure: RequestFailed) -> None:
        """The connection has ended: the current wait, or the next one, raises the reason."""
        if self._failure is None:
            self._failure = failure
        if self._live is not None:
            self._live.close()
        self._news.set()

    # ---- the end

    def _say_goodbye(self, code: int) -> None:
        if self._live is not None and self._is_accepted:
            with suppress(LocalProtocolError, RequestFailed):
                self._write(self._protocol.send(CloseConnection(code=code)))

    def _end(self) -> None:
        live, self._live, self._failure = self._live, None, None
        if live is not None:
            live.close()


def _name_of(code: int) -> str:
    """A code of a close frame with its name in RFC 6455, section 7.4.1."""
    try:
        return f"{int(code)} {CloseReason(code).name.lower().replace('_', ' ')}"
    except ValueError:
        return str(code)
