"""How the customers of a driver open their session: HTTP/1.1, HTTP/2, or the driver's own protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from doorbuster.load.customers.session import ContentCheckingSession, PageSession, http_session
from doorbuster.load.http.route import Route
from doorbuster.load.http.tls import HTTP1_ALPN, context_for
from doorbuster.storefronts import Storefront


def session_opener(
    driver: type[Storefront], *, checks_content: bool, assets: str = "none", protocol: str = "http/1.1"
) -> Callable[..., Any]:
    """How customers of this driver open their session.

    Raises: UsageError if the library for the protocol is missing.
    """
    if driver.open_session is not None:
        return driver.open_session
    if protocol == "h2":
        return _http2_opener(checks_content=checks_content, assets=assets)
    if assets != "none":
        return partial(PageSession, critical_only=assets == "critical")
    return ContentCheckingSession if checks_content else http_session


def load_protocol(url: str, protocol: str, route: Route) -> None:
    """Load before the start what the first customer would wait for: the library, and the CA bundle for https.

    Raises: UsageError if the library is missing.
    """
    alpn = HTTP1_ALPN
    if protocol == "h2":
        from doorbuster.load.customers import http2_session as http2

        alpn = http2.ALPN
    if url.startswith("https:"):
        context_for(route.verify, route.ca_file, route.cert_file, route.key_file, alpn)


def _http2_opener(*, checks_content: bool, assets: str) -> Callable[..., Any]:
    """The same sessions with HTTP/2; its library is imported only here."""
    from doorbuster.load.customers import http2_session as http2

    if assets != "none":
        return partial(http2.Http2PageSession, critical_only=assets == "critical")
    return http2.Http2ContentCheckingSession if checks_content else http2.http2_session
