"""Headers: the default ones of a customer, those of one request, and those of a response.

Rules: names are compared without case; sent headers are checked for line breaks, so that no value can become
a second header; received headers are parsed on access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOSTS_KEPT: Final = 64
_LINE_BREAK: Final = re.compile(r"[\r\n\0]")


class RequestHeaders(MutableMapping[str, str]):
    """The headers of every request of a customer; may be changed between requests.

    `names` and `lines` are rendered once after a change. `version` changes with them.
    """

    __slots__ = ("_fields", "_starts", "lines", "names", "version")

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._fields: dict[str, tuple[str, str]] = {}
        self.version = 0
        for name, value in (headers or {}).items():
            self._fields[name.lower()] = (name, checked(name, value))
        self._render()

    def after_host(self, authority: bytes) -> bytes:
        """The end of a request line, Host and all headers; made once for all customers that share these."""
        start = self._starts.get(authority)
        if start is None:
            if len(self._starts) >= _HOSTS_KEPT:
                self._starts.clear()
            host = b"" if "host" in self.names else b"Host: %b\r\n" % authority
            start = self._starts[authority] = b" HTTP/1.1\r\n" + host + self.lines
        return start

    def copy(self) -> RequestHeaders:
        """A copy."""
        other = RequestHeaders()
        other._fields = self._fields.copy()
        other.version, other.names, other.lines = self.version, self.names, self.lines
        return other

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()][1]

    def __setitem__(self, name: str, value: str) -> None:
        self._fields[name.lower()] = (name, checked(name, value))
        self._render()

    def __delitem__(self, name: str) -> None:
        del self._fields[name.lower()]
        self._render()

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._fields.values()])

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def without(self, names: frozenset[str]) -> bytes:
        """The lines of all headers whose lower-case name is not in `names`."""
        return b"".join(_line(*field) for key, field in self._fields.items() if key not in names)

    def _render(self) -> None:
        self.version += 1
        self.names = frozenset(self._fields)
        self._starts: dict[bytes, bytes] = {}
        self.lines = self.without(frozenset())


class ExtraHeaders(NamedTuple):
    """Headers of one request: their lines, and the lower-case names they replace or, with None, remove."""

    lines: bytes
    names: frozenset[str]


NO_HEADERS: Final = ExtraHeaders(b"", frozenset())


@lru_cache(maxsize=1024)
def render_headers(headers: tuple[tuple[str, str | bytes | int | None], ...]) -> ExtraHeaders:
    """The lines of one request's headers. Raises: ValueError for a name or value that cannot be sent."""
    lines = [_line(name, checked(name, value)) for name, value in headers if value is not None]
    return ExtraHeaders(b"".join(lines), frozenset(name.lower() for name, _ in headers))


def checked(name: str, value: str | bytes | float) -> str:
    """The value as text. Raises: ValueError if name or value cannot be sent."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"a header name must be letters, digits and -_.!#$%&'*+^`|~ (got {name!r})")
    if _LINE_BREAK.search(text):
        raise ValueError(f"the value of header {name} must not contain a line break (got {text!r})")
    return text


def _line(name: str, value: str) -> bytes:
    try:
        return f"{name}: {value}\r\n".encode("latin-1")
    except UnicodeEncodeError:
        return f"{name}: {value}\r\n".encode()


class ResponseHeaders(Mapping[str, str]):
    """Headers of a response. Repeated ones are joined with ", "; `get_list` gives them one by one."""

    __slots__ = ("_fields",)

    def __init__(self, head: str) -> None:
        self._fields: dict[str, tuple[str, list[str]]] = {}
        for line in head.split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self._fields.setdefault(name.lower(), (name, []))[1].append(value.strip(" \t"))

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._fields[name.lower()][1])

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._fields.values()])

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __repr__(self) -> str:
        return f"ResponseHeaders({dict(self)!r})"

    def get_list(self, name: str) -> list[str]:
        """All values of one header, in order."""
        field = self._fields.get(name.lower())
        return list(field[1]) if field else []


def header_value(head: str, lower_head: str, name: str) -> str | None:
    """The first value of one header, without parsing the others; `name` like "\\nretry-after:"."""
    values = header_values(head, lower_head, name)
    return values[0] if values else None


def header_values(head: str, lower_head: str, name: str) -> list[str]:
    """Every value of one header, without parsing the others."""
    values = []
    start = lower_head.find(name)
    while start >= 0:
        start += len(name)
        end = head.find("\r\n", start)
        values.append(head[start : end if end >= 0 else len(head)].strip())
        start = lower_head.find(name, start)
    return values
