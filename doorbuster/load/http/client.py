"""The HTTP client of one customer: requests' interface, one record per hop, failures as values.

Rules
- `request` raises only ValueError for mistakes of the caller, and what others throw into the greenlet
  (GreenletExit, gevent.Timeout): then the connection is closed and nothing is recorded, because whoever broke
  the request off knows why. Use `timeout=` for a customer's patience.
- No hidden retry, with one exception. A kept connection that the server closed before any byte of the answer
  is replaced by a new one, once, if that cannot do the work twice: the close was there before we sent, or
  nothing could be sent, or the method is idempotent. So POST and PATCH first look at the connection; if it
  breaks after they were sent, the request failed. Replacements are counted in `reconnects`.
- A client belongs to the thread that made it; its greenlets may use it together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import count
from math import inf
from typing import Any, Final, Self

import gevent

from doorbuster.load.http.answer import (
    body_of_chunks,
    cause_of_status,
    check_body,
    detail_of_body,
    retry_after_s,
)
from doorbuster.load.http.basic_auth import basic_auth
from doorbuster.load.http.body import NO_BODY, Body, Data, Files, body_of
from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.dial import Dialler
from doorbuster.load.http.exchange import Exchange, RequestFailed
from doorbuster.load.http.headers import NO_HEADERS, ExtraHeaders, RequestHeaders, header_value, header_values
from doorbuster.load.http.pool import Pool
from doorbuster.load.http.proxy import proxy_for
from doorbuster.load.http.redirect import REDIRECTS, Redirect, follow
from doorbuster.load.http.rendering import extra_for_another_origin, extra_headers, render_request
from doorbuster.load.http.response import CaughtResponse, Response
from doorbuster.load.http.settings import HttpSettings, Timeouts, timeouts_from
from doorbuster.load.http.stream import BodyStream
from doorbuster.load.http.target import Params, Target, target_of, with_params
from doorbuster.load.http.trip import Trip
from doorbuster.load.http.waiting import wire_of_this_thread

Timeout = float | tuple[float | None, float | None] | Timeouts | None
_DEFAULTS: Final = HttpSettings()
_exchange_of: Final[Callable[[type[Exchange], tuple[Any, ...]], Exchange]] = tuple.__new__


class HttpClient:
    """Requests of one customer: its connections, cookies and standing headers.

    Args: base_url: in front of every URL without a host. on_exchange: gets one Exchange per hop.
    clock: seconds; all times of an Exchange are its readings.

    headers: sent with every request. cookies: the jar. auth: (user, password) for every request.
    verify: False accepts any certificate from here on. connections_opened, reconnects: counters.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        on_exchange: Callable[[Exchange], None] | None = None,
        settings: HttpSettings = _DEFAULTS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.base_url = base_url
        self.settings = settings
        self.headers = RequestHeaders(
            {
                "User-Agent": settings.user_agent,
                "Accept": "*/*",
                "Accept-Encoding": settings.accept_encoding,
                **settings.headers,
            }
        )
        self.cookies = CookieJar(settings.max_cookies, time.time)
        self.auth: tuple[str, str] | None = None
        self.verify = settings.verify
        self.request_name: str | None = None
        self.connections_opened = 0
        self.reconnects = 0
        self._on_exchange = on_exchange
        self._clock = clock
        self._wire = wire_of_this_thread(clock)
        self._pools: dict[tuple[str, bool], Pool] = {}
        self._closed = False
        self._request_ids = _request_ids() if settings.request_id_header else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, url: str, **options: Any) -> Response:
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> Response:
        options.setdefault("allow_redirects", False)
        return self.request("HEAD", url, **options)

    def options(self, url: str, **options: Any) -> Response:
        return self.request("OPTIONS", url, **options)

    def post(self, url: str, data: Data | None = None, json: Any = None, **options: Any) -> Response:
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Data | None = None, **options: Any) -> Response:
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Data | None = None, **options: Any) -> Response:
        return self.request("PATCH", url, data=data, **options)

    def delete(self, url: str, **options: Any) -> Response:
        return self.request("DELETE", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        name: str | None = None,
        params: Params | None = None,
        headers: Mapping[str, Any] | None = None,
        data: Data | None = None,
        json: Any = None,
        files: Files | None = None,
        cookies: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: Timeout = None,
        allow_redirects: bool = True,
        stream: bool = False,
        catch_response: bool = False,
        verify: bool | None = None,
        context: Mapping[str, Any] | None = None,
        intended_at: float | None = None,
    ) -> Response:
        """Send a request, follow its redirects, return the answer or the failure.

        Args:
            name: what the request is called in records; default: the URL as given.
            timeout: total seconds, (connect, first byte), or Timeouts.
            catch_response: use the result in a `with` block and call success() or failure(text).
            intended_at: clock value at which the request should have started; default: now.
            context: handed to `_report` for whoever overrides it.

        Raises: ValueError for a request that could never be sent.
        """
        started_at = self._clock()
        method = method.upper()
        if params:
            url = with_params(url, params)
        target = target_of(self.base_url, url)
        body = NO_BODY if data is None and json is None and files is None else body_of(data, json, files)
        extra = NO_HEADERS
        if headers or cookies or auth or self.auth or target.auth:
            credentials = auth or self.auth
            authorization = basic_auth(*credentials) if credentials else target.auth
            extra = extra_headers(headers, authorization, cookies, self.cookies, target)
        timeouts = (
            self.settings.timeouts if timeout is None else timeouts_from(timeout, self.settings.timeouts)
        )
        total_s = timeouts.total_s
        deadline = inf if total_s is None else started_at + total_s
        called = name or self.request_name or url
        due_at = started_at if intended_at is None else intended_at
        history: list[Response] = []
        begun_at = started_at
        while True:
            hop = len(history)
            exchange, head, raw, body_stream = self._hop(
                method, target, body, extra, called, timeouts, deadline, stream, allow_redirects, verify,
                hop, due_at, begun_at,
            )  # fmt: skip
            redirect = None
            if allow_redirects and exchange.status in REDIRECTS and not exchange.cause:
                exchange, redirect = self._redirect(exchange, method, target, head, hop)
            if redirect is None:
                break
            response = Response(exchange, head, raw, self.settings.max_decoded_bytes)
            history.append(response)
            if self.settings.record_hops:
                self._report(exchange, response, context)
            method, target = redirect.method, redirect.target
            body = body if redirect.keeps_body else NO_BODY
            if not redirect.same_origin:
                extra = extra_for_another_origin(headers, self.headers)
            due_at = begun_at = self._clock()
        if history and not self.settings.record_hops:
            exchange = _whole_chain([*(response.exchange for response in history), exchange])
        if catch_response:
            report = partial(self._report, context=context)
            response = CaughtResponse(exchange, head, raw, self.settings.max_decoded_bytes, report)
        else:
            response = Response(exchange, head, raw, self.settings.max_decoded_bytes)
        response.stream = body_stream
        response.history = history
        if not catch_response:
            self._report(exchange, response, context)
        return response

    def get_all(
        self, requests: Iterable[str | Mapping[str, Any]], *, intended_at: float | None = None, **options: Any
    ) -> list[Response]:
        """Fetch several things at once, as a browser fetches what a page needs; answers in the order given.

        Args: requests: URLs, or mappings with "url" and the options of `request` (and "method").
        The connections per host limit applies; waiting for one is `Exchange.pool_wait_s`.
        """
        calls = [{"url": one} if isinstance(one, str) else dict(one) for one in requests]
        for call in calls:
            call.setdefault("method", "GET")
        greenlets = [
            gevent.spawn(_value_of, partial(self.request, intended_at=intended_at, **{**options, **call}))
            for call in calls
        ]
        try:
            gevent.joinall(greenlets)
        except BaseException:
            gevent.killall(greenlets)
            raise
        return [greenlet.get()() for greenlet in greenlets]

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Call all requests inside the block by this name."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def close(self) -> None:
        """Close idle connections now and those in use when their requests end."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:  # noqa: ARG002
        """Pass one exchange on; overridden where more than the exchange is wanted."""
        if self._on_exchange is not None:
            self._on_exchange(exchange)

    def _hop(
        self, method: str, target: Target, body: Body, extra: ExtraHeaders, called: str, timeouts: Timeouts,
        deadline: float, stream: bool, follows: bool, verify: bool | None, hop: int, due_at: float,
        started_at: float,
    ) -> tuple[Exchange, bytes, bytes, BodyStream | None]:  # fmt: skip
        """One request and its answer, without following redirects."""
        clock = self._clock
        verified = self.verify if verify is None else verify
        pool = self._pools.get((target.origin, verified)) or self._new_pool(target, verified)
        request_id = ""
        if self._request_ids is not None:
            request_id = next(self._request_ids)
            line = f"{self.settings.request_id_header}: {request_id}\r\n".encode("latin-1")
            extra = ExtraHeaders(extra.lines + line, extra.names)
        request = render_request(
            method, target, pool, self.headers, extra, self.cookies.line_for(target), body
        )
        trip = Trip()
        try:
            connection = trip.go(pool, request, method, stream, timeouts, started_at, deadline, clock)
            ended_at = clock()
        except RequestFailed as failure:
            labels = (method, called, target.url, request_id, hop)
            return self._failed(failure, trip, labels, len(request), due_at, started_at), b"", b"", None
        finally:
            self.reconnects += trip.replaced
        head = connection.head or b""
        lower_head = head.lower()
        status = int(head[9:12])
        received = connection.received
        raw = b""
        body_stream = None
        if connection.complete:
            raw = body_of_chunks(connection.chunks, connection.body_parts)
            if connection.is_reusable():
                pool.release(connection)
            else:
                pool.drop(connection)
        else:
            body_stream = BodyStream(connection, pool, clock)
            if follows and status in REDIRECTS:
                body_stream.close()
        cause, detail, retry_after, server_timing = cause_of_status(status), "", None, ""
        if b"\nset-cookie:" in lower_head:
            for set_cookie in header_values(head, lower_head, b"\nset-cookie:"):
                self.cookies.store(target, set_cookie)
        if b"\nserver-timing:" in lower_head:
            server_timing = ", ".join(header_values(head, lower_head, b"\nserver-timing:"))
        if status >= 300 and b"\nretry-after:" in lower_head:
            retry_after = retry_after_s(header_value(head, lower_head, b"\nretry-after:") or "", time.time())
        if self.settings.check_bodies and raw and b"\ncontent-encoding:" in lower_head:
            problem = check_body(raw, head, lower_head, self.settings.max_decoded_bytes)
            cause, detail = problem or (cause, detail)
            ended_at = clock()
        if cause and not detail:
            detail = detail_of_body(raw, head, lower_head)
        exchange = _exchange_of(
            Exchange,
            (
                method, called, target.url, status, cause, due_at, started_at, trip.connect_s,
                trip.pool_wait_s, connection.first_byte_at, ended_at, len(request), received, trip.reused, trip.replaced > 0,
                request_id, server_timing, retry_after, detail, hop,
            ),
        )  # fmt: skip
        return exchange, head, raw, body_stream

    def _failed(
        self,
        failure: RequestFailed,
        trip: Trip,
        labels: tuple[str, str, str, str, int],
        size: int,
        due_at: float,
        started_at: float,
    ) -> Exchange:
        method, called, url, request_id, hop = labels
        ended_at = self._clock()
        head = trip.connection.head if trip.connection is not None and trip.bytes_received else None
        return Exchange(
            method=method,
            name=called,
            url=url,
            status=int(head[9:12]) if head else 0,
            cause=failure.cause,
            intended_at=due_at,
            started_at=started_at,
            connect_s=trip.connect_s,
            pool_wait_s=trip.pool_wait_s,
            first_byte_at=trip.first_byte_at or ended_at,
            ended_at=ended_at,
            bytes_sent=size if trip.sent else 0,
            bytes_received=trip.bytes_received,
            reused=trip.reused,
            reconnected=trip.replaced > 0,
            request_id=request_id,
            server_timing="",
            retry_after_s=None,
            detail=failure.detail,
            hop=hop,
        )

    def _redirect(
        self, exchange: Exchange, method: str, target: Target, head: bytes, hop: int
    ) -> tuple[Exchange, Redirect | None]:
        """Where to go next; None, with the exchange saying why, if the chain ends here."""
        location = header_value(head, head.lower(), b"\nlocation:")
        if not location:
            return exchange, None
        if hop >= self.settings.max_redirects:
            detail = f"more than {self.settings.max_redirects} redirects"
            return exchange._replace(cause="too_many_redirects", detail=detail), None
        try:
            return exchange, follow(exchange.status, method, target, location)
        except RequestFailed as failure:
            return exchange._replace(cause=failure.cause, detail=failure.detail), None

    def _new_pool(self, target: Target, verified: bool) -> Pool:
        proxy = proxy_for(self.settings, target)
        dialler = Dialler(
            target, self.settings, self._wire, self._clock, proxy=proxy, verify=verified, opened=self._opened
        )
        plain_proxy = None if target.secure else proxy
        pool = Pool(dialler, self.settings.connections_per_host, self._clock, plain_proxy)
        pool.closed = self._closed
        self._pools[(target.origin, verified)] = pool
        return pool

    def _opened(self) -> None:
        self.connections_opened += 1


def _request_ids() -> Iterator[str]:
    prefix = os.urandom(4).hex()
    return (f"{prefix}-{number:x}" for number in count(1))


def _value_of(call: Callable[[], Response]) -> Callable[[], Response]:
    """The result of a call, or its ValueError, without gevent printing it as a greenlet's crash."""
    try:
        response = call()
    except ValueError as error:
        problem = error
    else:
        return lambda: response

    def again() -> Response:
        raise problem

    return again


def _whole_chain(exchanges: list[Exchange]) -> Exchange:
    """One record for a chain of redirects: asked for as the first, ended as the last."""
    first, last = exchanges[0], exchanges[-1]
    return last._replace(
        method=first.method,
        url=first.url,
        intended_at=first.intended_at,
        started_at=first.started_at,
        connect_s=sum(exchange.connect_s for exchange in exchanges),
        pool_wait_s=sum(exchange.pool_wait_s for exchange in exchanges),
        bytes_sent=sum(exchange.bytes_sent for exchange in exchanges),
        bytes_received=sum(exchange.bytes_received for exchange in exchanges),
        reconnected=any(exchange.reconnected for exchange in exchanges),
    )
