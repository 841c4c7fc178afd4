"""Fields of HTTP/2: what an answer's may be, and those of a request from its head in HTTP/1.1.

h2 checks each field with a chain of functions; one look at all of them together finds the same.
Source: RFC 9113, sections 8.2 and 8.3.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

Field = tuple[bytes, bytes]

OF_CONNECTIONS = frozenset(
    (b"host", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_NAMES = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+(?: [!#$%&'*+\-.^_`|~0-9a-z]+)*")
_NOT_IN_VALUES = re.compile(rb"[\r\n\0]")


def problem_of(fields: Sequence[Field], *, trailers: bool = False) -> str:
    """What is wrong with the fields of an answer, or with its trailers; "" if nothing is."""
    rest = fields
    if not trailers:
        if not fields or fields[0][0] != b":status":
            return "no status comes first"
        status, rest = fields[0][1], fields[1:]
        if not (len(status) == 3 and status.isdigit()):
            return f"the status {status.decode('latin-1')!r} is no number"
    if not rest:
        return ""
    names = [name for name, _ in rest]
    if not _NAMES.fullmatch(b" ".join(names)):
        return "the name of a field is not allowed"
    if not OF_CONNECTIONS.isdisjoint(names):
        return "a field belongs to connections of HTTP/1.1"
    if _NOT_IN_VALUES.search(b"".join([value for _, value in rest])):
        return "the value of a field is not allowed"
    return ""


def head_of(status: int, fields: Sequence[Field]) -> str:
    """The head of an answer as HTTP/1.1 writes it, which everything above one request reads."""
    lines = [b"HTTP/1.1 %d " % status, *[b"%b: %b" % field for field in fields]]
    return b"\r\n".join(lines).decode("latin-1")


def fields_of(method: str, authority: bytes, path: bytes, request: bytes) -> list[Field]:
    """The fields of a request that was rendered for HTTP/1.1; its Host, if it has one, is the authority."""
    fields = [
        (b":method", method.encode()), (b":scheme", b"https"), (b":authority", authority), (b":path", path),
    ]  # fmt: skip
    for line in request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        field = _field_of(line)
        if field[0] == b"host":
            fields[2] = (b":authority", field[1])
        elif field[0] not in OF_CONNECTIONS:
            fields.append(field)
    return fields


@lru_cache(maxsize=1024)
def _field_of(line: bytes) -> Field:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()
