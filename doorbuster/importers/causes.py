"""One word for why a request failed, from the texts that load generators write."""

from __future__ import annotations

import re

_BY_TEXT: tuple[tuple[str, str], ...] = (
    (r"refused|connectexception|httphostconnect", "connect_refused"),
    (r"reset by peer|connection.?reset|econnreset|broken pipe", "reset"),
    (r"unknown.?host|no such host|name or service|enotfound|getaddrinfo|name resolution|nodename", "dns"),
    (r"\btls|\bssl|sslhandshake|certificate|x509", "tls"),
    (r"connect(ion)? ?time|dial.*timeout|etimedout", "connect_timeout"),
    (r"time.?d? ?out|timeout|deadline", "total_timeout"),
    (r"no ?http ?response|closed|eof|disconnected|hang ?up|socketexception", "closed_early"),
    (r"too many open files|cannot assign requested address|address already in use", "generator_limit"),
    (r"redirect", "too_many_redirects"),
    (r"assert|check|expected|validat|mismatch|content", "content"),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), cause) for pattern, cause in _BY_TEXT)


def status_cause(status: int) -> str:
    """The cause of a response with this status; "" below 400."""
    if status >= 500:
        return "status_5xx"
    return "status_4xx" if status >= 400 else ""


def text_cause(text: str) -> str:
    """The cause that an error text names; "other" for an unknown text."""
    return next((cause for pattern, cause in _PATTERNS if pattern.search(text[:400])), "other")


def failure_cause(status: int, text: str) -> str:
    """The cause of a failed request: its status if that is an error, else its text."""
    return status_cause(status) or (
        text_cause(text) if text else ("no_response" if status <= 0 else "content")
    )
