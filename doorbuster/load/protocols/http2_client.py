"""HTTP/2 for a customer's client: one connection for each origin, negotiated by ALPN, else HTTP/1.1.

Only https is negotiated, as in browsers; requests to http:// addresses, streamed bodies and requests with TLS
settings of their own go over HTTP/1.1. Everything above one request is the same: cookies, redirects,
authentication, records. A request that the server has certainly not seen, and an idempotent one on a kept
connection that turns out to be closed, is sent again once on a new connection.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from gevent.lock import Semaphore

from doorbuster.load.exchange import Exchange, RequestFailed
from doorbuster.load.http.attempt import IDEMPOTENT
from doorbuster.load.http.body import Body
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.executor import Answer
from doorbuster.load.http.headers import ExtraHeaders, header_values
from doorbuster.load.http.request_encoding import render_request
from doorbuster.load.http.request_target import RequestTarget
from doorbuster.load.http.route import Route
from doorbuster.load.http.settings import Timeouts
from doorbuster.load.http.tls import context_for
from doorbuster.load.protocols.http2_connection import NEEDS_HTTP1, REFUSED, Http2Connection, Http2Stream
from doorbuster.load.protocols.http2_fields import fields_of, head_of
from doorbuster.load.runtime.notes import note
from doorbuster.records.outcome import HTTP1_INSTEAD

if TYPE_CHECKING:
    _Base = HttpClient
else:
    _Base = object

ALPN = ("h2", "http/1.1")
_CLOSED = frozenset(("closed_early", "reset"))
_noted: set[str] = set()


class Http2Requests(_Base):
    """Overrides how a client sends one request; put before the client among the bases."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shared: dict[str, Http2Connection] = {}
        self._without_http2: set[str] = set()
        self._opens: Semaphore | None = None  # while a connection is being opened

    def close(self) -> None:
        for connection in self._shared.values():
            connection.close()
        self._shared.clear()
        super().close()

    def _change_route(self, route: Route) -> None:
        if route != self._route:  # its connections have the old one, and so have their TLS sessions
            for connection in self._shared.values():
                connection.retire()
            self._shared.clear()
            self._without_http2.clear()
        super()._change_route(route)

    def send_one(
        self, method: str, target: RequestTarget, body: Body, extra: ExtraHeaders, request_name: str,
        timeouts: Timeouts, deadline: float, stream: bool, follows: bool, route: Route | None,
        number: int, due_at: float, started_at: float,
    ) -> Answer:  # fmt: skip
        """Send one request over HTTP/2 where it is possible."""
        origin = target.origin
        connect_s = 0.0
        plain = not target.secure or stream or route is not None or self.settings.ssl_context is not None
        if not plain and origin not in self._without_http2:
            call = _Http2Call(self, method, target, body, extra, request_name, timeouts, deadline, number,
                              due_at, started_at)  # fmt: skip
            answer = call.send()
            if answer is not None:
                return answer
            connect_s = call.connect_s
        answer = super().send_one(
            method, target, body, extra, request_name, timeouts, deadline, stream, follows, route, number,
            due_at, started_at,
        )  # fmt: skip
        if not plain:
            exchange = answer[0]
            if connect_s:  # the connection that was opened to ask for HTTP/2 is used
                exchange.connect_s, exchange.reused = exchange.connect_s + connect_s, False
            if exchange.status and not exchange.reused:
                exchange.protocol = HTTP1_INSTEAD
        return answer

    def shared_connection(
        self, target: RequestTarget, deadline: float
    ) -> tuple[Http2Connection | None, bool]:
        """The connection to this origin and whether it is new; None if the server does not speak HTTP/2.

        Raises: RequestFailed.
        """
        known = self._shared.get(target.origin)
        if known is not None and not known.is_closing:
            return known, False
        opens = self._opens = self._opens or Semaphore()
        if not opens.acquire(timeout=None if deadline == inf else max(deadline - self._clock(), 0.0)):
            raise RequestFailed("total_timeout", "waited for the connection to open")
        try:
            known = self._shared.get(target.origin)  # another request may have opened it meanwhile
            if known is not None and not known.is_closing:
                return known, False
            if target.origin in self._without_http2:
                return None, False
            return self._open(target, deadline), True
        finally:
            opens.release()

    def _open(self, target: RequestTarget, deadline: float) -> Http2Connection | None:
        """A new connection; None if the server does not speak HTTP/2, and it is kept for HTTP/1.1."""
        chosen = self._route
        context = context_for(chosen.verify, chosen.ca_file, chosen.cert_file, chosen.key_file, ALPN)
        before = self._shared.get(target.origin)
        resumed = None if before is None else before.tls
        opened = self.open_connection(target, deadline, ssl_context=context, resumed=resumed, sends=False)
        tls = opened.tls
        if tls is None or tls.selected_alpn_protocol() != "h2":
            self.keep_connection(target, opened)
            self.go_without_http2(target, "does not offer HTTP/2")
            return None
        settings = self.settings
        made = self._shared[target.origin] = Http2Connection(
            opened, self._clock, max_head_bytes=settings.max_head_bytes,
            max_body_bytes=settings.max_body_bytes,
        )  # fmt: skip
        return made

    def go_without_http2(self, target: RequestTarget, reason: str) -> None:
        """From now on, this customer's requests to the origin go over HTTP/1.1."""
        self._without_http2.add(target.origin)
        if target.origin not in _noted:
            _noted.add(target.origin)
            note(f"{target.origin} {reason}: requests go over HTTP/1.1")


