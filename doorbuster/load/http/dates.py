"""Dates in HTTP headers."""

from __future__ import annotations

from calendar import timegm
from email.utils import parsedate_tz


def parse_http_date(text: str) -> float | None:
    """A date in Unix seconds, in UTC unless it names a zone; None if it is not a date."""
    parsed = parsedate_tz(text)
    if parsed is None:
        return None
    try:
        return float(timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0))
    except (ValueError, OverflowError):
        return None
