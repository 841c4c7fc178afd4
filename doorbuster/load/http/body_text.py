"""Text of a body: its charset, its lines, its pieces decoded as they arrive."""

from __future__ import annotations

import codecs
from collections.abc import Iterator


def lines_of(pieces: Iterator[bytes], delimiter: bytes | None) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(delimiter or b"\n")
        for line in lines:
            yield line if delimiter else line.removesuffix(b"\r")
    if rest:
        yield rest


def decoded_lines(lines: Iterator[bytes], encoding: str) -> Iterator[str]:
    for line in lines:
        yield line.decode(encoding, "replace")


def texts_of(pieces: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text
    if text := decoder.decode(b"", True):
        yield text


def charset_of(content_type: str) -> str:
    _, _, named = content_type.lower().partition("charset=")
    name = named.partition(";")[0].strip().strip("\"'")
    try:
        if not name:
            return ""
        b"?".decode(name, "replace")
        return codecs.lookup(name).name
    except (LookupError, ValueError):  # unknown, or not for texts, such as hex and idna
        return ""
