"""Encodes a request. What does not change between requests of one customer to one origin is rendered once.

Rules: one header name is sent once; a header of the request replaces the customer's default header of that
name, None removes it. A redirect that becomes a GET drops the headers of the body, a redirect to another
origin drops everything that identifies the customer, and cookies are chosen anew for every request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from doorbuster.load.http.body import Body
from doorbuster.load.http.cookies import CookieJar, Cookies, cookie_line, own_cookies
from doorbuster.load.http.headers import NO_HEADERS, ExtraHeaders, RequestHeaders, checked_name, render_extra
from doorbuster.load.http.pool import Pool
from doorbuster.load.http.request_target import RequestTarget

_METHODS: Final = {m: m.encode() + b" " for m in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")}
_ALWAYS_WITH_LENGTH: Final = frozenset(("POST", "PUT", "PATCH"))
NOTHING_DROPPED: Final[frozenset[str]] = frozenset()
CHUNKED: Final = frozenset(("transfer-encoding",))
_UNUSUAL: Final = frozenset(("cookie", "content-type"))
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+")
NOT_FOR_OTHERS: Final = frozenset(("authorization", "cookie", "host", "proxy-authorization"))
OF_BODY: Final = frozenset(
    ("content-encoding", "content-language", "content-length", "content-location", "content-type", "expect")
)


def render_request(
    method: str,
    target: RequestTarget,
    pool: Pool,
    defaults: RequestHeaders,
    extra: ExtraHeaders,
    cookie: bytes,
    body: Body,
) -> bytes:
    """The whole request. Raises: ValueError for an invalid method."""
    start = _METHODS.get(method) or _method_bytes(method)
    if pool.lines_version != defaults.version:
        pool.defaults = defaults if pool.added is None else _with_added(defaults, pool.added)
        pool.lines = _origin_lines(target, pool, pool.defaults, frozenset())
        pool.lines_version = defaults.version
        pool.usual = not pool.whole_url and _UNUSUAL.isdisjoint(pool.defaults.names)
    defaults = pool.defaults
    content = body.content
    if body.is_chunked:
        extra = ExtraHeaders(extra.lines + b"Transfer-Encoding: chunked\r\n", extra.names | CHUNKED)
    if pool.usual and not extra.names:
        if content or method in _ALWAYS_WITH_LENGTH:
            end = b"Content-Length: %d\r\n\r\n" % len(content)
            return b"".join(
                (start, target.path, pool.lines, cookie, extra.lines, body.type_line, end, content)
            )
        return b"".join((start, target.path, pool.lines, cookie, extra.lines, b"\r\n"))
    lines = pool.lines
    more = extra.lines
    if extra.names:
        if not extra.names.isdisjoint(defaults.names) or "host" in extra.names:
            lines = _origin_lines(target, pool, defaults, extra.names)
        if "cookie" in extra.names:
            cookie = b""
    if "cookie" in defaults.names and "cookie" not in extra.names:
        cookie = b""
    if content or method in _ALWAYS_WITH_LENGTH:
        if "content-type" not in extra.names and "content-type" not in defaults.names:
            more += body.type_line
        if not body.is_chunked:
            more += b"Content-Length: %d\r\n" % len(content)
    path = target.url.encode("ascii") if pool.whole_url else target.path
    return b"".join((start, path, lines, cookie, more, b"\r\n", content))


def extra_headers(
    headers: Mapping[str, Any] | None,
    authorization: str,
    cookies: Cookies | None,
    jar: CookieJar,
    defaults: RequestHeaders,
    target: RequestTarget,
    dropped: frozenset[str],
) -> ExtraHeaders:
    """The headers of one request beside the default headers, without those that a redirect dropped.

    Raises: ValueError for headers that cannot be sent.
    """
    if authorization and headers:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
    if headers and dropped:
        headers = {
            name: value for name, value in headers.items() if checked_name(name).lower() not in dropped
        }
    extra = render_extra(headers) if headers else NO_HEADERS
    if dropped:
        extra = ExtraHeaders(extra.lines, extra.names | (defaults.names & dropped))
    if authorization and "authorization" not in extra.names and "authorization" not in dropped:
        line = f"Authorization: {authorization}\r\n".encode("latin-1")
        extra = ExtraHeaders(extra.lines + line, extra.names | {"authorization"})
    if cookies is not None and "cookie" not in extra.names and "cookie" not in dropped:
        pairs = {**dict(jar.pairs_for(target)), **own_cookies(cookies, target)}
        if pairs:
            line = cookie_line(list(pairs.items()))
            extra = ExtraHeaders(extra.lines + line, extra.names | {"cookie"})
    return extra


_merged: tuple[RequestHeaders, int, Mapping[str, str], RequestHeaders] | None = None


def _with_added(defaults: RequestHeaders, added: Mapping[str, str]) -> RequestHeaders:
    """The customer's default headers with those of the origin; rendered once, because most share both."""
    global _merged  # noqa: PLW0603  a memory of one
    known = _merged
    if known and known[0] is defaults and known[1] == defaults.version and known[2] is added:
        return known[3]
    merged = RequestHeaders({**defaults, **added})
    _merged = (defaults, defaults.version, added, merged)
    return merged


def _origin_lines(
    target: RequestTarget, pool: Pool, defaults: RequestHeaders, without: frozenset[str]
) -> bytes:
    if not without and not pool.proxy_auth:
        return defaults.after_host(target.authority)
    host = b"" if "host" in without or "host" in defaults.names else b"Host: %b\r\n" % target.authority
    proxy = f"Proxy-Authorization: {pool.proxy_auth}\r\n".encode("latin-1") if pool.proxy_auth else b""
    return b" HTTP/1.1\r\n" + host + proxy + (defaults.without(without) if without else defaults.lines)


def _method_bytes(method: str) -> bytes:
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"the method must be one word (got {method!r})")
    return method.encode("ascii") + b" "
