"""Keeps Locust's HTTP clients to the hosts and the rate that are allowed, and counts requests cut short.

Other clients cannot be watched: for those, the hosts of the user classes are checked before the run, and
`safety.max_rate` is refused.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from math import inf
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent import GreenletExit
from geventhttpclient.connectionpool import ConnectionPool
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent
from urllib3.util import connection

from doorbuster.load.http.allowed_hosts import LOOPBACK_ONLY, AllowedHosts, canonical_host
from doorbuster.load.http.send_limit import RequestCeiling
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.locust_plugin.http_user import HttpUser as DoorbusterHttpUser
from doorbuster.scenario import HeaderValues


class HostNotAllowed(ConnectionError):  # noqa: N818 - reads as what happened
    """A request that was not sent, because its host may not be loaded."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"{host} may not be loaded; see --confirm-host")


class SessionHostNotAllowed(requests.exceptions.ConnectionError, HostNotAllowed):
    """The same for HttpUser, which takes only the errors of `requests` for failed requests."""

    def __init__(self, host: str, request: Any) -> None:
        super().__init__(host, request=request)  # which calls HostNotAllowed's


@dataclass(slots=True)
class _GuardedRequest:
    """The request that the current greenlet sends; refusal: why its address may not be dialled."""

    host: str
    refusal: str = ""


_current: ContextVar[_GuardedRequest | None] = ContextVar("_current", default=None)
_may_send: ContextVar[bool] = ContextVar("_may_send", default=False)
"""Whether the next send of this greenlet has taken its token, before Locust began to measure it."""


