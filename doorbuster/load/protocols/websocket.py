"""WebSocket steps: open a connection, send messages, wait for the answers that the customer waits for.

Rules: `connect`, `request` and `wait_for` each record one request of the current step, also a failed one, and
end at the customer's patience or the time limit of the step; `send` records nothing. Connections go where the
client's requests may go, with its cookies, headers, proxies, TLS settings and source addresses. Pings are
answered while the customer waits for something, not while it thinks.
Source: RFC 6455; wsproto reads and writes the frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, TypeVar

import orjson
from wsproto import ConnectionType, WSConnection
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
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.request_target import resolve_target
from doorbuster.load.http.response_parsing import cause_of_status
from doorbuster.storefronts import Rejected

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
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
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._connection: Connection | None = None
        self._messages: deque[Message] = deque()
        self._parts: list[Any] = []
        self._parts_length = 0
        self._sent = self._received = 0
        self.subprotocol: str | None = None

    def __enter__(self) -> Self:
        if self._connection is None:
            self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Open the connection. Raises: Rejected with the cause that is recorded."""
        client, target = self._client, self._target

        def work() -> None:
            self._connection = client.open_connection(target, client.step.deadline_at)
            self._deadline("first_byte_timeout")
            names = client.headers_for(target)
            names.update(self._headers)
            request = Request(
                host=target.authority.decode(), target=target.path.decode(), subprotocols=self._subprotocols,
                extensions=[PerMessageDeflate()],
                extra_headers=[(name.encode(), value.encode("latin-1")) for name, value in names.items()],
            )  # fmt: skip
            self._write(self._protocol.send(request))
            while True:
                for event in self._read():
                    if isinstance(event, AcceptConnection):
                        self.subprotocol = event.subprotocol
                        return
                    if isinstance(event, RejectConnection):
                        raise RequestFailed(cause_of_status(event.status_code) or "bad_response",
                                            f"the server answered {event.status_code}")  # fmt: skip

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
        if self._connection is not None:
            with suppress(LocalProtocolError, RequestFailed):
                self._deadline("total_timeout")
                self._write(self._protocol.send(CloseConnection(code=1000)))
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
        except (RemoteProtocolError, LocalProtocolError) as error:
            cause, detail = "bad_response", str(error)
        except BaseException:
            self._end()
            raise
        ended_at = clock()
        step.record(
            started_at=started_at, ended_at=ended_at, connect_s=ended_at - started_at if connects else 0.0,
            bytes_sent=self._sent - sent, bytes_received=self._received - received, cause=cause,
            detail=detail,
        )  # fmt: skip
        if cause:
            self._end()
            raise Rejected(cause, detail)
        return results[0]

    def _next(self, wanted: Callable[[Message], object]) -> Message:
        self._deadline("total_timeout")
        while True:
            while self._messages:
                message = self._messages.popleft()
                if wanted(message):
                    return message
            for event in self._read():
                self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, TextMessage | BytesMessage):
            self._parts.append(event.data)
            self._parts_length += len(event.data)
            if self._parts_length > MAX_MESSAGE_BYTES:
                raise RequestFailed("too_large", f"a message exceeds {MAX_MESSAGE_BYTES} bytes")
            if event.message_finished:
                empty: Any = "" if isinstance(event, TextMessage) else b""
                self._messages.append(empty.join(self._parts))
                self._parts, self._parts_length = [], 0
        elif isinstance(event, Ping):
            self._write(self._protocol.send(event.response()))
        elif isinstance(event, CloseConnection):
            with suppress(LocalProtocolError, RequestFailed):
                self._write(self._protocol.send(event.response()))
            raise RequestFailed("closed_early", f"the server closed the connection ({event.code})")

    def _send(self, message: Message | dict[str, Any] | list[Any]) -> None:
        self._deadline("total_timeout")
        data = orjson.dumps(message).decode() if isinstance(message, dict | list) else message
        event = TextMessage(data=data) if isinstance(data, str) else BytesMessage(data=data)
        self._write(self._protocol.send(event))

    def _deadline(self, cause: str) -> None:
        if self._connection is None:
            raise RequestFailed(CLOSED, "the connection is not open")
        self._connection.deadline = self._client.step.deadline_at
        self._connection.timeout_cause = cause

    def _write(self, data: bytes) -> None:
        assert self._connection is not None, "opened before"
        self._sent += len(data)
        self._connection.send_raw(data)

    def _read(self) -> list[Event]:
        assert self._connection is not None, "opened before"
        data = self._connection.receive_raw()
        self._received += len(data)
        self._protocol.receive_data(data or None)
        events = list(self._protocol.events())
        if not data and not events:
            raise RequestFailed("closed_early", "the server closed the connection")
        return events

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
