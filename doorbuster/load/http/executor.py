"""Sends one request of one customer and records it; redirects are followed by `client.py`.

This is the hot path: at a peak, every Python call here costs throughput.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from math import inf
from types import MappingProxyType
from typing import Any, Final

from doorbuster.load.exchange import Exchange, RequestFailed
from doorbuster.load.http.attempt import Attempt
from doorbuster.load.http.body import Body
from doorbuster.load.http.connection import Connection
from doorbuster.load.http.connector import Connector
from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.gevent_socket import hub_resources
from doorbuster.load.http.headers import ExtraHeaders, RequestHeaders, header_value, header_values
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.load.http.pool import Pool
from doorbuster.load.http.proxy import proxy_for
from doorbuster.load.http.redirect import REDIRECTS
from doorbuster.load.http.request_encoding import render_request
from doorbuster.load.http.request_target import RequestTarget
from doorbuster.load.http.response_parsing import (
    body_of_chunks,
    cause_of_status,
    check_body,
    detail_of_body,
    retry_after_s,
)
from doorbuster.load.http.route import Route
from doorbuster.load.http.settings import HttpSettings, Timeouts
from doorbuster.load.http.stream import BodyStream
from doorbuster.load.http.trace_context import TRACEPARENT, trace_id_of, trace_lines

_OF_HTTP: Final = ("Accept", "Accept-Encoding", "Connection")  # default headers of requests only
_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([0-9]{3})(?![0-9])")


# The record of a request, the head and body of its answer, the stream of a body that has not all arrived, and
# the request as it was sent.
Answer = tuple[Exchange, str, bytes, BodyStream | None, bytes]


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestExecutor:
    """The connections, cookies and default headers of one customer.

    headers: sent with every request. cookies: the jar. verify, cert, proxies: as in requests; a change holds
    from the next request on, on new connections. connections_opened, reconnects: counters.
    """

    def __init__(self, settings: HttpSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._default_headers = _make_default_headers(settings)
        self._headers: RequestHeaders | None = None
        self._cookies = CookieJar(settings.max_cookies, time.time)
        self.connections_opened = 0
        self.reconnects = 0
        self._clock = clock
        self._route = settings.route
        self._pools: dict[str | tuple[str, Route], Pool] = {}
        self._lent: list[Connection] = []
        self._closed = False
        self._request_ids = _request_ids() if settings.request_id_header else None
        self._trace_share = settings.trace_share

    @property
    def headers(self) -> RequestHeaders:
        """The headers of every request of this customer; copied from the settings on first access."""
        if self._headers is None:
            self._headers = self._default_headers = self._default_headers.copy()
        return self._headers

    @headers.setter
    def headers(self, headers: Mapping[str, Any]) -> None:
        version = self._default_headers.version
        self._headers = self._default_headers = RequestHeaders(headers)
        self._default_headers.version += version  # pools notice the change

    @property
    def cookies(self) -> CookieJar:
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: Any) -> None:
        if isinstance(cookies, CookieJar):
            self._cookies = cookies
        else:
            self._cookies = CookieJar(self.settings.max_cookies, time.time)
            self._cookies.update(cookies or {})

    @property
    def verify(self) -> bool | str:
        """Whether certificates are checked, or the file or folder of the CAs to check them with."""
        return self._route.ca_file or self._route.verify

    @verify.setter
    def verify(self, verify: Any) -> None:
        route = self._route._replace(ca_file="") if isinstance(verify, bool) else self._route
        self._change_route(route.with_verify(verify))

    @property
    def cert(self) -> str | tuple[str, str] | None:
        """The client certificate: one PEM file, or (certificate file, key file)."""
        route = self._route
        return (route.cert_file, route.key_file) if route.key_file else route.cert_file or None

    @cert.setter
    def cert(self, cert: Any) -> None:
        self._change_route(self._route.with_cert(cert))

    @property
    def proxies(self) -> Mapping[str, Any]:
        """Proxies by scheme or scheme://host; replaced as a whole."""
        return MappingProxyType(dict(self._route.proxies or ()))

    @proxies.setter
    def proxies(self, proxies: Any) -> None:
        self._change_route(self._route._replace(proxies=None).with_proxies(proxies or {}))

    def close(self) -> None:
        """Close idle connections now, and those in use when their requests end."""
        self._closed = True
        for connection in self._lent:
            connection.close()
        self._lent = []
        self._close_pools()  # pools refer to this object: without them it is freed at once

    @property
    def clock(self) -> Callable[[], float]:
        """The clock of all records."""
        return self._clock

    def open_connection(
        self,
        target: RequestTarget,
        deadline: float,
        *,
        ssl_context: ssl.SSLContext | None = None,
        resumed: ssl.SSLObject | None = None,
        sends: bool = True,
    ) -> Connection:
        """A connection for another protocol, by the same rules as for requests.

        The caller closes it; what is left open when this client is closed is closed then.

        Args: ssl_context: instead of that for HTTP/1.1. resumed: an earlier connection by this context, whose
        session this one resumes where the settings allow it. sends: whether it counts as a request, too.
        Raises: RequestFailed, also when the ceiling on requests leaves no time.
        """
        connector, ceiling = self.pool_of(target).connector, self.settings.ceiling
        if ssl_context is not None:
            settings = replace(self.settings, ssl_context=ssl_context)
            connector = Connector(
                target, settings, hub_resources(), self._clock,
                proxy=proxy_for(settings, target, self._route), route=settings.route, opened=self._opened,
            )  # fmt: skip
            if resumed is not None and settings.tls_resumption:
                connector.session = resumed.session
        if ceiling is not None:
            if sends:
                ceiling.sends.wait(deadline)
            if not ceiling.connects.admit(self._clock()):
                ceiling.connects.wait(deadline)
        connect_s = self.settings.timeouts.connect_s
        opened = connector.open(inf if connect_s is None else self._clock() + connect_s, deadline)
        self._lent = [one for one in self._lent if one.is_open]
        self._lent.append(opened)
        return opened

    def keep_connection(self, target: RequestTarget, connection: Connection) -> None:
        """Use an open connection for later requests over HTTP/1.1."""
        self._lent.remove(connection)
        pool = self.pool_of(target)
        pool.open += 1
        pool.release(connection)

    def pool_of(self, target: RequestTarget) -> Pool:
        """The connections to an origin."""
        return self._pools.get(target.origin) or self._pool_for(target, None)

    def with_request_id(self, extra: ExtraHeaders) -> tuple[str, ExtraHeaders]:
        """The id of the next request, and the headers with it; "" and the headers as they are without ids."""
        if self._request_ids is None:
            return "", extra
        request_id = next(self._request_ids)
        line = f"{self.settings.request_id_header}: {request_id}\r\n".encode("latin-1")
        if self._trace_share and TRACEPARENT not in extra.names:
            trace_id = trace_id_of(request_id, self._trace_share)
            line += trace_lines(trace_id) if trace_id else b""
        return request_id, ExtraHeaders(extra.lines + line, extra.names)

    def headers_for(self, target: RequestTarget) -> dict[str, str]:
        """What identifies the customer to this origin: its headers, those of the target, and cookies."""
        pool = self.pool_of(target)
        names = {name: value for name, value in self._default_headers.items() if name not in _OF_HTTP}
        names.update(pool.added or {})
        cookies = self._cookies.line_for(target)
        if cookies:
            names["Cookie"] = bytes(cookies).decode("latin-1").partition(":")[2].strip()
        return names

    def _change_route(self, route: Route) -> None:
        if route != self._route:
            self._close_pools()
            self._route = route

    def _close_pools(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def send_one(
        self, method: str, target: RequestTarget, body: Body, extra: ExtraHeaders, request_name: str,
        timeouts: Timeouts, deadline: float, stream: bool, follows: bool, route: Route | None,
        number: int, due_at: float, started_at: float,
    ) -> Answer:  # fmt: skip
        """Send one request, read its response. Raises: ValueError, and what is thrown into the greenlet."""
        clock = self._clock
        pool = self._pools.get(target.origin) if route is None else None
        if pool is None:
            pool = self._pool_for(target, route)
        request_id = ""
        if self._request_ids is not None:
            request_id, extra = self.with_request_id(extra)
        request = render_request(
            method, target, pool, self._default_headers, extra, self._cookies.line_for(target), body
        )
        attempt = Attempt()
        try:
            connection = attempt.send(pool, request, method, stream, timeouts, started_at, deadline, clock)
        except RequestFailed as failure:
            self.reconnects += attempt.replaced
            labels = (method, request_name, target.url, request_id, number)
            failed = _failed(failure, attempt, labels, len(request), due_at, started_at, clock())
            return failed, "", b"", None, request
        ended_at = clock()
        if attempt.replaced:
            self.reconnects += attempt.replaced
        head: str = connection.head  # type: ignore[assignment]  # an answer has one
        first_byte_at = connection.first_byte_at
        received = connection.received
        lenient = connection.lenient
        body_stream = None
        if connection.complete:
            status = connection.status
            raw = body_of_chunks(connection.chunks, connection.body_parts)
            if connection.is_reusable():
                pool.release(connection)
            else:
                pool.drop(connection)
        else:
            raw = b""
            status = int(head[9:12])
            body_stream = BodyStream(connection, pool, clock)
            if follows and status in REDIRECTS:
                body_stream.close()
        lower_head = head.lower()
        if "\nset-cookie:" in lower_head:
            for set_cookie in header_values(head, lower_head, "\nset-cookie:"):
                self._cookies.store(target, set_cookie)
        server_timing = ""
        if "\nserver-timing:" in lower_head:
            server_timing = ", ".join(header_values(head, lower_head, "\nserver-timing:"))
        cause = detail = ""
        retry_after = None
        if status >= 300 or status < 200 or self.settings.check_bodies:
            odd = [lenient] if lenient else []
            cause, detail, retry_after = self._judge(status, raw, head, lower_head, odd)
            lenient = ", ".join(odd)
        exchange = Exchange(
            method, request_name, target.url, status, cause, due_at, started_at + attempt.ceiling_s,
            attempt.connect_s,
            attempt.pool_wait_s, first_byte_at, ended_at, len(request), received, attempt.reused,
            attempt.replaced > 0, request_id, server_timing, retry_after, detail, number, lenient,
            "" if attempt.reused else _version_of(head),
        )  # fmt: skip
        return exchange, head, raw, body_stream, request

    def _judge(
        self, status: int, raw: bytes, head: str, lower_head: str, odd: list[str]
    ) -> tuple[str, str, float | None]:
        """Cause, detail and Retry-After of an answer that is not a plain success."""
        retry_after = None
        if "\nretry-after:" in lower_head:
            retry_after = retry_after_s(header_value(head, lower_head, "\nretry-after:") or "", time.time())
        if status < 200:
            return "bad_response", f"the status {status} is not a final answer", retry_after
        if self.settings.check_bodies and raw and "\ncontent-encoding:" in lower_head:
            problem = check_body(raw, head, lower_head, self.settings.max_decoded_bytes, odd)
            if problem is not None:
                return (*problem, retry_after)
        cause = cause_of_status(status)
        return cause, detail_of_body(raw, head, lower_head) if cause else "", retry_after

    def _pool_for(self, target: RequestTarget, route: Route | None) -> Pool:
        key = target.origin if route is None or route == self._route else (target.origin, route)
        pool = self._pools.get(key)
        if pool is None:
            settings = self.settings
            if route is None:
                route = self._route
            proxy = proxy_for(settings, target, route)
            connector = Connector(
                target, settings, hub_resources(), self._clock,
                proxy=proxy, route=route, opened=self._opened,
            )  # fmt: skip
            plain_proxy = None if target.secure else proxy
            pool = Pool(connector, settings.connections_per_host, self._clock, plain_proxy, settings.ceiling)
            pool.closed = self._closed
            if settings.target_headers and settings.hosts is not None and settings.hosts.lists(target.host):
                pool.added = settings.target_headers
            self._pools[key] = pool
        return pool

    def _opened(self) -> None:
        self.connections_opened += 1


_rendered: tuple[HttpSettings, RequestHeaders] | None = None


def _make_default_headers(settings: HttpSettings) -> RequestHeaders:
    """The first headers of customers with these settings; rendered once, because most share settings."""
    global _rendered  # noqa: PLW0603  a memory of one
    if _rendered is None or _rendered[0] is not settings:
        standard = {
            "User-Agent": settings.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": settings.accept_encoding,
        }
        _rendered = settings, RequestHeaders({**standard, **settings.headers})
    return _rendered[1]


def _version_of(head: str) -> str:
    return "HTTP/1.0" if head.startswith("HTTP/1.0") else "HTTP/1.1"


def _request_ids() -> Iterator[str]:
    prefix = os.urandom(4).hex()
    for number in count(1):
        yield f"{prefix}-{number:x}"


def _failed(
    failure: RequestFailed,
    attempt: Attempt,
    labels: tuple[str, str, str, str, int],
    size: int,
    due_at: float,
    started_at: float,
    ended_at: float,
) -> Exchange:
    method, request_name, url, request_id, number = labels
    connection = attempt.connection
    head = connection.head if connection is not None and connection.received else None
    status_line = _STATUS_LINE.match(head) if head else None
    return Exchange(
        method=method,
        name=request_name,
        url=url,
        status=int(status_line[1]) if status_line else 0,
        cause=failure.cause,
        intended_at=due_at,
        started_at=started_at + attempt.ceiling_s,
        connect_s=attempt.connect_s,
        pool_wait_s=attempt.pool_wait_s,
        first_byte_at=connection.first_byte_at
        if connection is not None and connection.received
        else ended_at,
        ended_at=ended_at,
        bytes_sent=0 if connection is None or connection.unsent else size,
        bytes_received=connection.received if connection is not None else 0,
        reused=attempt.reused and connection is not None,
        reconnected=attempt.replaced > 0,
        request_id=request_id,
        server_timing="",
        retry_after_s=None,
        detail=failure.detail,
        hop=number,
        lenient="",
    )
