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
_STATUS_LINE: Final = re.compile(
    rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})(?![0-9])[ \t]*([^\0\r]*)", re.IGNORECASE
)
_PLAIN_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [0-9]{3}(?![^ \r\n])")
_START: Final = b"HTTP/1."
_FRAMING: Final = (b"content-length", b"transfer-encoding")
_NO_TOKEN: Final = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9A-Za-z]")
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})([ \t]*)(?=;|$)")
_MAX_CHUNK_LINE: Final = 16 * 1024
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
    is_chunked: bool


class ChunkNormaliser:
    """Rewrites a chunked body for llhttp: sizes may be padded, and lines may end with LF alone.

    odd: what was odd. Bytes after the end of the body are not changed.
    """

    def __init__(self, refusal: str) -> None:
        self.odd: dict[str, None] = {}
        self._refusal = refusal
        self._waiting = b""
        self._left = 0  # bytes of the chunk that are still to come
        self._in_trailer = self._ended = False

    def feed(self, data: bytes) -> bytes:
        """The same bytes as a strict server sends them. Raises: RequestFailed("bad_response")."""
        parts: list[bytes] = []
        data = self._waiting + data
        self._waiting = b""
        while data and not self._ended:
            if self._left > 0:
                parts.append(data[: self._left])
                data, self._left = data[self._left :], self._left - len(parts[-1])
                if not self._left:
                    self._left = -1
                continue
            line, newline, rest = data.partition(b"\n")
            if not newline:
                if len(data) > _MAX_CHUNK_LINE:
                    raise RequestFailed("bad_response", self._refusal)
                self._waiting = data
                return b"".join(parts)
            data = rest
            parts.append(self._line(line))
        return b"".join(parts) + data

    def _line(self, line: bytes) -> bytes:
        """One line between or after the chunks, with CRLF."""
        text = line.removesuffix(b"\r")
        if text == line:
            self.odd["chunk lines that end with LF alone"] = None
        if b"\r" in text or b"\0" in text:
            raise RequestFailed("bad_response", self._refusal)
        if self._left < 0:  # the end of a chunk
            if text:
                raise RequestFailed("bad_response", self._refusal)
            self._left = 0
        elif self._in_trailer:
            self._ended = not text
        else:
            size = _CHUNK_SIZE.match(text)
            if size is None:
                raise RequestFailed("bad_response", self._refusal)
            if size[2]:
                self.odd["padded chunk sizes"] = None
            text = size[1]  # without extensions, which nothing uses
            self._left = int(size[1], 16)
            self._in_trailer = not self._left
        return text + b"\r\n"


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
        good = line[: len(_START)].upper() == _START[: len(line)]
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
    return LenientHead(
        b"\r\n".join(clean).decode("latin-1"), for_parser, end, tuple(notes), not odd, b"chunked" in framing
    )


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