class ClientGuard:
    """allowed: what may be loaded. named: hosts that get `target_headers`. ceiling: None without `max_rate`.
    on_cut: called with the start of a request that was cut short.
    """

    def __init__(self) -> None:
        self.allowed: AllowedHosts = LOOPBACK_ONLY
        self.named: frozenset[str] = frozenset()
        self.target_headers: Mapping[str, str] = {}
        self.ceiling: RequestCeiling | None = None
        self._settings: dict[int, tuple[HttpSettings, HttpSettings]] = {}
        self.on_cut: Callable[[float], None] = lambda _: None

    def begin(
        self,
        allowed: AllowedHosts,
        named: Iterable[str],
        headers: HeaderValues,
        max_rate_per_s: float | None,
    ) -> None:
        """The hosts and headers of the next run, and this process's share of the ceiling on requests."""
        self.allowed, self.named = allowed, frozenset(named)
        self.target_headers = headers.values
        self.ceiling = None if max_rate_per_s is None else RequestCeiling(max_rate_per_s, perf_counter)
        self._settings.clear()

    def watch_clients(self) -> None:
        """Check every request, redirect and dialled address of HttpUser and FastHttpUser."""
        send, urlopen = HttpSession.send, LocustUserAgent._urlopen

        def checked_send(session: Any, request: Any, **options: Any) -> Any:
            with self._guarded(urlsplit(request.url).hostname or "") as current:
                if current.refusal:
                    raise SessionHostNotAllowed(current.refusal, request)
                self._add_headers(current.host, request.headers, session.headers)
                self._wait_to_send()
                try:
                    return send(session, request, **options)
                except requests.exceptions.ConnectionError as error:
                    if current.refusal:
                        raise SessionHostNotAllowed(current.refusal, request) from error
                    raise

        def checked_urlopen(agent: Any, request: Any) -> Any:
            with self._guarded(request.url_split.host) as current:
                if current.refusal:
                    raise HostNotAllowed(current.refusal)
                self._add_headers(current.host, request.headers, agent.default_headers)
                self._wait_to_send()
                return urlopen(agent, request)  # type: ignore[no-untyped-call]

        setattr(HttpSession, "send", checked_send)  # noqa: B010  the type checker refuses an assignment
        setattr(LocustUserAgent, "_urlopen", checked_urlopen)  # noqa: B010
        setattr(connection, "create_connection", self._checked_create(connection.create_connection))  # noqa: B010
        setattr(ConnectionPool, "_resolve", self._checked_resolve(ConnectionPool._resolve))  # noqa: B010
        for client in (HttpSession, FastHttpSession):
            setattr(client, "request", self._watched(client.request))  # noqa: B010

        setattr(DoorbusterHttpUser, "restrict", self._restricted)  # noqa: B010

    @contextmanager
    def _guarded(self, host: str) -> Iterator[_GuardedRequest]:
        """Check the addresses that are dialled in this block."""
        current = _GuardedRequest(host, "" if self.allowed.names(host) else canonical_host(host))
        before = _current.set(current)
        try:
            yield current
        finally:
            _current.reset(before)

    def _checked_create(self, create: Callable[..., Any]) -> Callable[..., Any]:
        """What urllib3 dials with: only addresses that may be dialled, of the host or of its proxy."""

        def checked(address: tuple[str, int], *args: Any, **options: Any) -> Any:
            if _current.get() is None:
                return create(address, *args, **options)
            host, port = address
            rows = socket.getaddrinfo(
                host.strip("[]"), port, connection.allowed_gai_family(), socket.SOCK_STREAM
            )
            failure: OSError | None = None
            for row in self._permitted(host, rows):
                try:
                    return create((str(row[4][0]), port), *args, **options)
                except OSError as error:
                    failure = failure or error
            raise failure or OSError("getaddrinfo returned no address")

        return checked

    def _checked_resolve(self, resolve: Callable[..., Any]) -> Callable[..., Any]:
        """The same for the look-ups of FastHttpUser's client."""

        def checked(pool: Any) -> Any:
            rows = resolve(pool)
            return rows if _current.get() is None else self._permitted(pool._connection_host, rows)

        return checked

    def _permitted(self, host: str, rows: Iterable[Any]) -> list[Any]:
        """The rows of getaddrinfo that may be dialled. Raises: HostNotAllowed if there are none."""
        found = list(rows)
        some = [row for row in found if self.allowed.permits(host, str(row[4][0]))]
        current = _current.get()
        if found and not some and current is not None:
            current.refusal = self.allowed.refusal(host, str(found[0][4][0]))
            raise HostNotAllowed(current.refusal)
        return some

    def _add_headers(self, host: str, headers: Any, defaults: Any) -> None:
        """Add the target's headers, which replace the client's defaults but not those of the request.

        A redirect takes the headers of the request along: those of the target end at its hosts.
        """
        for name, value in self.target_headers.items():
            own = headers.get(name)
            if host in self.named:
                if own is None or own == defaults.get(name):
                    headers[name] = value
            elif own == value:
                del headers[name]

    def _restricted(self, settings: HttpSettings) -> HttpSettings:
        """The settings of our client's users, with the hosts that may be loaded and the target's headers."""
        known = self._settings.get(id(settings))
        if known is None or known[0] is not settings:
            hosts = self.allowed.narrowed_by(settings.hosts)
            made = replace(settings, hosts=hosts, target_headers=self.target_headers, ceiling=self.ceiling)
            known = self._settings[id(settings)] = settings, made
        return known[1]

    def _watched(self, request: Any) -> Any:
        """A client's `request`: the wait for the ceiling is over before the client measures."""

        def watched(session: Any, *args: Any, **options: Any) -> Any:
            self._wait_to_send()
            before = _may_send.set(True)
            started_at = perf_counter()
            try:
                return request(session, *args, **options)
            except GreenletExit:  # the user was stopped before the answer
                self.on_cut(started_at)
                raise
            finally:
                _may_send.reset(before)

        return watched

    def _wait_to_send(self) -> None:
        """Wait for the ceiling, unless this send has its token; a redirect waits within its response time."""
        if self.ceiling is None:
            return
        if _may_send.get():
            _may_send.set(False)
        else:
            self.ceiling.sends.wait(inf)


def host_of(address: str) -> str:
    """The host of "https://shop.example/x", "shop.example:443" or "shop.example"."""
    return urlsplit(address if "//" in address else f"//{address}").hostname or ""
