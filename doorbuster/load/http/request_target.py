"""Targets of requests: a parsed URL with the encoded parts of its request line.

A bounded cache per process keeps them, so that a repeated request costs one look-up. Fragments are not sent.
Characters that a URL cannot contain are percent-encoded; escapes and single % signs stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from doorbuster.load.http.basic_auth import basic_auth

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_PATH: Final = re.compile(r"/(?!/)[!$-;=?-\[\]_a-z~]*")
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_SAFE: Final = "!$%&'()*+,/:;=?@[]~"
_CACHED_TARGETS: Final = 8192

Params = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | bytes


class RequestTarget:
    """A parsed URL; immutable.

    url: without fragment and user info. origin: "scheme://host:port", the key of pools. authority: the Host
    header. path: as in the request line. cookie_path: the path without its query.
    cookie_key: determines which cookies are sent. auth: Authorization header for user info in the URL, or "".
    """

    __slots__ = (
        "auth",
        "authority",
        "cookie_key",
        "cookie_path",
        "host",
        "origin",
        "path",
        "port",
        "secure",
        "url",
    )

    def __init__(self, *, secure: bool, host: str, port: int, path: str, auth: str = "") -> None:
        scheme = "https" if secure else "http"
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
        self.secure = secure
        self.host = host
        self.port = port
        self.auth = auth
        self.origin = f"{scheme}://{shown}:{port}"
        self.authority = authority.encode("ascii")
        self.path = path.encode("ascii")
        self.cookie_path = path.partition("?")[0]
        self.cookie_key = (self.origin, self.cookie_path)
        self.url = f"{scheme}://{authority}{path}"

    def at(self, path: str) -> RequestTarget:
        """The same origin with another path."""
        return RequestTarget(secure=self.secure, host=self.host, port=self.port, path=path, auth=self.auth)


_known: Final[dict[tuple[str, str], RequestTarget]] = {}  # faster than `lru_cache`


def resolve_target(base_url: str, url: str) -> RequestTarget:
    """The target of an absolute URL, or of a path below the base URL.

    Raises: ValueError for a URL without a host, or with another scheme than http and https.
    """
    asked = (base_url, url)
    target = _known.get(asked)
    if target is None:
        if len(_known) >= _CACHED_TARGETS:
            _known.clear()
        target = _known[asked] = _read(base_url, url)
    return target


def _read(base_url: str, url: str) -> RequestTarget:
    if _ABSOLUTE.match(url):
        return _parse(url)
    if base_url and url.startswith("//"):
        return _parse(base_url.partition("//")[0] + url)
    if not base_url:
        raise ValueError(f"the URL must be absolute, or the client needs a base_url (got {url!r})")
    base = _base(base_url)
    if len(base.path) == 1 and _PLAIN_PATH.fullmatch(url):
        return base.at(url)
    joined = base_url.rstrip("/") + (url if url.startswith(("/", "?")) or not url else "/" + url)
    return _parse(joined)


def with_params(url: str, params: Params | None) -> str:
    """The URL with its query extended; None values are left out, lists repeat the key."""
    if not params:
        return url
    if isinstance(params, bytes):
        query = params.decode("ascii")
    elif isinstance(params, str):
        query = params
    else:
        pairs = params.items() if isinstance(params, Mapping) else params
        query = urlencode([(key, value) for key, value in pairs if value is not None], doseq=True)
    head, mark, fragment = url.partition("#")
    return head + ("&" if "?" in head else "?") + query + mark + fragment if query else url


def redirect_target(current: RequestTarget, location: str) -> RequestTarget:
    """The target of a Location header. Raises: ValueError if it is not an http or https URL."""
    return _parse(urljoin(current.url, location.strip()))


@lru_cache(maxsize=64)
def _base(base_url: str) -> RequestTarget:
    return _parse(base_url)


def _parse(url: str) -> RequestTarget:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a URL: {url!r} ({error})") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the scheme must be http or https (got {url!r})")
    if not parts.hostname:
        raise ValueError(f"the URL has no host (got {url!r})")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RequestTarget(
        secure=parts.scheme == "https",
        host=_ascii_host(parts.hostname, url),
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=_escaped(path if path.startswith("/") else "/" + path),
        auth=basic_auth(unquote(parts.username), unquote(parts.password or "")) if parts.username else "",
    )


def _ascii_host(host: str, url: str) -> str:
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"the host is not a valid name (got {url!r})") from None
    if not re.fullmatch(r"[A-Za-z0-9._\-:%~]+", ascii_host):
        raise ValueError(f"the host is not a valid name (got {url!r})")
    return ascii_host


def _escaped(path: str) -> str:
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(path, safe=_SAFE)
