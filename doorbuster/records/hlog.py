"""HdrHistogram interval logs (.hlog), format 1.3 with tags, written line by line in constant memory.

Source: HdrHistogram, `HistogramLogWriter.java`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

from doorbuster.records.hdr import encode_base64
from doorbuster.records.histogram import Histogram

_MAX_UNIT_US = 1000.0  # the column Interval_Max is in milliseconds
_TAG = re.compile(r"[^,\s]+")


@dataclass(frozen=True, slots=True)
class HlogInterval:
    """The histogram of one interval of time; `tag` is "" when there is none."""

    start_s: float
    length_s: float
    tag: str
    histogram: Histogram


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
