"""doorbuster's HTTP client as `self.client` of a Locust user: change the base class, keep the locustfile.

Rules: every call to the client fires Locust's `request` event once, including a chain of redirects, as with
Locust's own users. Certificates are verified unless the class sets `insecure = True`. Texts of exceptions
contain no numbers that differ between requests, because Locust keeps one entry per text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

from locust import User
from locust.env import Environment
from locust.exception import CatchResponseError, StopTest
from locust.user.users import RestMixin

from doorbuster.load.exchange import Exchange
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.response import CaughtResponse, Response
from doorbuster.load.http.settings import HttpSettings, Timeouts


class LocustHttpClient(HttpClient):
    """The client of one Locust user; fires the environment's `request` event."""

    def __init__(self, base_url: str, *, user: User, settings: HttpSettings) -> None:
        super().__init__(base_url, settings=settings)
        self._user = user

    def _report(self, exchange: Exchange, response: Response, context: Mapping[str, Any] | None) -> None:
        exception: Exception | None = None
        if exchange.cause == "content":
            exception = CatchResponseError(exchange.detail)
        elif exchange.cause:
            exception = response.error
        self._user.environment.events.request.fire(
            request_type=exchange.method,
            name=exchange.name,
            response_time=(exchange.ended_at - exchange.intended_at) * 1000.0,
            response_length=response.body_length,
            exception=exception,
            context={**self._user.context(), **(context or {})},
            response=response,
            start_time=time.time() - (self._clock() - exchange.started_at),
            url=exchange.url,
        )


class HttpUser(User, RestMixin[CaughtResponse]):
    """A Locust user with doorbuster's HTTP client; class attributes have the meaning of FastHttpUser's.

    connection_timeout, network_timeout: seconds; the second one is the limit for the first byte and for the
    whole call. concurrency: parallel connections per host. insecure: accept any certificate.
    http_settings: everything else; the attributes above replace its timeouts, redirects, connections,
    headers and verification only if it is None.
    """

    abstract = True

    connection_timeout: float = 60.0
    network_timeout: float = 60.0
    max_redirects: int = 30
    concurrency: int = 10
    insecure: bool = False
    default_headers: Mapping[str, str] | None = None
    proxy_host: str | None = None
    proxy_port: int | None = None
    http_settings: ClassVar[HttpSettings | None] = None

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        if self.host is None:
            raise StopTest("no host to load: set `host` on the user class, or start Locust with --host URL")
        self.client = LocustHttpClient(
            self.host, user=self, settings=self.http_settings or _http_settings(type(self))
        )

    def on_stop(self) -> None:
        """Close the connections; without this method they close when the user is freed."""
        self.client.close()


def _http_settings(user_class: type[HttpUser]) -> HttpSettings:
    """One settings object per user class, made for its first user."""
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
