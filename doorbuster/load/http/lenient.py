"""Reads the head of an answer that llhttp refuses but curl and browsers understand.

llhttp reads every answer first, strictly; an answer is counted as lenient only if it needed this module.

Rules: nothing is read leniently that decides where the answer ends. Different lengths, an unknown transfer
coding, a framing header with an odd name, a bare CR or a NUL are refused, because another reader of the same
bytes could see another answer. Where the framing itself was odd but clear (a length beside chunks, the same
length twice), the answer is read and its connection is closed.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from doorbuster.load.exchange import RequestFailed

_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?:[ \t]+(.*))?[ \t]*")
_PLAIN_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [0-9]{3}(?![^ \r\n])")
_START: Final = b"HTTP/1."
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_NO_TOKEN: Final = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")


class LenientHead(NamedTuple):
    """head: as a strict server would have sent it. for_parser: a head with the same framing, for llhttp.
    end: where the body starts. notes: what was odd. is_clear: whether the framing was beyond doubt.
    """

    head: str
    for_parser: bytes
    end: int
    notes: tuple[str, ...]
    is_clear: bool


def read_head(data: bytes, refusal: str) -> LenientHead | None:
    """The head of the final answer, or None while it is incomplete. Interim answers are skipped.

    Args: refusal: why llhttp refused the answer. Raises: RequestFailed("bad_response") if it is unreadable.
    """
    start = 0
    while True:
        while data[start : start + 1] in (b"\r", b"\n"):
            start += 1
        _check_start(data[start : start + 4096], refusal)
        found = _END_OF_HEAD.search(data, start)
        if found is None:
            return None
        head = data[start : found.start()]
        status = _STATUS_LINE.fullmatch(head.partition(b"\n")[0].removesuffix(b"\r"))
        if status is None or status[2] == b"101":
            raise RequestFailed("bad_response", refusal)
        start = found.end()
        if not status[2].startswith(b"1"):
            return _parse(head, status, start, refusal)


def _check_start(data: bytes, refusal: str) -> None:
    """Refuse at once what can never become a status line, instead of waiting for the rest of it."""
    line, newline, _ = data.partition(b"\n")
    if newline:
        good = _STATUS_LINE.fullmatch(line.removesuffix(b"\r")) is not None
    else:
        good = line[: len(_START)] == _START[: len(line)]
    if not good:
        raise RequestFailed("bad_response", refusal)


def _parse(head: bytes, status: re.Match[bytes], end: int, refusal: str) -> LenientHead:
    notes: dict[str, None] = {}
    lines = head.split(b"\n")
    if any(not line.endswith(b"\r") for line in lines):
        notes["lines that end with LF alone"] = None
    fields: list[tuple[bytes, bytes]] = []
    for line in lines[1:]:
        text = line.removesuffix(b"\r")
        if b"\r" in text or b"\0" in text:
            raise RequestFailed("bad_response", refusal)
        if text[:1] in (b" ", b"\t"):
            if not fields or _is_framing(fields[-1][0]):
                raise RequestFailed("bad_response", refusal)
            notes["folded header lines"] = None
            fields[-1] = fields[-1][0], fields[-1][1] + b" " + text.strip(b" \t")
            continue
        name, colon, value = text.partition(b":")
        if name != name.rstrip(b" \t") or _NO_TOKEN.search(name) or not name or not colon:
            if _is_framing(name) or _NO_TOKEN.sub(b"", name.lower()).startswith(_FRAMING):
                raise RequestFailed("bad_response", refusal)
            notes["odd header names" if colon and name else "header lines without a name"] = None
            if not colon or not name.strip(b" \t"):
                continue
        value = value.strip(b" \t")
        if _CONTROLS.search(value):
            notes["control characters in a header"] = None
        fields.append((name.rstrip(b" \t"), value))
    if not _PLAIN_STATUS_LINE.match(head):
        notes["an odd status line"] = None
    framing, odd = _framing(fields, refusal)
    if odd:
        notes[odd] = None
    connection = b", ".join(value for name, value in fields if name.lower() == b"connection")
    if odd or _CONTROLS.search(connection):
        connection = b"close"
    clean = [b"HTTP/1.%b %b %b" % (status[1], status[2], status[3] or b"")]
    clean += [name + b": " + value for name, value in fields]
    for_parser = b"HTTP/1.%b %b \r\n%b%b\r\n" % (
        b"0" if status[1] == b"0" else b"1",
        status[2],
        framing,
        b"Connection: %b\r\n" % connection if connection else b"",
    )
    return LenientHead(b"\r\n".join(clean).decode("latin-1"), for_parser, end, tuple(notes), not odd)


def _is_framing(name: bytes) -> bool:
    return name.strip(b" \t").lower() in _FRAMING


def _framing(fields: list[tuple[bytes, bytes]], refusal: str) -> tuple[bytes, str]:
    """The header that says where the body ends, and what was odd about it. Raises: RequestFailed."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for name, value in fields:
        if name.lower() == b"content-length":
            lengths += [length.strip(b" \t") for length in value.split(b",")]
        elif name.lower() == b"transfer-encoding":
            codings += [coding.strip(b" \t").lower() for coding in value.split(b",")]
    if len({length.lstrip(b"0") for length in lengths}) > 1:
        raise RequestFailed("bad_response", refusal)
    if not all(map(_LENGTH.fullmatch, lengths)):
        raise RequestFailed("bad_response", refusal)
    odd = ""
    if codings == [b"identity"]:
        odd = "Transfer-Encoding: identity"
    elif codings:
        if codings[-1] != b"chunked" or codings.count(b"chunked") > 1 or not all(codings):
            raise RequestFailed("bad_response", refusal)
        return b"Transfer-Encoding: chunked\r\n", "Content-Length beside Transfer-Encoding" if lengths else ""
    if len(lengths) > 1:
        odd = "the same Content-Length twice"
    return b"Content-Length: %b\r\n" % lengths[0] if lengths else b"", odd