class _Http2Call:
    """One request over HTTP/2, with its record."""

    def __init__(
        self, client: Http2Requests, method: str, target: RequestTarget, body: Body, extra: ExtraHeaders,
        request_name: str, timeouts: Timeouts, deadline: float, number: int, due_at: float, started_at: float,
    ) -> None:  # fmt: skip
        self._client, self._target, self._method = client, target, method
        self._timeouts, self._deadline = timeouts, deadline
        self._labels = (request_name, number, due_at)
        self._started_at = started_at
        self.connect_s = self._ceiling_s = 0.0
        self._opened = self._was_replaced = False
        self._request_id, extra = client.with_request_id(extra)
        self._rendered = render_request(
            method, target, client.pool_of(target), client._default_headers, extra,
            client.cookies.line_for(target), body,
        )  # fmt: skip
        self._body = body.content
        self._stream = Http2Stream()  # of the last attempt

    def send(self) -> Answer | None:
        """The answer; None if the server does not speak HTTP/2, and has not seen the request."""
        failure, head = None, ""
        try:
            if not self._answered():
                return None
            head = head_of(self._stream.status, self._stream.fields)
        except RequestFailed as failed:
            failure = failed
            if failure.cause == REFUSED:
                failure = RequestFailed("reset", failure.detail)
        body = b"" if failure else b"".join(self._stream.chunks)
        return self._exchange_of(failure, head, body), head, body, None, self._rendered

    def _answered(self) -> bool:
        """Send the request, again if the server has certainly not seen it; False for HTTP/1.1 instead.

        Raises: RequestFailed.
        """
        client, clock, target = self._client, self._client.clock, self._target
        fields = fields_of(self._method, target.authority, target.path, self._rendered)
        for is_last in (False, True):
            began_at = clock()
            connection, is_new = client.shared_connection(self._target, self._deadline)
            if is_new:
                self.connect_s += clock() - began_at
            if connection is None:
                return False
            self._opened = self._opened or is_new
            ceiling = client.settings.ceiling
            if ceiling is not None:
                self._ceiling_s += ceiling.sends.wait(self._deadline)
            first_s = self._timeouts.first_byte_s
            stream = self._stream = Http2Stream()
            try:
                connection.request(
                    stream, fields, self._body, total_deadline=self._deadline,
                    first_byte_deadline=inf if first_s is None else clock() + first_s,
                )  # fmt: skip
            except RequestFailed as failure:
                if failure.cause == NEEDS_HTTP1:
                    connection.retire()
                    client.go_without_http2(self._target, "wants HTTP/1.1")
                    return False
                is_closed = failure.cause in _CLOSED and not stream.first_byte_at
                is_idle_end = is_closed and not is_new and self._method in IDEMPOTENT
                if is_last or not (failure.cause == REFUSED or is_idle_end):
                    raise
                if connection.is_closing:
                    self._was_replaced = True
                    client.reconnects += 1
            else:
                return True
        raise AssertionError("the last attempt returns or raises")

    def _exchange_of(self, failure: RequestFailed | None, head: str, body: bytes) -> Exchange:
        client, now, stream = self._client, self._client.clock(), self._stream
        name, number, due_at = self._labels
        cause, detail, retry_after, server_timing = "", "", None, ""
        if failure is not None:
            cause, detail = failure.cause, failure.detail
        else:
            status, lower = stream.status, head.lower()
            for set_cookie in header_values(head, lower, "\nset-cookie:"):
                client.cookies.store(self._target, set_cookie)
            server_timing = ", ".join(header_values(head, lower, "\nserver-timing:"))
            if status >= 300 or status < 200 or client.settings.check_bodies:
                cause, detail, retry_after = client._judge(status, body, head, lower, [])
        return Exchange(
            self._method, name, self._target.url, stream.status, cause, due_at,
            self._started_at + self._ceiling_s, self.connect_s, 0.0, stream.first_byte_at or now, now,
            len(self._rendered) if stream.is_sent else 0, stream.received, not self._opened,
            self._was_replaced, self._request_id, server_timing, retry_after, detail, number, "",
            "HTTP/2" if self._opened else "",
        )  # fmt: skip


class Http2Client(Http2Requests, HttpClient):
    """The client of a customer, with HTTP/2."""
