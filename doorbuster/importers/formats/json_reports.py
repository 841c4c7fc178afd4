"""JSON reports of ghz, oha and autocannon.

Percentiles are taken as they are reported, never computed from other percentiles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from doorbuster.importers.causes import text_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.json_values import load_object, mapping, number, scaled, starts_with_object
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, Provenance, RequestBlock, Summary
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import microseconds
from doorbuster.importers.time_stamps import rfc3339_s

# ---- ghz


def _is_ghz(head: bytes) -> bool:
    return starts_with_object(head, b"endReason", b"options", b"count") or starts_with_object(
        head, b"latencyDistribution", b"statusCodeDistribution", b"fastest"
    )


def _read_ghz(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    data = load_object(file, "ghz")
    details = data.get("details")
    count = int(number(data.get("count")) or 0)
    complete = isinstance(details, list) and bool(details)
    run.begin(
        file.path,
        Provenance(
            tool="ghz",
            format="ghz JSON",
            precision="exact" if complete else "summary",
            times=complete,
            workload="closed",
        ),
    )
    name = str(mapping(data.get("options")).get("call") or data.get("name") or "all requests")
    if not complete:
        percentiles = {
            float(row["percentage"]): row["latency"] / 1e6
            for row in data.get("latencyDistribution") or ()
            if isinstance(row, dict)
            and number(row.get("percentage")) is not None
            and number(row.get("latency")) is not None
        }
        ok = number(mapping(data.get("statusCodeDistribution")).get("OK")) or 0
        run.add_summary(
            Summary(
                label=Label("", "gRPC", name, ""),
                n=count,
                failed=count - int(ok),
                mean_ms=scaled(data.get("average"), 1e-6),
                min_ms=scaled(data.get("fastest"), 1e-6),
                max_ms=scaled(data.get("slowest"), 1e-6),
                percentiles_ms=percentiles,
            )
        )
        return
    assert isinstance(details, list)
    rows = [row for row in details if isinstance(row, dict)]
    starts, latencies, labels = [], [], []
    for row in rows:
        status, error = str(row.get("status") or ""), str(row.get("error") or "")
        ok = status.upper() == "OK" and not error
        cause = "" if ok else _grpc_cause(status, error)
        labels.append(run.labels.number("", "gRPC", name, cause, (error or status)[:500] if cause else ""))
        starts.append(_time(row.get("timestamp")))
        latency = number(row.get("latency"))
        latencies.append(math.nan if latency is None else latency)
    run.add(
        RequestBlock(np.array(starts), microseconds(np.array(latencies), 1e-3), np.array(labels, np.int64))
    )
    if count > len(rows):
        run.note(f"ghz kept the details of {len(rows):,} of {count:,} calls; the others are not counted.")


def _grpc_cause(status: str, error: str) -> str:
    words = {
        "Unavailable": "connect_refused",
        "DeadlineExceeded": "total_timeout",
        "Canceled": "total_timeout",
    }
    return words.get(status) or (text_cause(error) if error else "status_5xx")


def _time(text: Any) -> float:
    try:
        return float(rfc3339_s([text])[0])
    except (ValueError, TypeError, AttributeError, IndexError):
        return math.nan


# ---- oha


def _is_oha(head: bytes) -> bool:
    return starts_with_object(head, b"summary", b"successRate")


def _read_oha(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    data = load_object(file, "oha")
    run.begin(
        file.path,
        Provenance(tool="oha", format="oha JSON", precision="summary", times=False, workload="closed"),
    )
    summary = mapping(data.get("summary"))
    statuses = {
        str(code): int(number(n) or 0) for code, n in mapping(data.get("statusCodeDistribution")).items()
    }
    errors = sum(int(number(n) or 0) for n in mapping(data.get("errorDistribution")).values())
    bad = sum(n for code, n in statuses.items() if code.startswith(("4", "5")))
    run.add_summary(
        Summary(
            label=Label("", "", "all requests", ""),
            n=sum(statuses.values()) + errors,
            failed=bad + errors,
            mean_ms=scaled(summary.get("average"), 1e3),
            min_ms=scaled(summary.get("fastest"), 1e3),
            max_ms=scaled(summary.get("slowest"), 1e3),
            percentiles_ms=_percentiles(mapping(data.get("latencyPercentiles")), 1e3),
        )
    )


def _percentiles(values: Mapping[str, Any], factor: float) -> dict[float, float]:
    """Percentiles under names such as p50, p99.9, p99_9 or p999."""
    found = {}
    for key, value in values.items():
        reported = number(value)
        digits = key.removeprefix("p").replace("_", ".")
        if reported is None or not key.startswith("p") or not digits.replace(".", "", 1).isdigit():
            continue
        percentage = float(digits)
        while percentage > 100:
            percentage /= 10
        found[percentage] = reported * factor
    return found


# ---- autocannon


def _is_autocannon(head: bytes) -> bool:
    return starts_with_object(head, b"latency", b"requests", b"throughput", b"connections")


def _read_autocannon(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    data = load_object(file, "autocannon")
    run.begin(
        file.path,
        Provenance(
            tool="autocannon",
            format="autocannon JSON",
            precision="summary",
            times=False,
            workload="closed",
            resolution_ms=1.0,
        ),
    )
    latency, requests = mapping(data.get("latency")), mapping(data.get("requests"))
    answered = number(latency.get("totalCount")) or number(requests.get("total")) or 0
    errors = number(data.get("errors")) or 0  # includes timeouts
    bad = number(data.get("non2xx")) or 0
    run.add_summary(
        Summary(
            label=Label("", "", str(data.get("title") or data.get("url") or "all requests"), ""),
            n=int(answered + errors),
            failed=int(bad + errors),
            mean_ms=number(latency.get("average") or latency.get("mean")),
            min_ms=number(latency.get("min")),
            max_ms=number(latency.get("max")),
            percentiles_ms=_percentiles(latency, 1.0),
        )
    )
    run.note(
        "Percentiles of autocannon count answered requests only; every status outside 2xx counts as failed."
    )


FORMATS = (
    Format("ghz", "ghz", "ghz --format json", _is_ghz, _read_ghz),
    Format("oha-json", "oha", "oha --output-format json", _is_oha, _read_oha),
    Format("autocannon", "autocannon", "autocannon --json", _is_autocannon, _read_autocannon),
)
