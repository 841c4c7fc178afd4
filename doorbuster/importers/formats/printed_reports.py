"""Reports that wrk prints and siege writes: summaries of all requests.

wrk counts statuses of 400 and more as answered, and its times include them; requests without an answer are
socket errors, which have no time.
"""

from __future__ import annotations

import re

from doorbuster.errors import UsageError
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.json_values import load_object, number, scaled, starts_with_object
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, Provenance, Summary
from doorbuster.importers.run_builder import RunBuilder

_MAX_BYTES = 16 << 20
_TO_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
_TIME = r"([\d.]+)(us|ms|s|m|h)"
_ALL = Label("", "", "all requests", "")


# ---- wrk


def _is_wrk(head: bytes) -> bool:
    return b"Running " in head and b" test @ " in head and b"Thread Stats" in head


def _read_wrk(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(tool="wrk", format="wrk report", precision="summary", times=False, workload="closed"),
    )
    text = file.read_all(_MAX_BYTES).decode("utf-8", "replace")
    requests = re.search(r"(\d+) requests in", text)
    latency = re.search(rf"Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}", text)
    if requests is None or latency is None:
        raise UsageError(f"{file.path}: the report of wrk is cut off; print it again")
    percentiles = {
        float(place): float(value) * _TO_MS[unit]
        for place, value, unit in re.findall(rf"^\s+([\d.]+)%\s+{_TIME}\s*$", text, re.MULTILINE)
    }
    if not percentiles:
        run.note("wrk prints percentiles only with --latency.")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    unanswered = sum(map(int, errors.groups())) if errors else 0
    run.add_summary(
        Summary(
            label=_ALL,
            n=int(requests[1]) + unanswered,
            failed=(int(bad[1]) if bad else 0) + unanswered,
            mean_ms=float(latency[1]) * _TO_MS[latency[2]],
            max_ms=float(latency[5]) * _TO_MS[latency[6]],
            percentiles_ms=percentiles,
        )
    )


# ---- siege


def _is_siege(head: bytes) -> bool:
    return starts_with_object(head, b"transactions", b"availability", b"failed_transactions")


def _read_siege(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(
        file.path,
        Provenance(
            tool="siege",
            format="siege JSON",
            precision="summary",
            times=False,
            workload="closed",
            resolution_ms=10.0,
        ),
    )
    report = load_object(file, "siege")
    done, failed = number(report.get("transactions")), number(report.get("failed_transactions"))
    if done is None or failed is None:
        raise UsageError(f"{file.path}: the report of siege has no counts; write it again")
    run.note("siege reports no percentiles, and its mean covers successful requests only.")
    run.add_summary(
        Summary(
            label=_ALL,
            n=int(done + failed),
            failed=int(failed),
            mean_ms=scaled(report.get("response_time"), 1e3) if done else None,
            min_ms=scaled(report.get("shortest_transaction"), 1e3),
            max_ms=scaled(report.get("longest_transaction"), 1e3),
        )
    )


FORMATS = (
    Format("wrk", "wrk", "wrk, as printed", _is_wrk, _read_wrk),
    Format("siege", "siege", "siege --json-output", _is_siege, _read_siege),
)
