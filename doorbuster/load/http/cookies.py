"""One customer's cookies by RFC 6265bis, optimised for the usual one to five cookies.

Rules: the Cookie line of an origin and path is rendered once and kept until a cookie changes or expires. A
cookie with the Secure attribute is accepted from and sent to https only. HttpOnly has no effect. There is no
public-suffix list: a Domain without an inner dot is refused, which stops "com" but not "co.uk". The number of
cookies is limited; a new one replaces the oldest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping
from functools import lru_cache
from typing import Final, NamedTuple

from doorbuster.load.http.dates import parse_http_date
from doorbuster.load.http.request_target import RequestTarget

_NEVER: Final = float("inf")
_IP_ADDRESS: Final = re.compile(r"[\d.]+|.*:.*")
_REMEMBERED_REPEATS: Final = 8  # many shops send the same session cookie with every page
_RENDERED_LINES: Final = 16  # the pages of an origin usually share one Cookie line
_DASHED_DATE: Final = re.compile(r"(\d{1,2})-(\w{3})-(\d{2,4})")
_MAX_COOKIE_CHARACTERS: Final = 4096


class Cookie(NamedTuple):
    """expires_at_unix_s is infinite for session cookies; `order` is the order in which cookies were made."""

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    http_only: bool
    expires_at_unix_s: float
    order: int


class Attributes(NamedTuple):
    """The attributes of a Set-Cookie header; Max-Age is relative, Expires is not."""

    domain: str
    path: str
    max_age_s: float | None
    expires_at_unix_s: float
    secure: bool
    http_only: bool


class CookieJar(MutableMapping[str, str]):
    """The cookies of one customer; as a mapping, name to value over all hosts (the newest wins).

    Args: limit: maximum number of cookies. now_unix_s: wall clock, for expiry dates.
    """

    __slots__ = ("_cookies", "_lines", "_lines_until", "_made", "_now_unix_s", "_repeats", "limit")

    def __init__(self, limit: int, now_unix_s: Callable[[], float]) -> None:
        self.limit = limit
        self._now_unix_s = now_unix_s
        self._cookies: dict[tuple[str, str, str], Cookie] = {}
        self._lines: dict[tuple[str, str], bytes] = {}
        self._lines_until = _NEVER
        self._repeats: dict[tuple[tuple[str, str], str], Cookie] = {}
        self._made = 0

    def store(self, target: RequestTarget, set_cookie: str) -> Cookie | None:
        """Store one Set-Cookie header of the target; None if the rules refuse it."""
        repeated = self._repeats.get((target.cookie_key, set_cookie))
        if repeated is not None:
            return repeated
        pair, _, rest = set_cookie.partition(";")
        name, equals, value = pair.partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("", pair.strip())
        if not name or len(name) + len(value) > _MAX_COOKIE_CHARACTERS:
            return None
        attributes = _attributes(rest)
        domain = attributes.domain or target.host
        if not _may_set(target, name, attributes):
            return None
        path = attributes.path if attributes.path.startswith("/") else _default_path(target.cookie_path)
        expires = attributes.expires_at_unix_s
        if attributes.max_age_s is not None:
            expires = self._now_unix_s() + attributes.max_age_s if attributes.max_age_s > 0 else 0.0
        host_only = not attributes.domain
        cookie = Cookie(
            name, value, domain, path, host_only, attributes.secure, attributes.http_only, expires, self._made
        )
        self._keep(cookie)
        if expires == _NEVER and self._cookies and len(self._repeats) < _REMEMBERED_REPEATS:
            self._repeats[(target.cookie_key, set_cookie)] = cookie
        return cookie

    def line_for(self, target: RequestTarget) -> bytes:
        """The whole Cookie header line for a request to the target, or b""."""
        if not self._cookies:
            return b""
        if self._lines_until != _NEVER and self._now_unix_s() >= self._lines_until:
            self._forget_expired()
        line = self._lines.get(target.cookie_key)
        if line is None:
            line = self._render(target)
            if len(self._lines) >= _RENDERED_LINES:
                self._lines.clear()
            self._lines[target.cookie_key] = line
        return line

    def pairs_for(self, target: RequestTarget) -> list[tuple[str, str]]:
        """Name and value of the cookies a request to the target carries, in sending order."""
        fitting = [cookie for cookie in self._cookies.values() if _fits(cookie, target)]
        fitting.sort(key=lambda cookie: (-len(cookie.path), cookie.order))
        return [(cookie.name, cookie.value) for cookie in fitting]

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a cookie; without a domain it is sent to every host."""
        self._keep(
            Cookie(name, value, domain.lstrip(".").lower(), path, False, False, False, _NEVER, self._made)
        )

    def get_dict(self) -> dict[str, str]:
        """Name to value over all hosts."""
        return {cookie.name: cookie.value for cookie in self._cookies.values()}

    def all(self) -> tuple[Cookie, ...]:
        """Every cookie, the oldest first."""
        return tuple(self._cookies.values())

    def clear(self) -> None:
        self._cookies.clear()
        self._changed()

    def __getitem__(self, name: str) -> str:
        return self.get_dict()[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        keys = [key for key, cookie in self._cookies.items() if cookie.name == name]
        if not keys:
            raise KeyError(name)
        for key in keys:
            del self._cookies[key]
        self._changed()

    def __iter__(self) -> Iterator[str]:
        return iter(self.get_dict())

    def __len__(self) -> int:
        return len(self._cookies)

    def _keep(self, cookie: Cookie) -> None:
        key = (cookie.domain, cookie.path, cookie.name)
        known = self._cookies.get(key)
        if cookie.expires_at_unix_s <= self._now_unix_s():
            if known is not None:
                del self._cookies[key]
                self._changed()
            return
        if known is not None:
            cookie = cookie._replace(order=known.order)
            if cookie == known:
                return
        elif len(self._cookies) >= self.limit:
            if not self.limit:
                return
            self._forget_expired()
            while len(self._cookies) >= self.limit:
                del self._cookies[next(iter(self._cookies))]
        self._cookies[key] = cookie
        self._made += 1
        self._changed()

    def _changed(self) -> None:
        self._lines.clear()
        self._repeats.clear()
        self._lines_until = min(
            (cookie.expires_at_unix_s for cookie in self._cookies.values()), default=_NEVER
        )

    def _forget_expired(self) -> None:
        now = self._now_unix_s()
        for key in [key for key, cookie in self._cookies.items() if cookie.expires_at_unix_s <= now]:
            del self._cookies[key]
        self._changed()

    def _render(self, target: RequestTarget) -> bytes:
        pairs = self.pairs_for(target)
        return cookie_line(pairs) if pairs else b""


def cookie_line(pairs: list[tuple[str, str]]) -> bytes:
    """The Cookie header of names and values. Raises: ValueError for a line break in a value."""
    text = "; ".join(f"{name}={value}" for name, value in pairs)
    if "\r" in text or "\n" in text or "\0" in text:
        raise ValueError(f"a cookie must not contain a line break (got {text!r})")
    try:
        return f"Cookie: {text}\r\n".encode("latin-1")
    except UnicodeEncodeError:
        return f"Cookie: {text}\r\n".encode()


def _fits(cookie: Cookie, target: RequestTarget) -> bool:
    if cookie.secure and not target.secure:
        return False
    elsewhere = cookie.domain and target.host != cookie.domain
    if elsewhere and (cookie.host_only or not _is_subdomain(target.host, cookie.domain)):
        return False
    path, prefix = target.cookie_path, cookie.path
    if path == prefix or prefix == "/":
        return True
    return path.startswith(prefix) and (prefix.endswith("/") or path[len(prefix)] == "/")


def _may_set(target: RequestTarget, name: str, attributes: Attributes) -> bool:
    if attributes.secure and not target.secure:
        return False
    if name.startswith("__Secure-") and not attributes.secure:
        return False
    if name.startswith("__Host-") and not (
        attributes.secure and attributes.path == "/" and not attributes.domain
    ):
        return False
    domain = attributes.domain
    if not domain or domain == target.host:
        return True
    return "." in domain and _is_subdomain(target.host, domain)


def _is_subdomain(host: str, domain: str) -> bool:
    return host.endswith("." + domain) and not _IP_ADDRESS.fullmatch(host)


def _default_path(path: str) -> str:
    last = path.rfind("/")
    return path[:last] if last > 0 else "/"


@lru_cache(maxsize=512)
def _attributes(text: str) -> Attributes:
    domain = path = ""
    max_age_s: float | None = None
    expires = _NEVER
    secure = http_only = False
    for attribute in text.split(";"):
        name, _, value = attribute.partition("=")
        name, value = name.strip().lower(), value.strip()
        if name == "domain":
            domain = value.removeprefix(".").lower()
        elif name == "path":
            path = value
        elif name == "max-age" and re.fullmatch(r"-?\d{1,15}", value):
            max_age_s = float(value)
        elif name == "expires":
            parsed = parse_http_date(_DASHED_DATE.sub(r"\1 \2 \3", value))
            expires = expires if parsed is None else parsed
        elif name == "secure":
            secure = True
        elif name == "httponly":
            http_only = True
    return Attributes(domain, path, max_age_s, expires, secure, http_only)
