"""doorbuster's HTTP client as `self.client` of a Locust user: change the base class, keep the locustfile.

Rules: every call to the client fires Locust's `request` event once, including a chain of redirects, as with
Locust's own users. What the client of HttpUser or FastHttpUser can do works here in the same way or raises an
error that names the alternative; nothing is accepted and ignored. Certificates are verified unless the class
sets `insecure = True`. Texts of exceptions contain no numbers that differ between requests, because Locust
keeps one entry per text.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, ClassVar

from locust import User
from locust.env import Environment
from locust.event import EventHook
from locust.exception import (
    CatchResponseError,
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    ResponseError,
    StopTest,
    StopUser,
)
from locust.user.users import RestMixin
from requests.exceptions import RequestException

from doorbuster.load.exchange import Exchange
from doorbuster.load.http import caught_response
from doorbuster.load.http.body import field_pairs
from doorbuster.load.http.caught_response import CaughtResponse
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.cookies import CookieJar
from doorbuster.load.http.response import Response
from doorbuster.load.http.settings import HttpSettings, Timeouts

caught_response.control_exceptions[:] = (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopUser,
    StopTest,
)
caught_response.failure_exceptions[:] = [ResponseError]
_log = logging.getLogger(__name__)
_Hook = Callable[..., Any]


class UnsendableRequest(RequestException, ValueError):  # noqa: N818 - reads as what happened
    """A mistake of the caller: a request that cannot be sent. Nothing is recorded."""


class LocustHttpClient(HttpClient):
    """The client of one Locust user; fires the environment's `request` event.

    params, stream, hooks: defaults of every request, as in requests' Session.
    """

    def __init__(self, base_url: str, *, user: User, settings: HttpSettings) -> None:
        super().__init__(base_url, settings=settings)
        self.user = user
        self.params: Any = {}
        self.stream = False
        self.hooks: dict[str, Any] = {"response": []}

    def request(
        self,
        method: str | bytes,
        url: str | bytes,
        name: str | None = None,
        catch_response: bool = False,
        context: Mapping[str, Any] | None = None,
        *,
        params: Any = None,
        hooks: Mapping[str, Any] | None = None,
        stream: bool | None = None,
        timeout: Any = None,
        **options: Any,
    ) -> Any:
        """Send a request; all options of `HttpClient.request`, and hooks as in requests."""
        if not isinstance(url, str):
            url = url.decode() if isinstance(url, bytes) else str(url)
        if not isinstance(method, str):
            method = method.decode()
        if self.params:
            params = _merged(self.params, params)
        to_call = _response_hooks((self.hooks, hooks or {})) if hooks or _is_used(self.hooks) else ()
        try:
            response = super().request(
                method,
                url,
                name=name,
                catch_response=catch_response,
                context=context,
                params=params,
                stream=self.stream if stream is None else stream,
                timeout=tuple(timeout) if isinstance(timeout, list) else timeout,
                **options,
            )
        except ValueError as error:
            raise UnsendableRequest(str(error)) from None
        return _with_hooks(response, to_call) if to_call else response

    def post(self, url: Any, data: Any = None, json: Any = None, **options: Any) -> Any:
        return self.request("POST", url, data=data, json=json, **options)

    def iter_lines(self, url: str, method: str = "GET", **options: Any) -> Iterator[str]:
        """The lines of an answer as text while they arrive. Raises: RequestFailed for a failed request."""
        response = self.request(method, url, stream=True, **options)
        response.raise_for_status()
        for line in response.iter_lines():
            yield line.decode("utf-8", "replace")

    def send(self, prepared: Any, **options: Any) -> Any:
        """Send a prepared request of requests."""
        return self.request(
            prepared.method, prepared.url, headers=dict(prepared.headers), data=prepared.body, **options
        )

    def prepare_request(self, request: Any) -> Any:
        """A `requests.Request` made ready for `send`; the client adds its own headers and cookies then."""
        return request.prepare()

    def mount(self, prefix: str, adapter: object) -> None:
        """Does nothing but warn: connections belong to the client."""
        _log.warning(
            "client.mount(%r, %s) has no effect: set retries in the task, and connections and TLS with"
            " http_settings of the user class",
            prefix,
            type(adapter).__name__,
        )

    def get_adapter(self, _url: str) -> None:
        raise _unsupported("get_adapter", "this client has no adapters; http_settings sets its connections")

    @property
    def adapters(self) -> None:
        raise _unsupported("adapters", "this client has no adapters; http_settings sets its connections")

    @property
    def client(self) -> None:
        raise _unsupported("client.client", "use the client itself; http_settings sets its connections")

    @property
    def request_event(self) -> EventHook:
        """The event that requests are reported to, for a second HttpSession."""
        event: EventHook = self.user.environment.events.request
        return event

    @property
    def request_name(self) -> str | None:
        """The name of requests without one."""
        return self.step.name or None

    @request_name.setter
    def request_name(self, name: str | None) -> None:
        self.step.name = name or ""

    @property
    def cookiejar(self) -> CookieJar:
        return self.cookies

    @cookiejar.setter
    def cookiejar(self, cookies: Any) -> None:
        self.cookies = cookies

    @property  # type: ignore[override]
    def proxies(self) -> MutableMapping[str, Any]:
        """Proxies by scheme or scheme://host; a change holds from the next request on."""
        return _ClientProxies(self)

    @proxies.setter
    def proxies(self, proxies: Any) -> None:
        self._change_route(self._route._replace(proxies=None).with_proxies(proxies or {}))

    @property
    def trust_env(self) -> bool:
        """Whether proxies come from the environment. False, unless http_settings or the locustfile say so."""
        return self.settings.proxies_from_env

    @trust_env.setter
    def trust_env(self, trusted: bool) -> None:
        self._change_settings(proxies_from_env=trusted)

    @property
    def max_redirects(self) -> int:
        return self.settings.max_redirects

    @max_redirects.setter
    def max_redirects(self, limit: int) -> None:
        self._change_settings(max_redirects=limit)

    def _change_settings(self, **changes: Any) -> None:
        self._close_pools()
        self.settings = replace(self.settings, **changes)

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:
        exception: Exception | None = None
        if exchange.cause == "content":
            verdict = response.verdict if isinstance(response, CaughtResponse) else None
            given = isinstance(verdict, Exception)
            exception = verdict if given else CatchResponseError(exchange.detail)
        elif exchange.cause:
            exception = response.error
        self.request_event.fire(
            request_type=exchange.method,
            name=exchange.name,
            response_time=(exchange.ended_at - exchange.intended_at) * 1000.0,
            response_length=response.body_length,
            exception=exception,
            context={**self.user.context(), **(context or {})},
            response=response,
            start_time=time.time() - (self._clock() - exchange.started_at),
            url=exchange.url,
        )


