"""Columns of times as text or numbers, turned into Unix seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import UsageError

Floats = NDArray[np.float64]

_UNIX_UNITS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # above: ns, us, ms; else seconds
_ZONE = re.compile(r"(?:Z|[+-]\d{2}:?\d{2})$")


def rfc3339_s(texts: Sequence[str]) -> Floats:
    """Unix seconds of times such as 2026-11-27T08:00:00.123456789+01:00; exact to 1 us.

    Raises: ValueError for a time without a zone, or any other text.
    """
    by_offset: dict[str, list[int]] = {}
    bare = []
    for place, text in enumerate(texts):
        if text.endswith("Z"):
            bare.append(text[:-1])
            by_offset.setdefault("Z", []).append(place)
        else:
            if _ZONE.search(text) is None:
                raise ValueError(f"the time {text[:40]!r} has no time zone")
            cut = -6 if text[-3] == ":" else -5
            bare.append(text[:cut])
            by_offset.setdefault(text[cut:], []).append(place)
    found = np.array(bare, dtype="datetime64[us]").astype(np.int64) / 1e6
    for offset, places in by_offset.items():
        if offset != "Z":
            found[places] -= _offset_s(offset)
    return found


def _offset_s(text: str) -> int:
    digits = text[1:].replace(":", "")
    seconds = int(digits[:2]) * 3600 + int(digits[2:4]) * 60
    return -seconds if text[0] == "-" else seconds


def unix_s(values: Floats) -> Floats:
    """Unix seconds of numbers in s, ms, us or ns; the size of the first number says which."""
    if not values.size:
        return values
    first = abs(float(values[0]))
    factor = next((factor for limit, factor in _UNIX_UNITS if first > limit), 1.0)
    return values * factor


def parse_times(texts: Sequence[str], form: str = "", zone: tzinfo | None = None) -> Floats:
    """Unix seconds of a column of times.

    Args:
        form: "" for numbers and RFC 3339, else a format for `datetime.strptime`.
        zone: of times that name none.
    Raises: ValueError for a time that cannot be read, or has no zone while none is given.
    """
    if not form:
        try:
            return unix_s(np.array(texts, dtype=np.float64))
        except ValueError:
            if zone is None:
                return rfc3339_s(texts)
            return np.array([_in_zone(datetime.fromisoformat(text), zone) for text in texts])
    return np.array([_in_zone(datetime.strptime(text, form), zone) for text in texts])  # noqa: DTZ007


def _in_zone(moment: datetime, zone: tzinfo | None) -> float:
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError(f"the time {moment} has no time zone")
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC).timestamp()


def guess_format(sample: str) -> str | None:
    """The `strptime` format of a date such as 2014/02/24 07:42:21.256; None if its format is unknown."""
    for form in (
        "%Y-%m-%d %H:%M:%S.%f",
        "%Y/%m/%d %H:%M:%S.%f",
        "%Y-%m-%dT%H:%M:%S.%f",
        "%Y-%m-%d %H:%M:%S,%f",
        "%Y-%m-%d %H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%S",
        "%d/%m/%Y %H:%M:%S",
        "%Y%m%d%H%M%S",
        "%d.%m.%Y %H:%M:%S",
    ):
        try:
            datetime.strptime(sample, form)  # noqa: DTZ007 -- only the shape matters
        except ValueError:
            continue
        return form
    return None


def find_zone(name: str) -> tzinfo:
    """The time zone of an IANA name. Raises: UsageError for any other."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(f"{name!r} is not a time zone; use a name such as Europe/London or UTC") from error
