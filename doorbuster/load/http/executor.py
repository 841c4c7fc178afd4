"""One hop of one customer: sends one request, without redirects, and records it.

Hot path: every Python call here is part of every request.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Final

from doorbuster.load.exchange import Exchange, RequestFailed
from doorbuster.load.http.attempt import Attempt
from doorbuster.load.http.body import Body
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
from doorbuster.load.http.settings import HttpSettings, Timeouts
from doorbuster.load.http.stream import BodyStream

_STATUS_LINE: Final = re.compile(r"HTTP/1\.[01] ([0-9]{3})(?![0-9])")


# The record of a hop, the head and the body of its response; the stream only while the body is incomplete.
Answer = tuple[Exchange, str, bytes, BodyStream | None]


@mypyc_attr(allow_interpreted_subclasses=True)
class RequestExecutor:
    """The connections, cookies and default headers of one customer.

    headers: sent with every request. cookies: the jar. connections_opened, reconnects: counters.
    """

    def __init__(self, settings: HttpSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self._default_headers = _make_default_headers(settings)
        self._headers: RequestHeaders | None = None
        self.cookies = CookieJar(settings.max_cookies, time.time)
        self.connections_opened = 0
        self.reconnects = 0
        self._clock = clock
        self._verify = settings.verify
        self._pools: dict[str | tuple[str, bool], Pool] = {}
        self._closed = False
        self._request_ids = _request_ids() if settings.request_id_header else None

    @property
    def headers(self) -> RequestHeaders:
        """The headers of every request; a copy of the customer's own from the first access on."""
        if self._headers is None:
            self._headers = self._default_headers = self._default_headers.copy()
        return self._headers

    @property
    def verify(self) -> bool:
        """Whether certificates are verified; a change applies to new connections."""
        return self._verify

    @verify.setter
    def verify(self, verify: bool) -> None:
        if verify != self._verify:
            for pool in self._pools.values():
                pool.close()
            self._pools.clear()
            self._verify = verify

    def close(self) -> None:
        """Close idle connections now, and those in use when their requests end."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()  # breaks a reference cycle, so that this object is freed at once

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def send_one(
        self, method: str, target: RequestTarget, body: Body, extra: ExtraHeaders, request_name: str,
        timeouts: Timeouts, deadline: float, stream: bool, follows: bool, verify: bool | None,
        number: int, due_at: float, started_at: float,
    ) -> Answer:  # fmt: skip
        """Send one request, read its response. Raises: ValueError, and what is thrown into the greenlet."""
        clock = self._clock
        pool = self._pools.get(target.origin) if verify is None else None
        if pool is None:
            pool = self._pool_for(target, verify)
        request_id = ""
        if self._request_ids is not None:
            request_id = next(self._request_ids)
            line = f"{self.settings.request_id_header}: {request_id}\r\n".encode("latin-1")
            extra = ExtraHeaders(extra.lines + line, extra.names)
        request = render_request(
            method, target, pool, self._default_headers, extra, self.cookies.line_for(target), body
        )
        attempt = Attempt()
        try:
            connection = attempt.send(pool, request, method, stream, timeouts, started_at, deadline, clock)
        except RequestFailed as failure:
            self.reconnects += attempt.replaced
            labels = (method, request_name, target.url, request_id, number)
            return _failed(failure, attempt, labels, len(request), due_at, started_at, clock()), "", b"", None
        ended_at = clock()
        if attempt.replaced:
            self.reconnects += attempt.replaced
        head: str = connection.head  # type: ignore[assignment]  # an answer has one
        first_byte_at = connection.first_byte_at
        received = connection.received
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
                self.cookies.store(target, set_cookie)
        server_timing = ""
        if "\nserver-timing:" in lower_head:
            server_timing = ", ".join(header_values(head, lower_head, "\nserver-timing:"))
        cause = detail = ""
        retry_after = None
        if status >= 300 or status < 200 or self.settings.check_bodies:
            cause, detail, retry_after = self._judge(status, raw, head, lower_head)
        exchange = Exchange(
            method, request_name, target.url, status, cause, due_at, started_at, attempt.connect_s,
            attempt.pool_wait_s, first_byte_at, ended_at, len(request), received, attempt.reused,
            attempt.replaced > 0, request_id, server_timing, retry_after, detail, number,
        )  # fmt: skip
        return exchange, head, raw, body_stream

    def _judge(self, status: int, raw: bytes, head: str, lower_head: str) -> tuple[str, str, float | None]:
        """Cause, detail and Retry-After of a response that is not a plain success."""
        retry_after = None
        if "\nretry-after:" in lower_head:
            retry_after = retry_after_s(header_value(head, lower_head, "\nretry-after:") or "", time.time())
        if status < 200:
            return "bad_response", f"the status {status} is no final answer", retry_after
        if self.settings.check_bodies and raw and "\ncontent-encoding:" in lower_head:
            problem = check_body(raw, head, lower_head, self.settings.max_decoded_bytes)
            if problem is not None:
                return (*problem, retry_after)
        cause = cause_of_status(status)
        return cause, detail_of_body(raw, head, lower_head) if cause else "", retry_after

    def _pool_for(self, target: RequestTarget, verify: bool | None) -> Pool:
        key = target.origin if verify is None or verify == self._verify else (target.origin, verify)
        pool = self._pools.get(key)
        if pool is None:
            settings = self.settings
            proxy = proxy_for(settings, target)
            connector = Connector(
                target,
                settings,
                hub_resources(),
                self._clock,
                proxy=proxy,
                verify=self._verify if verify is None else verify,
                opened=self._opened,
            )
            plain_proxy = None if target.secure else proxy
            pool = Pool(connector, settings.connections_per_host, self._clock, plain_proxy)
            pool.closed = self._closed
            self._pools[key] = pool
        return pool

    def _opened(self) -> None:
        self.connections_opened += 1


_rendered: tuple[HttpSettings, RequestHeaders] | None = None


def _make_default_headers(settings: HttpSettings) -> RequestHeaders:
    """The default headers of these settings; rendered once, because customers usually share them."""
    global _rendered  # noqa: PLW0603  a memory of one
    if _rendered is None or _rendered[0] is not settings:
        standard = {
            "User-Agent": settings.user_agent,
            "Accept": "*/*",
            "Accept-Encoding": settings.accept_encoding,
        }
        _rendered = settings, RequestHeaders({**standard, **settings.headers})
    return _rendered[1]


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
        started_at=started_at,
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
    )