class HttpUser(User, RestMixin[CaughtResponse]):
    """A Locust user with doorbuster's HTTP client; class attributes have the meaning of FastHttpUser's.

    connection_timeout, network_timeout: seconds; the second one is the limit for the first byte and for the
    whole call. concurrency: parallel connections per host. insecure: accept any certificate.
    ssl_context_factory: returns the SSLContext of the user.
    http_settings: everything else; the attributes above replace its timeouts, redirects, connections,
    headers and verification only if it is None.
    """

    abstract = True

    connection_timeout: float = 60.0
    network_timeout: float = 60.0
    max_redirects: int = 30
    max_retries: int = 0
    concurrency: int = 10
    insecure: bool = False
    default_headers: Mapping[str, str] | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None
    ssl_context_factory: Callable[..., Any] | None = None
    client_pool: Any = None
    pool_manager: Any = None
    http_settings: ClassVar[HttpSettings | None] = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("no host to load: set `host` on the user class, or start Locust with --host URL")
        for attribute, instead in _REFUSED.items():
            if getattr(self, attribute):
                raise StopTest(f"{type(self).__name__}.{attribute} is not supported: {instead}")
        settings = self.http_settings or _http_settings(type(self))
        settings = self.restrict(settings)
        if self.ssl_context_factory is not None:
            settings = replace(settings, ssl_context=self.ssl_context_factory())
        self.client = LocustHttpClient(self.host, user=self, settings=settings)

    @staticmethod
    def restrict(settings: HttpSettings) -> HttpSettings:
        """The settings to use; `doorbuster run` limits them to the hosts that may be loaded."""
        return settings

    def on_stop(self) -> None:
        """Close the connections; without this method they close when the user is freed."""
        self.client.close()


