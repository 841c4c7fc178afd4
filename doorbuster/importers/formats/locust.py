"""Locust: statistics, history, failures and exceptions as CSV, statistics as JSON, and its request log.

Rules of this module:
- `_stats.csv` and `_stats_history.csv` are summaries: their percentiles are Locust's, rounded to two digits.
- `--json` holds counts by rounded response time: buckets of two digits.
- Only the request log of `locust.contrib` holds each request.
- The rows of all names together repeat the others.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from doorbuster.errors import UsageError
from doorbuster.importers.causes import failure_cause, text_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, Provenance, RequestBlock, Summary
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import (
    TableBlock,
    header_of,
    microseconds,
    numbered,
    required,
    table_blocks,
    whole_numbers,
)
from doorbuster.importers.time_stamps import unix_s

_PERCENTILE = re.compile(r"^(\d+(?:\.\d+)?)%$")
_MAX_BYTES = 256 << 20
_TWO_DIGITS = 0.05  # Locust rounds 147 to 150: at most half of 10 in 100


def _summary_provenance(form: str) -> Provenance:
    return Provenance(tool="Locust", format=form, precision="summary", times=False, workload="closed")


# ---- statistics


def _is_stats(head: bytes) -> bool:
    return header_of(head, ",")[:4] == ("Type", "Name", "Request Count", "Failure Count")


def _read_stats(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _summary_provenance("Locust statistics"))
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        for row in _rows(block):
            _add_row(run, row, "Request Count", "Failure Count", "")


def _rows(block: TableBlock) -> list[dict[str, str]]:
    columns = [block.text(name) for name in block.names]
    return [dict(zip(block.names, values, strict=True)) for values in zip(*columns, strict=True)]


def _add_row(run: RunBuilder, row: Mapping[str, str], n: str, failed: str, prefix: str) -> None:
    name = row["Name"]
    count = _number(row.get(n))
    if count is None:
        run.skip(1, f"The row of {name[:60]!r} has no number of requests and was left out.")
        return
    percentiles = {}
    for column, value in row.items():
        found = _PERCENTILE.match(column)
        number = _number(value)
        if found and number is not None:
            percentiles[float(found[1])] = number
    aggregated = not row.get("Type") and name == "Aggregated"
    run.add_summary(
        Summary(
            label=Label("", row.get("Type") or "", "all requests" if aggregated else name, ""),
            n=int(count),
            failed=int(_number(row.get(failed)) or 0),
            mean_ms=_number(row.get(f"{prefix}Average Response Time")),
            min_ms=_number(row.get(f"{prefix}Min Response Time")),
            max_ms=_number(row.get(f"{prefix}Max Response Time")),
            percentiles_ms=percentiles,
        )
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


# ---- history


def _is_history(head: bytes) -> bool:
    return header_of(head, ",")[:4] == ("Timestamp", "User Count", "Type", "Name")


def _read_history(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    """The last row of each name: totals up to the end. Percentiles of a full history are of its last 10 s."""
    run.begin(file.path, _summary_provenance("Locust history"))
    last: dict[tuple[str, str], dict[str, str]] = {}
    rows_by_name: dict[tuple[str, str], int] = {}
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        for row in _rows(block):
            key = (row["Type"], row["Name"])
            last[key] = row
            rows_by_name[key] = rows_by_name.get(key, 0) + 1
    full = len(last) > 1
    if full:
        run.note(
            "A full history holds percentiles of the last 10 s only, so none is shown for the whole run; use "
            "_stats.csv for those."
        )
    for row in last.values():
        kept = {key: value for key, value in row.items() if not (full and _PERCENTILE.match(key))}
        _add_row(run, kept, "Total Request Count", "Total Failure Count", "Total ")


# ---- failures and exceptions


def _is_failures(head: bytes) -> bool:
    return header_of(head, ",")[:4] == ("Method", "Name", "Error", "Occurrences")


def _read_failures(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _summary_provenance("Locust failures"))
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        for row in _rows(block):
            n = int(_number(row["Occurrences"]) or 0)
            name = f"{row['Method']} {row['Name']}".strip()
            run.note(f"{n:,} × {name}: {row['Error'][:160]} ({text_cause(row['Error'])})")
    run.note("Locust's list of failures has no times; it explains the failures of the other files.")


def _is_exceptions(head: bytes) -> bool:
    return header_of(head, ",")[:3] == ("Count", "Message", "Traceback")


def _read_exceptions(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _summary_provenance("Locust exceptions"))
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        for row in _rows(block):
            run.note(f"{int(_number(row['Count']) or 0):,} exceptions in tasks: {row['Message'][:160]}")


# ---- the request log of locust.contrib


def _is_request_log(head: bytes) -> bool:
    return {"timestamp", "request_type", "name", "response_time_ms"} <= set(header_of(head, ","))


def _read_request_log(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="Locust", format="Locust request log", workload="closed"))
    known: dict[Hashable, int] = {}

    def number(kind: str, name: str, code: str, exception: str) -> int:
        status = int(code) if code.isdigit() else 0
        cause = failure_cause(status, exception) if exception else ""
        return run.labels.number("", kind, name, cause, exception[:500])

    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        labels = numbered(block, ("request_type", "name", "status_code", "exception"), known, number)
        run.add(
            RequestBlock(
                unix_s(required(block, "timestamp")),
                microseconds(required(block, "response_time_ms"), 1e3),
                labels,
                whole_numbers(block.numbers("response_length")),
            )
        )


# ---- JSON


def _is_json(head: bytes) -> bool:
    return head.lstrip().startswith(b"[") and b'"num_requests"' in head and b'"response_times"' in head


def _read_json(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(
            tool="Locust",
            format="Locust JSON",
            precision="bucketed",
            bucket_error=_TWO_DIGITS,
            times=False,
            hides_failures=True,
            workload="closed",
        ),
    )
    try:
        rows = orjson.loads(file.read_all(_MAX_BYTES))
    except orjson.JSONDecodeError as error:
        raise UsageError(
            f"{file.path}: the statistics are not complete JSON ({error}); export them again"
        ) from error
    run.note(
        "Locust's JSON mixes the times of failed requests with the others; failures are counted by name."
    )
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            _add_counts(run, row)


def _add_counts(run: RunBuilder, row: Mapping[str, Any]) -> None:
    kind, name = str(row.get("method") or ""), str(row.get("name") or "")
    times = row.get("response_times")
    pairs: Sequence[tuple[float, int]] = sorted(
        (float(ms), int(n))
        for ms, n in (times.items() if isinstance(times, dict) else ())
        if _number(str(ms)) is not None and isinstance(n, int) and n > 0
    )
    if not pairs:
        return
    start = row.get("start_time")
    values, counts = (np.array(column) for column in zip(*pairs, strict=True))
    ok = run.labels.number("", kind, name, "")
    failed = int(row.get("num_failures") or 0)
    run.add(
        RequestBlock(
            np.full(values.size, float(start) if isinstance(start, int | float) else 0.0),
            microseconds(values.astype(np.float64), 1e3),
            np.full(values.size, ok),
            count=counts.astype(np.int64),
        )
    )
    if failed:
        run.note(f"{failed:,} of {int(counts.sum()):,} requests of {name[:80]} failed.")


FORMATS = (
    Format("locust-history", "Locust", "Locust _stats_history.csv", _is_history, _read_history),
    Format("locust-stats", "Locust", "Locust _stats.csv", _is_stats, _read_stats),
    Format("locust-failures", "Locust", "Locust _failures.csv", _is_failures, _read_failures),
    Format("locust-exceptions", "Locust", "Locust _exceptions.csv", _is_exceptions, _read_exceptions),
    Format("locust-requests", "Locust", "Locust request log", _is_request_log, _read_request_log),
    Format("locust-json", "Locust", "Locust --json", _is_json, _read_json),
)
