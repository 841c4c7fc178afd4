"""Dates in HTTP headers."""

from __future__ import annotations

import re
from calendar import timegm
from datetime import datetime
from email.utils import parsedate_tz
from typing import Final

_DELIMITERS: Final = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?!\d)", re.ASCII)
_DAY: Final = re.compile(r"(\d{1,2})(?!\d)", re.ASCII)
_YEAR: Final = re.compile(r"(\d{2,4})(?!\d)", re.ASCII)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def parse_http_date(text: str) -> float | None:
    """A date in Unix seconds, in UTC unless it names a zone; None if it is not a date."""
    parsed = parsedate_tz(text)
    if parsed is None:
        return None
    try:
        return float(timegm((*parsed[:6], 0, 0, 0)) - (parsed[9] or 0))
    except (ValueError, OverflowError):
        return None


def parse_cookie_date(text: str) -> float | None:
    """The Expires attribute of a cookie by RFC 6265, 5.1.1: words in any order, zones ignored; else None."""
    time: tuple[int, ...] | None = None
    day = month = year = -1
    for word in _DELIMITERS.split(text):
        if time is None and (match := _TIME.match(word)):
            time = int(match[1]), int(match[2]), int(match[3])
        elif day < 0 and (match := _DAY.match(word)):
            day = int(match[1])
        elif month < 0 and word[:3].lower() in _MONTHS:
            month = _MONTHS.index(word[:3].lower()) + 1
        elif year < 0 and (match := _YEAR.match(word)):
            year = int(match[1])
    if time is None or min(day, month, year) < 0:
        return None
    if year <= 99:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    try:
        return float(timegm(datetime(year, month, day, time[0], time[1], time[2]).timetuple()))  # noqa: DTZ001
    except ValueError:
        return None
