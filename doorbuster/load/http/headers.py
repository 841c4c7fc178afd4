"""Headers: those of every request of a customer, those of one request, and those of an answer.

Rules: names are compared without case. Outgoing values are checked for line breaks, so that no value can
become a second header. Content-Length is always counted by the client, whatever the caller says, and
Transfer-Encoding is refused, so that a request can never say a length that it does not have. Incoming headers
are parsed on first use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HOSTS_KEPT: Final = 64
_LINE_BREAK: Final = re.compile(r"[\r\n\0]")
_COUNTED: Final = frozenset(("content-length",))


class RequestHeaders(MutableMapping[str, str]):
    """The headers of every request of a customer; can be changed between requests. None removes a header.

    `names` and `lines` are rendered once after a change. `version` changes with them.
    """

    __slots__ = ("_fields", "_starts", "lines", "names", "version")

    def __init__(self, headers: Mapping[str, Any] | None = None) -> None:
        self._fields: dict[str, tuple[str, str]] = {}
        self.version = 0
        for name, value in (headers or {}).items():
            if value is not None:
                name = checked_name(name)
                self._fields[name.lower()] = (name, checked(name, value))
        self._render()

    def after_host(self, authority: bytes) -> bytes:
        """The end of a request line, Host and all headers; rendered once for customers who share these."""
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

    def __setitem__(self, name: str, value: Any) -> None:
        name = checked_name(name)
        if value is None:
            self._fields.pop(name.lower(), None)
        else:
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
        left_out = names | _COUNTED
        return b"".join(_line(*field) for key, field in self._fields.items() if key not in left_out)

    def _render(self) -> None:
        self.version += 1
        self.names = frozenset(self._fields)
        self._starts: dict[bytes, bytes] = {}
        self.lines = self.without(frozenset())


class ExtraHeaders(NamedTuple):
    """Headers of one request: their lines, and the lower-case names that they replace or remove."""

    lines: bytes
    names: frozenset[str]


NO_HEADERS: Final = ExtraHeaders(b"", frozenset())


def render_extra(headers: Mapping[str, Any]) -> ExtraHeaders:
    """The headers of one request. Raises: ValueError for a name or value that cannot be sent."""
    try:
        return render_headers(tuple(headers.items()))
    except AttributeError:
        raise ValueError(f"headers must be a mapping of names to text (got {headers!r})") from None
    except TypeError:  # a value that cannot be hashed
        for name, value in headers.items():
            checked(checked_name(name), value)
        raise


@lru_cache(maxsize=1024)
def render_headers(headers: tuple[tuple[str | bytes, Any], ...]) -> ExtraHeaders:
    """The lines of one request's own headers. Raises: ValueError for a name or value that cannot be sent."""
    lines = []
    names = set()
    for given, value in headers:
        name = checked_name(given)
        key = name.lower()
        if value is None and key == "host":
            continue  # HTTP/1.1 requires it
        if value is not None and key not in _COUNTED:
            lines.append(_line(name, checked(name, value)))
        names.add(key)
    return ExtraHeaders(b"".join(lines), frozenset(names))


def checked_name(name: str | bytes) -> str:
    """The name as text. Raises: ValueError if it cannot be sent."""
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"a header name must be letters, digits and -_.!#$%&'*+^`|~ (got {name!r})")
    if text.lower() == "transfer-encoding":
        raise ValueError(
            "the client sets Transfer-Encoding itself; for a chunked body, give data as an iterator"
        )
    return text


def checked(name: str, value: Any) -> str:
    """The value as text. Raises: ValueError if it cannot be sent."""
    if not isinstance(value, str | bytes | int | float):
        raise ValueError(f"the value of header {name} must be text (got {value!r})")
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
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
