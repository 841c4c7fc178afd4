"""Times of log lines as Unix seconds; a time without a zone is refused unless the user names the zone."""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Sequence
from datetime import datetime, tzinfo

import numpy as np

from doorbuster.access_logs.log_requests import Floats
from doorbuster.importers.time_stamps import rfc3339_s, unix_s

_ZONE_END = re.compile(r"(?:Z|[+-]\d\d:?\d\d)$")
_CLF = re.compile(r"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d)(\.\d+)? ?([+-]\d{4})?$")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ZoneUnknownError(ValueError):
    """A time that names no zone; `text` is the time."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class StampReader:
    """Reads the times of one column.

    Args: zone: of times that name none. form: a format for `datetime.strptime`; empty for Unix time, RFC 3339
        and the common log format.
    """

    def __init__(self, zone: tzinfo | None = None, form: str = "") -> None:
        self._zone, self._form = zone, form
        self._hours: dict[str, float] = {}

    def __call__(self, value: object) -> float:
        """Unix seconds. Raises: ZoneUnknownError, or another ValueError for what is not a time."""
        if isinstance(value, int | float):
            return float(unix_s(np.array([value], np.float64))[0])
        text = str(value).strip()
        if self._form:
            return self._local(datetime.strptime(text, self._form))  # noqa: DTZ007  the zone follows
        try:
            return float(unix_s(np.array([float(text)]))[0])
        except ValueError:
            pass
        clf = _CLF.match(text)
        if clf is not None:
            return self._common(text, clf)
        if _ZONE_END.search(text) and "T" in text.upper().replace(" ", "T"):
            return float(rfc3339_s([text.replace(" ", "T", 1)])[0])
        return self._local(datetime.fromisoformat(text), text)

    def _common(self, text: str, found: re.Match[str]) -> float:
        day, month, year, hour, minute, second, part, zone = found.groups()
        if month not in _MONTHS:
            raise ValueError(f"no time: {text[:40]}")
        numbers = (int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))
        fraction = float(part or 0)
        if zone is None:
            return self._local(datetime(*numbers), text) + fraction  # noqa: DTZ001  the zone follows
        offset = int(zone[1:3]) * 3600 + int(zone[3:]) * 60
        return timegm((*numbers, 0, 0, 0)) - (-offset if zone[0] == "-" else offset) + fraction

    def _local(self, moment: datetime, text: str = "") -> float:
        if moment.tzinfo is not None:
            return moment.timestamp()
        if self._zone is None:
            raise ZoneUnknownError(text or str(moment))
        key = f"{moment:%Y%m%d%H}"  # offsets of zones change at whole hours
        offset = self._hours.get(key)
        if offset is None:
            shift = moment.replace(tzinfo=self._zone).utcoffset()
            offset = self._hours[key] = shift.total_seconds() if shift else 0.0
        return timegm(moment.timetuple()) - offset + moment.microsecond / 1e6


def iso_utc_s(texts: Sequence[str]) -> Floats:
    """Unix seconds of times in UTC that do not say so, such as 2019-12-04 21:02:31."""
    return np.array(texts, dtype="datetime64[us]").astype(np.int64) / 1e6
