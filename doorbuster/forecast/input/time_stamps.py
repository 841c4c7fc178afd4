"""Times as order exports and analytics write them, as wall-clock times of the shop."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from doorbuster.errors import UsageError

_DIGITS = re.compile(r"\d{8}|\d{10}|\d{12}|\d{13}")
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](\d{4})(?:[ T,]+(.*))?")
_COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M"}
_CENTURIES = ("19", "20")


def find_time_zone(name: str | None) -> tzinfo | None:
    """The time zone of this IANA name, such as Europe/London; None for None.

    Raises: UsageError for an unknown name.
    """
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"--timezone {name}: is not a time zone; use a name such as Europe/London or UTC"
        ) from None


class TimeStampParser:
    """Parses the time stamps of one file.

    Args: layout: a strptime format, for dates that could mean two days; zone: of the shop, to which stamps
        with an offset are converted. Without it they count as written.
    """

    def __init__(self, layout: str | None, zone: tzinfo | None) -> None:
        self.layout = layout
        self.zone = zone
        self.offsets: set[str] = set()
        self.ambiguous = ""

    def parse(self, text: str) -> datetime | None:
        """The wall-clock time, without a time zone; None if the text is not a time."""
        text = text.strip().strip("\"'")
        found = self._read(text)
        if found is None or found.tzinfo is None:
            return found
        self.offsets.add(str(found.utcoffset()))
        return (found.astimezone(self.zone) if self.zone else found).replace(tzinfo=None)

    def _read(self, text: str) -> datetime | None:
        try:
            if self.layout:
                return datetime.strptime(text, self.layout)  # noqa: DTZ007  wall-clock time of the shop
            if _DIGITS.fullmatch(text):
                return self._number(text)
            slashed = _SLASHED.fullmatch(text)
            if slashed:
                return self._slashed(slashed)
            return datetime.fromisoformat(text)
        except ValueError:
            return None

    def _number(self, text: str) -> datetime:
        """20241129, 2024112909 and 202411290930 of analytics, or seconds and milliseconds since 1970."""
        if text[:2] in _CENTURIES and len(text) in _COMPACT:
            try:
                return datetime.strptime(text, _COMPACT[len(text)])  # noqa: DTZ007
            except ValueError:
                if len(text) != 10:
                    raise
        return datetime.fromtimestamp(int(text) / (1e3 if len(text) == 13 else 1.0), UTC)

    def _slashed(self, match: re.Match[str]) -> datetime:
        """29/11/2024 09:30, where only one of day and month is possible; else it stays ambiguous."""
        first, second = int(match[1]), int(match[2])
        if first <= 12 and second <= 12 and first != second:
            self.ambiguous = match[0]
        day, month = (first, second) if second <= 12 else (second, first)
        clock = datetime.fromisoformat(f"2000-01-01T{match[4].strip()}") if match[4] else None
        moment = datetime(int(match[3]), month, day)  # noqa: DTZ001
        return moment.replace(hour=clock.hour, minute=clock.minute, second=clock.second) if clock else moment
