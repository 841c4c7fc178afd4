"""Keeps Locust's HTTP clients to the hosts that may be loaded, and counts requests that were cut short.

Other clients cannot be watched: for those, the hosts of the user classes are checked before the run.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent import GreenletExit
from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent

from doorbuster.load.target.endpoint import resolves_to_loopback


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
    """allowed: hosts besides loopback. on_cut: called with the start of a request that was cut short."""

    def __init__(self) -> None:
        self.allowed: frozenset[str] = frozenset()
        self.on_cut: Callable[[float], None] = lambda _: None
        self._loopback: dict[str, bool] = {}

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
            return send(session, request, **options)

        def checked_urlopen(agent: Any, request: Any) -> Any:
            if not self.is_allowed(request.url_split.host):
                raise HostNotAllowed(request.url_split.host)
            return urlopen(agent, request)  # type: ignore[no-untyped-call]

        setattr(HttpSession, "send", checked_send)  # noqa: B010  the type checker refuses an assignment
        setattr(LocustUserAgent, "_urlopen", checked_urlopen)  # noqa: B010
        for client in (HttpSession, FastHttpSession):
            setattr(client, "request", self._with_cut(client.request))  # noqa: B010

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
