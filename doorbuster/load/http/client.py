"""The HTTP client of one customer: requests' interface, one record per request, failures as values.

Rules
- `request` raises only ValueError for mistakes of the caller, and what others throw into the greenlet
  (GreenletExit, gevent.Timeout): then the connection is closed and nothing is recorded, because whoever
  aborted the request knows why. Use `timeout=` for a customer's patience.
- No hidden retry, with one exception. A kept connection that the server closed before any byte of the answer
  is replaced by a new one, once, if that cannot do the work twice: the close came before the request was
  sent, or nothing could be sent, or the method is idempotent. POST and PATCH therefore check the connection
  first; if it breaks after they were sent, the request failed. `reconnects` counts the replacements.
- A client belongs to the thread that created it; its greenlets may share it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, Final, NamedTuple, Self

import gevent

from doorbuster.load.exchange import CurrentStep, Exchange, RequestFailed
from doorbuster.load.http.auth import Auth, ChallengeAuth, Hook, authenticate, digest_challenge
from doorbuster.load.http.auth_hooks import HookConnection, run_hooks
from doorbuster.load.http.body import NO_BODY, Body, Data, Files, encode_body
from doorbuster.load.http.caught_response import CaughtResponse
from doorbuster.load.http.cookies import Cookies
from doorbuster.load.http.executor import Answer, RequestExecutor
from doorbuster.load.http.headers import NO_HEADERS, header_value
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.load.http.redirect import REDIRECTS, follow
from doorbuster.load.http.request_encoding import (
    NOT_FOR_OTHERS,
    NOTHING_DROPPED,
    OF_BODY,
    extra_headers,
)
from doorbuster.load.http.request_target import Params, RequestTarget, resolve_target, with_params
from doorbuster.load.http.response import Response
from doorbuster.load.http.route import Cert, Proxies, Route, Verify
from doorbuster.load.http.settings import HttpSettings, Timeouts, timeouts_from

Timeout = float | tuple[float | None, float | None] | Timeouts | None
MIN_LIMIT_S: Final = 0.001  # time limit of a request that starts after its deadline
_DEFAULTS: Final = HttpSettings()


@mypyc_attr(allow_interpreted_subclasses=True)
class HttpClient(RequestExecutor):
    """Sends the requests of one customer.

    Args: base_url: precedes every URL without a host. on_exchange: called with one Exchange per request.
    clock: seconds; all times of an Exchange are its readings. step: its name is the default name of requests,
    and its deadline applies to all of them.

    auth: for every request, as `auth=` of a request. More in `RequestExecutor`.
    """

    def __init__(
        self,
        base_url: str = "",
        *,
        on_exchange: Callable[[Exchange], None] | None = None,
        settings: HttpSettings = _DEFAULTS,
        clock: Callable[[], float] = time.perf_counter,
        step: CurrentStep | None = None,
    ) -> None:
        super().__init__(settings, clock)
        self.base_url = base_url
        self.auth: Auth | None = None
        self.step = CurrentStep() if step is None else step
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
        cookies: Cookies | None = None,
        auth: Auth | None = None,
        timeout: Timeout = None,
        allow_redirects: bool = True,
        stream: bool = False,
        catch_response: bool = False,
        verify: Verify | None = None,
        cert: Cert | None = None,
        proxies: Proxies | None = None,
        context: Mapping[str, Any] | None = None,
        intended_at: float | None = None,
    ) -> Response:
        """Send a request, follow its redirects, return the response or the failure.

        Args:
            name: of the request in records; default: the URL as given, without its host.
            auth: (user, password), an auth object of requests, or a function that changes the request.
            timeout: total seconds, (connect, first byte), or Timeouts.
            catch_response: use the result in a `with` block and call success() or failure(text).
            verify, cert, proxies: as in requests, for this request.
            intended_at: clock value at which the request should have started; default: now.
            context: passed to `_report` for overriding classes.

        Raises: ValueError for a request that cannot be sent.
        """
        started_at = self._clock()
        method = method.upper()
        if params:
            url = with_params(url, params)
        target = resolve_target(self.base_url, url)
        body = NO_BODY if data is None and json is None and files is None else encode_body(data, json, files)
        request_name = name or self.step.name or target.name
        extra = NO_HEADERS
        authorization = ""
        challenged: ChallengeAuth | None = None
        hooks: tuple[Hook, ...] = ()
        if headers or cookies or auth or self.auth or target.auth:
            authorization = target.auth
            credentials = auth or self.auth
            if credentials is not None:
                prepared = authenticate(credentials, method, target, self._default_headers, headers, body)
                authorization, challenged = prepared.authorization, prepared.challenged
                hooks = prepared.hooks
                method, target, headers, body = (
                    prepared.method,
                    prepared.target,
                    prepared.headers,
                    prepared.body,
                )
            extra = extra_headers(
                headers, authorization, cookies, self._cookies, self._default_headers, target, NOTHING_DROPPED
            )
        timeouts = (
            self.settings.timeouts if timeout is None else timeouts_from(timeout, self.settings.timeouts)
        )
        total_s = timeouts.total_s
        deadline = inf if total_s is None else started_at + total_s
        if self.step.deadline_at < deadline:
            deadline = max(self.step.deadline_at, started_at + MIN_LIMIT_S)
        route: Route | None = None
        if verify is not None or cert is not None or proxies is not None:
            route = self._route_for(verify, cert, proxies)
        due_at = started_at if intended_at is None else intended_at
        answer = self.send_one(
            method, target, body, extra, request_name, timeouts, deadline, stream, allow_redirects, route,
            0, due_at, started_at,
        )  # fmt: skip
        history = None
        if (allow_redirects and answer[0].status in REDIRECTS) or challenged is not None or hooks:
            call = _Call(
                request_name, headers, authorization, cookies, body, timeouts, deadline, stream, route,
                context, challenged, allow_redirects, hooks,
            )  # fmt: skip
            answer, history = self._follow(answer, method, target, call)
        exchange, head, raw, body_stream, sent = answer
        limit = self.settings.max_decoded_bytes
        if catch_response:
            report = partial(self._report, context=context)
            response: Response = CaughtResponse(exchange, head, raw, limit, sent, report)
        else:
            response = Response(exchange, head, raw, limit, sent)
        if body_stream is not None:
            response.stream = body_stream
        if history:
            response.history = history
            if not self.settings.record_hops:
                _span_chain(exchange, [response.exchange for response in history])
        if not catch_response:
            self._report(exchange, response, context)
        return response

    def get_all(
        self, requests: Iterable[str | Mapping[str, Any]], *, intended_at: float | None = None, **options: Any
    ) -> list[Response]:
        """Fetch several URLs at once, as a browser fetches the parts of a page; answers in the order given.

        Args: requests: URLs, or mappings with "url" and the options of `request` (and "method").
        The limit of connections per host applies; `Exchange.pool_wait_s` is the wait for a connection.
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
        """Use this name for all requests inside the block."""
        self.step.name = name
        try:
            yield
        finally:
            self.step.name = ""

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:  # noqa: ARG002
        """Pass one exchange on; subclasses override it to see the response too."""
        if self._on_exchange is not None:
            self._on_exchange(exchange)

    def _route_for(self, verify: Verify | None, cert: Cert | None, proxies: Proxies | None) -> Route:
        route = self._route
        if verify is not None:
            route = route.with_verify(verify)
        if cert is not None:
            route = route.with_cert(cert)
        return route if proxies is None else route.with_proxies(proxies)

    def _follow(
        self, answer: Answer, method: str, target: RequestTarget, call: _Call
    ) -> tuple[Answer, list[Response]]:
        """The last answer of a chain of redirects, and the answers before it.

        A challenge to authenticate is answered once for each request.
        """
        settings = self.settings
        history: list[Response] = []
        body, authorization, challenged = call.body, call.authorization, call.challenged
        dropped = NOTHING_DROPPED
        exchange, head, raw, body_stream, sent = self._hooked(answer, history, call)
        while not exchange.cause or exchange.status == 401:
            if exchange.status == 401:
                if challenged is None:
                    break
                authorization = challenged.answer(method, target, digest_challenge(head))
                challenged = None
                keeps_body = True
                if not authorization:
                    break
            elif call.follows and exchange.status in REDIRECTS:
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
                method, target, keeps_body = redirect.method, redirect.target, redirect.keeps_body
                if not redirect.keeps_credentials:
                    dropped |= NOT_FOR_OTHERS
                    challenged = None
            else:
                break
            if body_stream is not None:
                body_stream.close()
            response = Response(exchange, head, raw, settings.max_decoded_bytes, sent)
            response.history = history.copy()
            history.append(response)
            if settings.record_hops:
                self._report(exchange, response, call.context)
            if not keeps_body:
                body = NO_BODY
                dropped |= OF_BODY
            extra = extra_headers(
                call.headers,
                authorization,
                call.cookies,
                self._cookies,
                self._default_headers,
                target,
                dropped,
            )
            now = self._clock()
            answer = self.send_one(
                method, target, body, extra, call.request_name, call.timeouts, call.deadline, call.stream,
                call.follows, call.route, len(history), now, now,
            )  # fmt: skip
            exchange, head, raw, body_stream, sent = self._hooked(answer, history, call)
        return (exchange, head, raw, body_stream, sent), history

    def _hooked(self, answer: Answer, history: list[Response], call: _Call) -> Answer:
        """The answer that the hooks of an auth object choose; the others join the history.

        Raises: ValueError if a hook returns something else.
        """
        if not call.hooks or not answer[0].status:
            return answer
        answers: list[tuple[Response, Answer]] = []

        def add(one: Answer) -> Response:
            exchange, head, raw, body_stream, sent = one
            response = Response(exchange, head, raw, self.settings.max_decoded_bytes, sent)
            response.stream = body_stream
            response.history = history.copy()
            response.connection_of_hook = HookConnection(send)
            answers.append((response, one))
            return response

        def send(method: str, target: RequestTarget, headers: Mapping[str, Any], body: Body) -> Response:
            secret = {
                name.lower() for name in self.settings.target_headers
            }  # only for hosts that may have them
            own = {name: value for name, value in headers.items() if name.lower() not in secret}
            extra = extra_headers(
                own, "", None, self._cookies, self._default_headers, target, NOTHING_DROPPED
            )
            now = self._clock()
            return add(
                self.send_one(
                    method, target, body, extra, call.request_name, call.timeouts, call.deadline, call.stream,
                    call.follows, call.route, len(history) + len(answers), now, now,
                )
            )  # fmt: skip

        options = {"timeout": call.timeouts.total_s, "stream": call.stream, "verify": self.verify,
                   "cert": self.cert, "proxies": dict(self.proxies)}  # fmt: skip
        chosen = run_hooks(call.hooks, add(answer), options)
        result = next((one for response, one in answers if response is chosen), None)
        if result is None:
            raise ValueError(
                f"auth: a hook must return the answer that it got, or one of connection.send (got {chosen!r})"
            )
        for response, _ in answers:
            if response is not chosen:
                history.append(response)
                if self.settings.record_hops:
                    self._report(response.exchange, response, call.context)
        return result


class _Call(NamedTuple):
    """The parameters that all requests of a chain of redirects share."""

    request_name: str
    headers: Mapping[str, Any] | None
    authorization: str
    cookies: Cookies | None
    body: Body
    timeouts: Timeouts
    deadline: float
    stream: bool
    route: Route | None
    context: Mapping[str, Any] | None
    challenged: ChallengeAuth | None
    follows: bool
    hooks: tuple[Hook, ...]


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
    """Turn the record of the last request into that of the whole chain, named and timed from the first."""
    first = before[0]
    last.method, last.url = first.method, first.url
    last.intended_at, last.started_at = first.intended_at, first.started_at
    for one in before:
        last.connect_s += one.connect_s
        last.pool_wait_s += one.pool_wait_s
        last.bytes_sent += one.bytes_sent
        last.bytes_received += one.bytes_received
        last.reconnected = last.reconnected or one.reconnected
