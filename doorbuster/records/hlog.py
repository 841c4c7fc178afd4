"""HdrHistogram interval logs (.hlog): read any version, write format 1.3 with tags.

Rules of this module:
- Logs are written and read line by line, in constant memory.
- Starts are seconds after the log's StartTime. A log may stamp its lines with seconds since StartTime, since
  its BaseTime, or since 1970; without a BaseTime, a first stamp more than a year before StartTime is taken
  as relative, as HdrHistogram's own reader does.

Source: HdrHistogram, `HistogramLogWriter.java`, `HistogramLogReader.java`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from doorbuster.errors import RecordError
from doorbuster.records.hdr import DecodedHistogram, decode_base64, encode_base64
from doorbuster.records.histogram import Histogram

_YEAR_S = 365 * 24 * 3600.0
_MAX_UNIT_US = 1000.0  # the column Interval_Max is in milliseconds
_HEADER_TIME = re.compile(r"#\[(StartTime|BaseTime): ([\d.]+)")
_TAG = re.compile(r"[^,\s]+")


@dataclass(frozen=True, slots=True)
class HlogInterval:
    """The histogram of one interval of time; `tag` is "" when there is none."""

    start_s: float
    length_s: float
    tag: str
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class DecodedInterval:
    """One line of a log, in the layout and unit of the log."""

    start_s: float
    length_s: float
    tag: str
    content: DecodedHistogram


def write_hlog(
    out: TextIO, intervals: Iterable[HlogInterval], *, started_at_unix_s: float, comment: str = ""
) -> None:
    """Write an interval log whose values are microseconds.

    Args: started_at_unix_s: seconds since 1970 that the starts of all intervals count from.
    Raises: ValueError for a tag that holds a comma or white space.
    """
    started = datetime.fromtimestamp(started_at_unix_s, UTC).isoformat(timespec="milliseconds")
    for line in comment.splitlines():
        out.write(f"#[{line}]\n")
    out.write("#[Histogram log format version 1.3]\n")
    out.write(f"#[StartTime: {started_at_unix_s:.3f} (seconds since epoch), {started}]\n")
    out.write(f"#[BaseTime: {started_at_unix_s:.3f} (seconds since epoch)]\n")
    out.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
    for interval in intervals:
        if interval.tag and not _TAG.fullmatch(interval.tag):
            raise ValueError(f"a tag must be free of commas and white space (got {interval.tag!r})")
        tag = f"Tag={interval.tag}," if interval.tag else ""
        longest = (interval.histogram.max_us or 0) / _MAX_UNIT_US
        body = encode_base64(interval.histogram)
        out.write(f"{tag}{interval.start_s:.3f},{interval.length_s:.3f},{longest:.3f},{body}\n")


def read_hlog(lines: Iterable[str], *, name: str = "log") -> Iterator[DecodedInterval]:
    """Every interval of a log, in file order.

    Raises: RecordError that names the line, for one that cannot be understood.
    """
    times: dict[str, float] = {}
    base_s: float | None = None
    for number, line in enumerate(lines, start=1):
        line = line.strip()
        found = _HEADER_TIME.match(line)
        if found:
            times[found[1]] = float(found[2])
        if not line or line[0] in '#"':
            continue
        tag = ""
        if line.startswith("Tag="):
            tag, _, line = line.removeprefix("Tag=").partition(",")
        try:
            start, length, _, body = line.split(",", 3)
            stamp_s, length_s = float(start), float(length)
            content = decode_base64(body)
        except (ValueError, RecordError) as error:
            raise RecordError(f"{name}:{number}: not a line of an interval log: {error}") from error
        if base_s is None:
            base_s = _offset_s(stamp_s, times)
        yield DecodedInterval(stamp_s + base_s, length_s, tag, content)


def _offset_s(first_stamp_s: float, times: dict[str, float]) -> float:
    """The offset from a timestamp to seconds after StartTime."""
    started_s = times.get("StartTime", first_stamp_s)
    if "BaseTime" in times:
        return times["BaseTime"] - started_s
    return 0.0 if first_stamp_s < started_s - _YEAR_S else -started_s
