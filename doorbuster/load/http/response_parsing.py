"""Derives from an answer what every record contains: status, cause and a few headers."""

from __future__ import annotations

import re
from typing import Final

from doorbuster.load.exchange import DETAIL_CHARACTERS, RequestFailed
from doorbuster.load.http.dates import parse_http_date
from doorbuster.load.http.decoding import decode, excerpt
from doorbuster.load.http.headers import header_value

_SECONDS: Final = re.compile(r"\d{1,9}")


def body_of_chunks(chunks: list[bytes], parts: int) -> bytes:
    """The body as received, copied only if it arrived in several pieces."""
    if parts == 1:
        return chunks[0]
    return b"".join(chunks[:parts]) if parts else b""


def cause_of_status(status: int) -> str:
    if status < 400:
        return ""
    return "status_4xx" if status < 500 else "status_5xx"


def detail_of_body(body: bytes, head: str, lower_head: str) -> str:
    """The first characters of an error page, whatever its charset or encoding."""
    encodings = header_value(head, lower_head, "\ncontent-encoding:") or ""
    return excerpt(body, encodings, DETAIL_CHARACTERS)


def check_body(body: bytes, head: str, lower_head: str, limit: int, odd: list[str]) -> tuple[str, str] | None:
    """Cause and detail if the body cannot be decoded; None if it can. `odd` gets what was read leniently."""
    encodings = header_value(head, lower_head, "\ncontent-encoding:") or ""
    try:
        decode(body, encodings, limit, odd)
    except RequestFailed as failure:
        return failure.cause, failure.detail
    return None


def retry_after_s(value: str, now_unix_s: float) -> float | None:
    """Seconds to wait, from a Retry-After header with seconds or a date; None if it is neither."""
    if _SECONDS.fullmatch(value):
        return float(value)
    at_unix_s = parse_http_date(value)
    return None if at_unix_s is None else max(at_unix_s - now_unix_s, 0.0)
