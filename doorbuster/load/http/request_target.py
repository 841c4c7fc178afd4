"""The target of a request: a URL parsed once, with the bytes of its request line ready to send.

Targets are cached per process, bounded, so the next request for a page costs one lookup. Fragments are not
sent. Characters that a URL may not contain are percent-encoded as UTF-8; escapes and lone % signs stay. Dot
segments of the path are resolved, as browsers, curl and requests do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode, urljoin, urlsplit

from doorbuster.load.http.basic_auth import basic_auth
from doorbuster.load.http.body import field_pairs

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_PATH: Final = re.compile(r"/[!$-;=?-\[\]_a-z~]*")
_DOTS: Final = re.compile(r"/(\.|%2e){1,2}(?=/|$)", re.IGNORECASE)
_ODD_LOCATION: Final = re.compile(r"^(https?):/?(?=[^/\s])", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_SAFE: Final = "!$%&'()*+,/:;=?@[]~"
_CACHED_TARGETS: Final = 8192

Params = Mapping[str, Any] | Iterable[tuple[str, Any]] | str | bytes


class RequestTarget:
    """A parsed URL; never changed.

    url: without fragment and user info. origin: "scheme://host:port", the key of pools. authority: the Host
    header. path: path and query of the request line. name: of its requests in records. cookie_path: the path
    without its query. cookie_key: determines which cookies fit. auth: the Authorization header of user info
    in the URL, or "".
    """

    __slots__ = (
        "auth",
        "authority",
        "cookie_key",
        "cookie_path",
        "host",
        "name",
        "origin",
        "path",
        "port",
        "secure",
        "url",
    )

    def __init__(self, *, secure: bool, host: str, port: int, path: str, name: str, auth: str = "") -> None:
        scheme = "https" if secure else "http"
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == _DEFAULT_PORTS[scheme] else f"{shown}:{port}"
        self.secure = secure
        self.host = host
        self.port = port
        self.auth = auth
        self.name = name
        self.origin = f"{scheme}://{shown}:{port}"
        self.authority = authority.encode("ascii")
        self.path = path.encode("ascii")
        self.cookie_path = path.partition("?")[0]
        self.cookie_key = (self.origin, self.cookie_path)
        self.url = f"{scheme}://{authority}{path}"

    def at(self, path: str) -> RequestTarget:
        """The same origin with another plain path."""
        return RequestTarget(
            secure=self.secure, host=self.host, port=self.port, path=path, name=path, auth=self.auth
        )


_known: Final[dict[tuple[str, str], RequestTarget]] = {}  # a lookup is faster than with `lru_cache`


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
    if not base_url:
        raise ValueError(f"the URL must be absolute, or the client needs a base_url (got {url!r})")
    base = _base(base_url)
    if len(base.path) == 1 and "/." not in url and "/%2" not in url and _PLAIN_PATH.fullmatch(url):
        return base.at(url)
    joined = base_url.rstrip("/") + (url if url.startswith(("/", "?")) or not url else "/" + url)
    return _parse(joined, name=url)


def with_params(url: str, params: Params | None) -> str:
    """The URL with its query extended; None is left out, also in lists, and lists repeat the key."""
    if not params:
        return url
    if isinstance(params, bytes):
        query = params.decode("ascii")
    elif isinstance(params, str):
        query = params
    else:
        pairs = params.items() if isinstance(params, Mapping) else params
        query = urlencode(field_pairs(pairs))
    head, mark, fragment = url.partition("#")
    if not query:
        return url
    separator = "?" if "?" not in head else "" if head.endswith(("?", "&")) else "&"
    return head + separator + query + mark + fragment


def redirect_target(current: RequestTarget, location: str) -> RequestTarget:
    """The target of a Location header, given as Latin-1 text; its bytes are taken as UTF-8.

    Raises: ValueError if it leads to no http or https URL.
    """
    text = location.strip().encode("latin-1").decode("utf-8", "surrogateescape")
    scheme = "https" if current.secure else "http"
    odd = _ODD_LOCATION.match(text)
    if odd and odd[1].lower() != scheme:
        text = f"{odd[1]}://{text[odd.end() :]}"
    elif odd:
        text = text[len(scheme) + 1 :]
    return _parse(urljoin(current.url, text))


@lru_cache(maxsize=64)
def _base(base_url: str) -> RequestTarget:
    return _parse(base_url)


def _parse(url: str, name: str | None = None) -> RequestTarget:
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"not a URL: {_shown(url)} ({error})") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"the scheme must be http or https (got {_shown(url)})")
    if not parts.hostname:
        raise ValueError(f"the URL has no host (got {_shown(url)})")
    query = f"?{parts.query}" if parts.query else ""
    path = _escaped(_without_dots(parts.path or "/") + query)
    return RequestTarget(
        secure=parts.scheme == "https",
        host=_ascii_host(parts.hostname, url),
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        path=path,
        name=path if name is None else name,
        auth=basic_auth(unquote(parts.username), unquote(parts.password or "")) if parts.username else "",
    )


def _without_dots(path: str) -> str:
    """The path with its dot segments resolved (RFC 3986, 5.2.4); %2e is a dot, as in browsers."""
    if not _DOTS.search(path):
        return path if path.startswith("/") else "/" + path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        plain = segment.lower().replace("%2e", ".")
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(segment)
    if segments[-1].lower().replace("%2e", ".") in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _shown(url: str) -> str:
    return repr(url.encode("utf-8", "replace").decode())


def _ascii_host(host: str, url: str) -> str:
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"the host is not a valid name (got {_shown(url)})") from None
    if not re.fullmatch(r"[A-Za-z0-9._\-:%~]+", ascii_host):
        raise ValueError(f"the host is not a valid name (got {_shown(url)})")
    return ascii_host


def _escaped(path: str) -> str:
    if _PLAIN_PATH.fullmatch(path):
        return path
    return quote(path, safe=_SAFE, errors="surrogateescape")
