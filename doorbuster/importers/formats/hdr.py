"""HdrHistogram's own files: percentile distributions (.hgrm, also of wrk2) and interval logs (.hlog)."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np

from doorbuster.errors import RecordError, UsageError
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import microseconds
from doorbuster.records.hdr_reading import read_hlog

_MAX_BYTES = 64 << 20
_HEADER = re.compile(rb"Value\s+Percentile\s+TotalCount")
_ROW = re.compile(r"^\s*([\d.]+)\s+([01]\.\d+)\s+(\d+)(?:\s+(?:[\d.]+|inf))?\s*$")


def _is_hgrm(head: bytes) -> bool:
    return _HEADER.search(head) is not None


def _read_hgrm(file: InputFile, run: RunBuilder, options: ImportOptions) -> None:
    text = file.read_all(_MAX_BYTES).decode("utf-8", "replace")
    tool = "wrk2" if "Running" in text or "Requests/sec" in text else "HdrHistogram"
    rows = []
    for line in text.splitlines():
        found = _ROW.match(line)
        if found:
            rows.append((float(found[1]), int(found[3])))
        elif rows and line.startswith("#"):
            break  # a second, uncorrected distribution may follow
    if not rows:
        raise UsageError(f"{file.path}: the distribution has no rows; export it again")
    run.begin(
        file.path,
        Provenance(
            tool=tool,
            format="HdrHistogram percentiles",
            precision="bucketed",
            bucket_error=_widest_step(rows),
            times=False,
            workload="open" if tool == "wrk2" else "unknown",
            hides_failures=True,
        ),
    )
    run.note("A distribution holds no failures and no times: only latencies can be judged.")
    unit = options.label_map.unit
    if unit == "ms" and tool != "wrk2":
        run.note(
            "The file names no unit; milliseconds were assumed. Another one: unit in a mapping file (--map)."
        )
    values, totals = np.array(rows).T
    counts = np.diff(totals, prepend=0.0).astype(np.int64)
    keep = counts > 0
    label = run.labels.number("", "", "all requests", "")
    factor = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}[unit]
    run.add(
        RequestBlock(
            np.zeros(int(keep.sum())),
            microseconds(values[keep], factor),
            np.full(int(keep.sum()), label),
            count=counts[keep],
        )
    )


def _widest_step(rows: list[tuple[float, int]]) -> float:
    """The largest ratio between neighbouring values that hold requests, less 1: the error of a percentile."""
    values = [value for value, _ in rows if value > 0]
    steps = [high / low - 1 for low, high in pairwise(values) if high > low]
    return round(max(steps, default=0.0), 4)


# ---- interval logs


def _is_hlog(head: bytes) -> bool:
    return head.startswith(b"#[") and (
        b"Histogram log format" in head or b"Interval_Compressed_Histogram" in head
    )


def _read_hlog(file: InputFile, run: RunBuilder, options: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(
            tool="HdrHistogram",
            format="HdrHistogram interval log",
            precision="bucketed",
            bucket_error=0.01,
            hides_failures=True,
        ),
    )
    run.note("An interval log holds no failures: only latencies can be judged.")
    nanoseconds = options.label_map.unit == "ns"
    if not nanoseconds:
        run.note(
            "The file names no unit; microseconds were assumed. For nanoseconds: unit: ns in a "
            "mapping file (--map)."
        )
    factor = 1e-3 if nanoseconds else 1.0
    started_s = _start_time(file.head)
    try:
        with file.text() as lines:
            for interval in read_hlog(lines, name=str(file.path)):
                values, counts = interval.content.values, interval.content.counts
                label = run.labels.number("", "", interval.tag or "all requests", "")
                run.add(
                    RequestBlock(
                        np.full(len(values), started_s + interval.start_s),
                        microseconds(np.asarray(values, dtype=np.float64), factor),
                        np.full(len(values), label),
                        count=np.asarray(counts, dtype=np.int64),
                    )
                )
    except RecordError as error:
        if not run.requests:
            raise UsageError(str(error)) from error
        run.skip(1, f"{error}; everything before it was read.")


def _start_time(head: bytes) -> float:
    found = re.search(rb"#\[StartTime: ([\d.]+)", head)
    return float(found[1]) if found else 0.0


FORMATS = (
    Format("hgrm", "HdrHistogram", "HdrHistogram percentiles, wrk2 --latency", _is_hgrm, _read_hgrm),
    Format("hlog", "HdrHistogram", "HdrHistogram interval log", _is_hlog, _read_hlog),
)
