"""Keeps other web pages away from a page that shows or starts a run without a password.

Rules
- A request must name this server: as an IP address, as localhost, or by a name that its owner gave it. A name
  that somebody else's DNS leads here is refused.
- A page of another origin may link to the page, and nothing else: what a browser sends for it is known by
  Sec-Fetch-Site and Origin. Programs that send neither, such as curl, are not browsers.
- No answer permits other origins to read it, and no page may show it in a frame.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_FOREIGN = ("cross-site", "same-site")  # "same-site" includes other ports of this machine
ADDED_HEADERS = [("X-Frame-Options", "DENY"), ("Content-Security-Policy", "frame-ancestors 'none'"),
                 ("Referrer-Policy", "same-origin")]  # fmt: skip
_REPLACED = ("x-frame-options", "referrer-policy")  # of several content security policies, all hold


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """What a request says about where it goes and where it comes from; "" for an absent header."""

    method: str
    host: str
    fetch_site: str = ""
    fetch_mode: str = ""
    fetch_dest: str = ""
    origin: str | None = None


class WebUIGuard:
    """WSGI middleware. Args: hosts: names of this server besides IP addresses and localhost."""

    def __init__(self, app: Callable[..., Iterable[bytes]], hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(name.lower() for name in hosts if name)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = RequestOrigin(
            environ["REQUEST_METHOD"],
            environ.get("HTTP_HOST", ""),
            environ.get("HTTP_SEC_FETCH_SITE", ""),
            environ.get("HTTP_SEC_FETCH_MODE", ""),
            environ.get("HTTP_SEC_FETCH_DEST", ""),
            environ.get("HTTP_ORIGIN"),
        )
        why = refusal(asked, self._hosts, "start Locust with --web-host-display-name NAME")
        if why:
            start_response("403 Forbidden", [("Content-Type", "text/plain; charset=utf-8"), *ADDED_HEADERS])
            return [f"doorbuster: {why}\n".encode()]

        def guarded_start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            kept = [
                (name, value)
                for name, value in headers
                if not name.lower().startswith("access-control-") and name.lower() not in _REPLACED
            ]
            return start_response(status, [*kept, *ADDED_HEADERS], *more)

        return self._app(environ, guarded_start)


def refusal(asked: RequestOrigin, hosts: Iterable[str], way_out: str) -> str:
    """Why a request is refused; "" if it is not. Args: hosts: names of this server, in lower case."""
    host = host_of(asked.host)
    if not (_is_address(host) or host == "localhost" or host in hosts):
        return f"the Host header names another server; open the page by its IP address, or {way_out}"
    foreign = "the request comes from a page of another origin"
    if asked.fetch_site in _FOREIGN and not _is_link(asked):
        return foreign
    if asked.origin is not None and urlsplit(asked.origin).netloc.lower() != asked.host.lower():
        return foreign
    return ""


def _is_link(asked: RequestOrigin) -> bool:
    """Whether somebody follows a link to the page."""
    return asked.method in ("GET", "HEAD") and (asked.fetch_mode, asked.fetch_dest) == (
        "navigate",
        "document",
    )


def host_of(place: str) -> str:
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
