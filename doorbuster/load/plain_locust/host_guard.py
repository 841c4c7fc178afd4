"""Keeps Locust's HTTP clients to the hosts that may be loaded, and counts requests that were cut short.

Other clients cannot be watched: for those, the hosts of the user classes are checked before the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent import GreenletExit
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent

from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.locust_plugin.http_user import HttpUser as DoorbusterHttpUser
from doorbuster.load.target.endpoint import resolves_to_loopback
from doorbuster.scenario import HeaderValues


class HostNotAllowed(ConnectionError):  # noqa: N818 - reads as what happened
    """A request that was not sent, because its host may not be loaded."""

    def __init__(self, host: str) -> None:
        self.host = host
        super().__init__(f"{host} may not be loaded; confirm it with --confirm-host {host}")


class SessionHostNotAllowed(requests.exceptions.ConnectionError, HostNotAllowed):
    """The same for HttpUser, which takes only the errors of `requests` for failed requests."""

    def __init__(self, host: str, request: Any) -> None:
        super().__init__(host, request=request)  # which calls HostNotAllowed's


class HostGuard:
    """allowed: hosts besides loopback. named: hosts that get `target_headers`.
    on_cut: called with the start of a request that was cut short.
    """

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()
        self.named: frozenset[str] = frozenset()
        self.target_headers: Mapping[str, str] = {}
        self._settings: dict[int, tuple[HttpSettings, HttpSettings]] = {}
        self.on_cut: Callable[[float], None] = lambda _: None
        self._loopback: dict[str, bool] = {}

    def begin(self, allowed: Iterable[str], named: Iterable[str], headers: HeaderValues) -> None:
        """The hosts and headers of the next run."""
        self.allowed, self.named = frozenset(allowed), frozenset(named)
        self.target_headers = headers.values
        self._settings.clear()

    def is_allowed(self, host: str) -> bool:
        """Whether requests to this host may be sent."""
        return host in self.allowed or self._is_loopback(host)

    def watch_clients(self) -> None:
        """Check every request and redirect of HttpUser and FastHttpUser."""
        send, urlopen = HttpSession.send, LocustUserAgent._urlopen

        def checked_send(session: Any, request: Any, **options: Any) -> Any:
            host = urlsplit(request.url).hostname or ""
            if not self.is_allowed(host):
                raise SessionHostNotAllowed(host, request)
            self._add_headers(host, request.headers, session.headers)
            return send(session, request, **options)

        def checked_urlopen(agent: Any, request: Any) -> Any:
            host = request.url_split.host
            if not self.is_allowed(host):
                raise HostNotAllowed(host)
            self._add_headers(host, request.headers, agent.default_headers)
            return urlopen(agent, request)  # type: ignore[no-untyped-call]

        setattr(HttpSession, "send", checked_send)  # noqa: B010  the type checker refuses an assignment
        setattr(LocustUserAgent, "_urlopen", checked_urlopen)  # noqa: B010
        for client in (HttpSession, FastHttpSession):
            setattr(client, "request", self._with_cut(client.request))  # noqa: B010

        setattr(DoorbusterHttpUser, "restrict", self._restricted)  # noqa: B010

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
            hosts = self.allowed | self.named
            hosts = hosts if settings.hosts is None else hosts & settings.hosts
            made = replace(settings, hosts=hosts, target_headers=self.target_headers)
            known = self._settings[id(settings)] = settings, made
        return known[1]

    def _with_cut(self, request: Any) -> Any:
        def watched(session: Any, *args: Any, **options: Any) -> Any:
            started_at = perf_counter()
            try:
                return request(session, *args, **options)
            except GreenletExit:  # the user was stopped before the answer
                self.on_cut(started_at)
                raise

        return watched

    def _is_loopback(self, host: str) -> bool:
        known = self._loopback.get(host)
        if known is None:
            known = self._loopback[host] = resolves_to_loopback(host.strip("[]"))
        return known


def host_of(address: str) -> str:
    """The host of "https://shop.example/x", "shop.example:443" or "shop.example"."""
    return urlsplit(address if "//" in address else f"//{address}").hostname or ""
