"""Keeps other web pages away from Locust's web UI, which starts and stops loads without a password.

Rules
- A request must name this server: as an IP address, as localhost, by the name of this machine, or by the
  names of --web-host and --web-host-display-name. A name that somebody else's DNS leads here is refused.
- A page of another origin may link to the UI, and nothing else: what a browser sends for it is known by
  Sec-Fetch-Site and Origin. Programs that send neither, such as curl, are not browsers.
- No answer permits other origins to read it, and no page may show the UI in a frame.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

_FOREIGN = ("cross-site", "same-site")  # "same-site" includes other ports of this machine
_ADDED = [("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors 'none'"),
          ("Referrer-Policy", "same-origin")]  # fmt: skip
_REMOVED = {name.lower() for name, _ in _ADDED}


def guard_web_ui(environment: Any) -> None:
    """Put the guard in front of Locust's web UI, if there is one."""
    if environment.web_ui is None:
        return
    options = environment.parsed_options
    named = (options.web_host, getattr(options, "web_host_display_name", None))
    hosts = [_host_of(name) for name in named if name]
    app = environment.web_ui.app
    app.wsgi_app = WebUIGuard(app.wsgi_app, (*hosts, socket.gethostname(), socket.getfqdn()))


class WebUIGuard:
    """WSGI middleware. Args: hosts: names of this server besides IP addresses and localhost."""

    def __init__(self, app: Callable[..., Iterable[bytes]], hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts if name) | {"localhost"}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        refusal = self._refusal(environ)
        if refusal:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), *_ADDED])
            return [f"doorbuster: {refusal}\n".encode()]

        def guarded_start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [
                (name, value)
                for name, value in headers
                if not name.lower().startswith("access-control-") and name.lower() not in _REMOVED
            ]
            return start_response(status, [*kept, *_ADDED], *more)

        return self._app(environ, guarded_start)

    def _refusal(self, environ: dict[str, Any]) -> str:
        """Why a request is refused; empty if it is not."""
        here = environ.get("HTTP_HOST", "")
        host = _host_of(here)
        if not (_is_address(host) or host in self._hosts):
            return (
                "the Host header names another server; open the UI by its IP address, or start Locust with "
                "--web-host-display-name NAME"
            )
        site = environ.get("HTTP_SEC_FETCH_SITE", "")
        if site in _FOREIGN and not _is_link(environ):
            return "the request comes from a page of another origin"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc.lower() != here.lower():
            return "the request comes from a page of another origin"
        return ""


def _is_link(environ: dict[str, Any]) -> bool:
    """Whether somebody follows a link to a page of the UI."""
    how = (environ.get("HTTP_SEC_FETCH_MODE"), environ.get("HTTP_SEC_FETCH_DEST"))
    return environ["REQUEST_METHOD"] in ("GET", "HEAD") and how == ("navigate", "document")


def _host_of(place: str) -> str:
    """The host of "host", "host:port", "[::1]:port" or a URL; empty for anything else."""
    try:
        return (urlsplit(place if "//" in place else f"//{place}").hostname or "").lower().rstrip(".")
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