_REFUSED = {
    "client_pool": "every user keeps its own connections, as a browser does; limit them with `concurrency`",
    "pool_manager": "every user keeps its own connections, as a browser does; limit them with `concurrency`",
    "max_retries": "a hidden retry falsifies the measurement; send the request again in the task",
}


class _ClientProxies(MutableMapping[str, Any]):
    """The proxies of a client, as a mapping that can be changed."""

    def __init__(self, client: LocustHttpClient) -> None:
        self._client = client

    def __getitem__(self, scheme: str) -> Any:
        return self._known()[scheme]

    def __setitem__(self, scheme: str, url: str | None) -> None:
        self._client.proxies = {**self._known(), scheme: url}

    def __delitem__(self, scheme: str) -> None:
        known = self._known()
        del known[scheme]
        self._client.proxies = known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())

    def _known(self) -> dict[str, str | None]:
        return dict(self._client._route.proxies or ())


def _unsupported(name: str, instead: str) -> AttributeError:
    return AttributeError(f"{name} is not supported: {instead}")


def _merged(standing: Any, own: Any) -> Any:
    """The params of the client and of the request; those of the request replace others of the same name."""
    if own is None:
        return standing
    if isinstance(own, str | bytes) or isinstance(standing, str | bytes):
        return own
    pairs = list(own.items() if isinstance(own, Mapping) else own)
    names = {name for name, _ in pairs}
    before = standing.items() if isinstance(standing, Mapping) else standing
    return field_pairs([(name, value) for name, value in before if name not in names] + pairs)


def _is_used(hooks: Mapping[str, Any]) -> bool:
    return len(hooks) > 1 or bool(hooks.get("response"))


def _response_hooks(several: Iterable[Mapping[str, Any]]) -> list[_Hook]:
    """The functions of `hooks=` mappings. Raises: ValueError for hooks of another event."""
    found: list[_Hook] = []
    for given in several:
        unknown = given.keys() - {"response"}
        if unknown:
            raise UnsendableRequest(f"hooks: only 'response' is supported (got {', '.join(sorted(unknown))})")
        some = given.get("response") or ()
        found += [some] if callable(some) else some
    return found


def _with_hooks(response: Response, hooks: Iterable[_Hook]) -> Any:
    """Call the hooks for every answer of a chain of redirects; a value returned for the last replaces it."""
    result: Any = response
    for hook in hooks:
        for earlier in response.history:
            hook(earlier)
        changed = hook(result)
        result = result if changed is None else changed
    return result


def _http_settings(user_class: type[HttpUser]) -> HttpSettings:
    """One settings object per user class, created for its first user."""
    known = user_class.__dict__.get("_settings_made")
    if isinstance(known, HttpSettings):
        return known
    proxy = f"http://{user_class.proxy_host}:{user_class.proxy_port}" if user_class.proxy_host else ""
    settings = HttpSettings(
        timeouts=Timeouts(
            connect_s=user_class.connection_timeout,
            first_byte_s=user_class.network_timeout,
            total_s=user_class.network_timeout,
        ),
        max_redirects=user_class.max_redirects,
        connections_per_host=user_class.concurrency,
        verify=not user_class.insecure,
        headers=user_class.default_headers or {},
        proxy=proxy,
        record_hops=False,
    )
    user_class._settings_made = settings  # type: ignore[attr-defined]
    return settings
