"""Chooses the proxy of a URL, if any.

Rules: the request's and the client's `proxies` come before the settings. The environment is read only if the
settings ask for it; NO_PROXY is honoured then. A plain-HTTP request goes to the proxy with its whole URL, an
HTTPS request through a tunnel (CONNECT).
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from doorbuster.load.http.request_target import RequestTarget, resolve_target
from doorbuster.load.http.route import Route, chosen_proxy
from doorbuster.load.http.settings import HttpSettings


class Proxy(NamedTuple):
    """auth is the value of Proxy-Authorization, or ""."""

    host: str
    port: int
    auth: str


def proxy_for(settings: HttpSettings, target: RequestTarget, route: Route) -> Proxy | None:
    """The proxy of requests to this origin. Raises: ValueError for a proxy that is not an http:// URL."""
    url = settings.proxy
    chosen = None
    if route.proxies is not None:
        chosen = chosen_proxy(route.proxies, "https" if target.secure else "http", target.host)
    if chosen is not None:
        url = chosen
    elif not url and settings.proxies_from_env:
        proxies = getproxies_environment()
        if not proxy_bypass_environment(f"{target.host}:{target.port}", proxies):
            url = proxies.get("https" if target.secure else "http") or proxies.get("all", "")
    if not url:
        return None
    if not url.lower().startswith("http://") and "://" in url:
        raise ValueError(
            f"a proxy must be an http:// URL; SOCKS and https:// are not supported (got {url!r})"
        )
    place = resolve_target("", url if "://" in url else f"http://{url}")
    return Proxy(place.host, place.port, place.auth)


def connect_request(target: RequestTarget, proxy: Proxy) -> bytes:
    """The request that opens a tunnel to the target."""
    place = f"[{target.host}]:{target.port}" if ":" in target.host else f"{target.host}:{target.port}"
    auth = f"Proxy-Authorization: {proxy.auth}\r\n" if proxy.auth else ""
    return f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{auth}\r\n".encode("ascii")
