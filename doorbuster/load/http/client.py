"""The HTTP client of one customer: the interface of requests, one record per hop, failures as values.

Rules
- `request` raises only ValueError for mistakes of the caller, and exceptions thrown into the greenlet
  (GreenletExit, gevent.Timeout): then the connection is closed and nothing is recorded, because the code that
  interrupted the request knows why. Use `timeout=` for a customer's patience.
- No hidden retry, with one exception. If the server closed a reused connection before the first byte of the
  response, the connection is replaced once, provided that this cannot do the work twice: it was closed before
  the request was sent, or nothing could be sent, or the method is idempotent. POST and PATCH therefore check
  the connection first; if it breaks after they were sent, the request failed. `reconnects` counts
  replacements.
- A client belongs to the thread that made it; several greenlets of that thread may use it at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple, Self

import gevent

from doorbuster.load.exchange import Exchange, OpenStep, RequestFailed
from doorbuster.load.http.basic_auth import basic_auth
from doorbuster.load.http.body import NO_BODY, Body, Data, Files, encode_body
from doorbuster.load.http.executor import Answer, RequestExecutor
from doorbuster.load.http.headers import NO_HEADERS, ExtraHeaders, header_value
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.load.http.redirect import REDIRECTS, follow
from doorbuster.load.http.request_encoding import extra_for_another_origin, extra_headers
from doorbuster.load.http.request_target import Params, RequestTarget, resolve_target, with_params
from doorbuster.load.http.response import CaughtResponse, Response
from doorbuster.load.http.settings import HttpSettings, Timeouts, timeouts_from

Timeout = float | tuple[float | None, float | None] | Timeouts | None
MIN_LIMIT_S: Final = 0.001  # time limit of a request that starts after its deadline
_DEFAULTS: Final = HttpSettings()


@mypyc_attr(allow_interpreted_subclasses=True)
class HttpClient(RequestExecutor):
    """Sends the requests of one customer; has its connections, cookies and default headers.

    Args: base_url: in front of every URL without a host. on_exchange: gets one Exchange per hop.
    clock: seconds; all times of an Exchange are its readings. step: its name is the name of requests without
    one, and its deadline holds for every request.

    auth: (user, password) for every request. More in `RequestExecutor`.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        on_exchange: Callable[[Exchange], None] | None = None,
        settings: HttpSettings = _DEFAULTS,
        clock: Callable[[], float] = time.perf_counter,
        step: OpenStep | None = None,
    ) -> None:
        super().__init__(settings, clock)
        self.base_url = base_url
        self.auth: tuple[str, str] | None = None
        self.step = OpenStep() if step is None else step
        self._on_exchange = on_exchange

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
        """Send a request, follow its redirects, return the response or the failure.

        Args:
            name: name of the request in records; default: the URL as given.
            timeout: total seconds, (connect, first byte), or Timeouts.
            catch_response: use the result in a `with` block and call success() or failure(text).
            intended_at: clock value at which the request should have started; default: now.
            context: passed to `_report`, for classes that override it.

        Raises: ValueError for a request that cannot be sent.
        """
        started_at = self._clock()
        method = method.upper()
        if params:
            url = with_params(url, params)
        target = resolve_target(self.base_url, url)
        body = NO_BODY if data is None and json is None and files is None else encode_body(data, json, files)
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
        step = self.step
        if step.deadline_at < deadline:
            deadline = max(step.deadline_at, started_at + MIN_LIMIT_S)
        request_name = name or step.name or url
        due_at = started_at if intended_at is None else intended_at
        answer = self.send_one(
            method, target, body, extra, request_name, timeouts, deadline, stream, allow_redirects, verify,
            0, due_at, started_at,
        )  # fmt: skip
        history = None
        if allow_redirects and answer[0].status in REDIRECTS:
            call = _Call(request_name, headers, extra, body, timeouts, deadline, stream, verify, context)
            answer, history = self._follow(answer, method, target, call)
        exchange, head, raw, body_stream = answer
        limit = self.settings.max_decoded_bytes
        if catch_response:
            report = partial(self._report, context=context)
            response: Response = CaughtResponse(exchange, head, raw, limit, report)
        else:
            response = Response(exchange, head, raw, limit)
        if body_stream is not None:
            response.stream = body_stream
        if history is not None:
            response.history = history
        if not catch_response:
            self._report(exchange, response, context)
        return response

    def get_all(
        self, requests: Iterable[str | Mapping[str, Any]], *, intended_at: float | None = None, **options: Any
    ) -> list[Response]:
        """Send several requests at once, as a browser does for a page; responses in the order given.

        Args: requests: URLs, or mappings with "url" and the options of `request` (and "method").
        The limit of connections per host applies; `Exchange.pool_wait_s` is the wait for one.
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
        """Give all requests inside the block this name."""
        self.step.name = name
        try:
            yield
        finally:
            self.step.name = ""

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:  # noqa: ARG002
        """Report one exchange; override it to use the response as well."""
        if self._on_exchange is not None:
            self._on_exchange(exchange)

    def _follow(
        self, answer: Answer, method: str, target: RequestTarget, call: _Call
    ) -> tuple[Answer, list[Response]]:
        """The last response of a chain of redirects, and those before it (recorded with `record_hops`)."""
        settings = self.settings
        history: list[Response] = []
        body, extra = call.body, call.extra
        exchange, head, raw, body_stream = answer
        while exchange.status in REDIRECTS and not exchange.cause:
            location = header_value(head, head.lower(), "\nlocation:")
            if not location:
                break
            try:
                if len(history) >= settings.max_redirects:
                    raise RequestFailed("too_many_redirects", f"more than {settings.max_redirects}")
                redirect = follow(exchange.status, method, target, location)
            except RequestFailed as failure:
                exchange.decide(failure.cause, failure.detail)
                break
            response = Response(exchange, head, raw, settings.max_decoded_bytes)
            history.append(response)
            if settings.record_hops:
                self._report(exchange, response, call.context)
            method, target = redirect.method, redirect.target
            body = body if redirect.keeps_body else NO_BODY
            if not redirect.same_origin:
                extra = extra_for_another_origin(call.headers, self._default_headers)
            now = self._clock()
            exchange, head, raw, body_stream = self.send_one(
                method, target, body, extra, call.request_name, call.timeouts, call.deadline, call.stream,
                True, call.verify, len(history), now, now,
            )  # fmt: skip
        if history and not settings.record_hops:
            _span_chain(exchange, [response.exchange for response in history])
        return (exchange, head, raw, body_stream), history


class _Call(NamedTuple):
    """The parameters that all requests of a chain of redirects share."""

    request_name: str
    headers: Mapping[str, Any] | None
    extra: ExtraHeaders
    body: Body
    timeouts: Timeouts
    deadline: float
    stream: bool
    verify: bool | None
    context: Mapping[str, Any] | None


def _value_of(call: Callable[[], Response]) -> Callable[[], Response]:
    """The result of a call, or its ValueError, which gevent would print as an uncaught exception."""
    try:
        response = call()
    except ValueError as error:
        problem = error
    else:
        return lambda: response

    def again() -> Response:
        raise problem

    return again


def _span_chain(last: Exchange, before: list[Exchange]) -> None:
    """Extend the record of the last request to the whole chain of redirects."""
    first = before[0]
    last.method, last.url = first.method, first.url
    last.intended_at, last.started_at = first.intended_at, first.started_at
    for one in before:
        last.connect_s += one.connect_s
        last.pool_wait_s += one.pool_wait_s
        last.bytes_sent += one.bytes_sent
        last.bytes_received += one.bytes_received
        last.reconnected = last.reconnected or one.reconnected
