"""The cookies of one customer, by RFC 6265bis, with the interface of requests' and http.cookiejar's jars.

Rules: the Cookie line of an origin and path is rendered once and kept until a cookie changes or expires; most
customers hold one to five cookies. A cookie with the Secure attribute is taken from and sent to https only.
HttpOnly changes nothing, because there is no script. There is no public-suffix list: a Domain without an
inner dot is refused, which stops "com" but not "co.uk". The jar is bounded; the oldest cookie makes room.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from functools import lru_cache
from typing import Any, Final, NamedTuple

from doorbuster.load.http.dates import parse_cookie_date
from doorbuster.load.http.request_target import RequestTarget

_NEVER: Final = float("inf")
_IP_ADDRESS: Final = re.compile(r"[\d.]+|.*:.*")
_REMEMBERED_REPEATS: Final = 8  # shops like to send the same session cookie with every page
_RENDERED_LINES: Final = 16  # an origin's pages mostly share one Cookie line
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_COOKIE_CHARACTERS: Final = 4096
_MISSING: Final = object()

Cookies = Mapping[str, Any] | Iterable[Any]
"""The `cookies=` of a request: values by name, or a jar."""


class Cookie(NamedTuple):
    """A stored cookie; expires_at_unix_s is infinite for session cookies, `order` counts the cookies made.

    The properties have the names and meanings of http.cookiejar.Cookie.
    """

    name: str
    value: str
    domain: str
    path: str
    host_only: bool
    secure: bool
    http_only: bool
    expires_at_unix_s: float
    order: int

    @property
    def expires(self) -> int | None:
        return None if self.expires_at_unix_s == _NEVER else int(self.expires_at_unix_s)

    @property
    def discard(self) -> bool:
        return self.expires_at_unix_s == _NEVER

    @property
    def domain_specified(self) -> bool:
        return not self.host_only

    def is_expired(self, now: float | None = None) -> bool:
        return self.expires_at_unix_s <= (time.time() if now is None else now)


class Attributes(NamedTuple):
    """The attributes of a Set-Cookie header; Max-Age is relative, Expires is not."""

    domain: str
    path: str
    max_age_s: float | None
    expires_at_unix_s: float
    secure: bool
    http_only: bool


class CookieJar:
    """The cookies of one customer. Iteration yields cookies; as a mapping, it has values by name over all
    hosts, and the newest cookie of a name wins.

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
        if not name or len(name) + len(value) > _MAX_COOKIE_CHARACTERS or _CONTROLS.search(set_cookie):
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

    def set(
        self, name: str, value: Any, domain: str | None = "", path: str = "/", secure: bool = False,
        expires: float | None = None, rest: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Add a cookie by hand; without a domain it is sent to every host. A value of None removes the name.

        Args: rest: further attributes, as in requests; only HttpOnly is kept.
        Raises: ValueError for a name or value that cannot be sent.
        """
        domain = (domain or "").lstrip(".").lower()
        if value is None:
            self._remove(lambda cookie: cookie.name == name and domain in ("", cookie.domain))
            return
        value = value.value if hasattr(value, "coded_value") else str(value)
        if _CONTROLS.search(name + value):
            raise ValueError(f"a cookie must not contain a line break (got {name}={value!r})")
        ends = _NEVER if expires is None else float(expires)
        http_only = any(attribute.lower() == "httponly" for attribute in rest or ())
        self._keep(Cookie(name, value, domain, path, False, secure, http_only, ends, self._made))

    def set_cookie(self, cookie: Any) -> None:
        """Add a cookie of http.cookiejar or of another jar of this class."""
        if isinstance(cookie, Cookie):
            self._keep(cookie._replace(order=self._made))
            return
        domain = cookie.domain.lstrip(".").lower()
        domain = "localhost" if domain == "localhost.local" else domain  # http.cookiejar's name of it
        host_only = bool(domain) and not cookie.domain_specified and not cookie.domain.startswith(".")
        ends = _NEVER if cookie.expires is None else float(cookie.expires)
        value = "" if cookie.value is None else str(cookie.value)
        path = cookie.path or "/"
        secure = bool(cookie.secure)
        self._keep(Cookie(cookie.name, value, domain, path, host_only, secure, False, ends, self._made))

    def update(self, cookies: Any) -> None:
        """Add the cookies of a jar or of a mapping from name to value. Raises: ValueError."""
        if not isinstance(cookies, Mapping | Iterable) or isinstance(cookies, str | bytes):
            raise ValueError(
                f"cookies must be a mapping of names to values or a cookie jar (got {cookies!r})"
            )
        if isinstance(cookies, Mapping):
            for name, value in cookies.items():
                if value is not None:
                    self.set(name, value)
            return
        for cookie in cookies:
            if not hasattr(cookie, "domain"):
                raise ValueError(f"a cookie jar must yield cookies (got {cookie!r})")
            self.set_cookie(cookie)

    def copy(self) -> CookieJar:
        """The same cookies in a jar of their own."""
        other = CookieJar(self.limit, self._now_unix_s)
        other.update(self)
        return other

    def get(self, name: str, default: Any = None, domain: str | None = None, path: str | None = None) -> Any:
        return self.get_dict(domain, path).get(name, default)

    def get_dict(self, domain: str | None = None, path: str | None = None) -> dict[str, str]:
        """Values by name, over all hosts and paths or those given."""
        wanted = None if domain is None else domain.lstrip(".").lower()
        return {
            cookie.name: cookie.value
            for cookie in self._cookies.values()
            if wanted in (None, cookie.domain) and path in (None, cookie.path)
        }

    def all(self) -> tuple[Cookie, ...]:
        """Every cookie, the oldest first."""
        return tuple(self._cookies.values())

    def keys(self) -> KeysView[str]:
        return self.get_dict().keys()

    def values(self) -> ValuesView[str]:
        return self.get_dict().values()

    def items(self) -> ItemsView[str, str]:
        return self.get_dict().items()

    def list_domains(self) -> list[str]:
        return list(dict.fromkeys(cookie.domain for cookie in self._cookies.values()))

    def list_paths(self) -> list[str]:
        return list(dict.fromkeys(cookie.path for cookie in self._cookies.values()))

    def clear(self, domain: str | None = None, path: str | None = None, name: str | None = None) -> None:
        """Remove all cookies, those of a domain, of a domain's path, or one. Raises: KeyError for none."""
        if domain is None:
            self._cookies.clear()
            self._changed()
            return
        wanted = domain.lstrip(".").lower()
        removed = self._remove(
            lambda cookie: (
                cookie.domain == wanted and path in (None, cookie.path) and name in (None, cookie.name)
            )
        )
        if not removed:
            raise KeyError((domain, path, name))

    def clear_expired_cookies(self) -> None:
        self._forget_expired()

    def clear_session_cookies(self) -> None:
        self._remove(lambda cookie: cookie.discard)

    def pop(self, name: str, default: Any = _MISSING) -> Any:
        value = self.get(name, default)
        if value is _MISSING:
            raise KeyError(name)
        self._remove(lambda cookie: cookie.name == name)
        return value

    def setdefault(self, name: str, value: str = "") -> str:
        if name not in self:
            self.set(name, value)
        return self[name]

    def __getitem__(self, name: str) -> str:
        return self.get_dict()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.set(name, value)

    def __delitem__(self, name: str) -> None:
        if not self._remove(lambda cookie: cookie.name == name):
            raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(name in (cookie.name, cookie) for cookie in self._cookies.values())

    def __iter__(self) -> Iterator[Cookie]:
        return iter(self.all())

    def __len__(self) -> int:
        return len(self._cookies)

    def __repr__(self) -> str:
        return f"<CookieJar {self.get_dict()}>"

    def _remove(self, chosen: Callable[[Cookie], bool]) -> int:
        keys = [key for key, cookie in self._cookies.items() if chosen(cookie)]
        for key in keys:
            del self._cookies[key]
        self._changed()
        return len(keys)

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


def own_cookies(cookies: Cookies, target: RequestTarget) -> dict[str, str]:
    """Name and value of the `cookies=` of a request that fit its target."""
    if isinstance(cookies, Mapping):
        return {str(name): str(value) for name, value in cookies.items() if value is not None}
    jar = CookieJar(1_000_000, time.time)
    jar.update(cookies)
    return dict(jar.pairs_for(target))


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
        elif name == "max-age" and re.fullmatch(r"-?[0-9]+", value):
            max_age_s = float(value[:19])
        elif name == "expires":
            parsed = parse_cookie_date(value)
            expires = expires if parsed is None else parsed
        elif name == "secure":
            secure = True
        elif name == "httponly":
            http_only = True
    return Attributes(domain, path, max_age_s, expires, secure, http_only)
