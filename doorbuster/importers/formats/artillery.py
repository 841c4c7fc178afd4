"""Artillery's JSON report, in the layouts of 1.x, of the development versions of 2.0, and of 2.0.

Rules of this module:
- Percentiles are taken as they are reported for the whole run; those by 10 s are not merged.
- The sketches of development versions are buckets of a known relative width, and are counted as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.json_values import load_object, mapping, number
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, Provenance, RequestBlock, Summary
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import microseconds

_BY_ENDPOINT = "plugins.metrics-by-endpoint."
_PERCENTILES = {
    "median": 50.0, "p50": 50.0, "p75": 75.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p999": 99.9,
}  # fmt: skip


def _is_artillery(head: bytes) -> bool:
    words = (b'"counters"', b'"scenariosCreated"', b'"requestsCompleted"')
    return head.lstrip().startswith(b"{") and b'"aggregate"' in head and any(word in head for word in words)


def _read(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    aggregate = mapping(load_object(file, "Artillery").get("aggregate"))
    sketch = _response_sketch(aggregate)
    if sketch is not None:
        _read_sketch(file, run, aggregate, sketch)
        return
    run.begin(
        file.path,
        Provenance(
            tool="Artillery", format="Artillery JSON", precision="summary", times=False, workload="open"
        ),
    )
    run.note("Artillery reports percentiles by 10 s and in total; those in total are shown, none is merged.")
    for summary in _first_layout(aggregate) if "latency" in aggregate else _second_layout(aggregate):
        run.add_summary(summary)


def _first_layout(aggregate: Mapping[str, Any]) -> Iterator[Summary]:
    """Artillery 1.x."""
    errors = _count(mapping(aggregate.get("errors")), lambda _: True)
    failed = _count(mapping(aggregate.get("codes")), _is_error_code) + errors
    n = int(number(aggregate.get("requestsCompleted")) or 0) + errors
    yield _summary("all requests", n, failed, mapping(aggregate.get("latency")))


def _second_layout(aggregate: Mapping[str, Any]) -> Iterator[Summary]:
    """Artillery 2.0: counters and summaries by dotted names, in total and by endpoint."""
    counters = mapping(aggregate.get("counters"))
    values = {**mapping(aggregate.get("histograms")), **mapping(aggregate.get("summaries"))}
    for name, found in values.items():
        if not isinstance(found, dict):
            continue
        if name == "http.response_time":
            answered, requests = number(found.get("count")) or 0, number(counters.get("http.requests")) or 0
            failed = _failed(counters, "http.codes.", "errors.")
            yield _summary("all requests", int(max(answered, requests)), failed, found)
        elif name.startswith(f"{_BY_ENDPOINT}response_time."):
            yield _endpoint(name.removeprefix(f"{_BY_ENDPOINT}response_time."), counters, found)


def _endpoint(name: str, counters: Mapping[str, Any], values: Mapping[str, Any]) -> Summary:
    codes, errors = f"{_BY_ENDPOINT}{name}.codes.", f"{_BY_ENDPOINT}{name}.errors."
    unanswered = _count(counters, lambda key: key.startswith(errors))
    n = int(number(values.get("count")) or 0) + unanswered
    return _summary(name, n, _failed(counters, codes, errors), values)


def _failed(counters: Mapping[str, Any], codes: str, errors: str) -> int:
    """Responses with a status of 400 or more, and requests without a response."""
    return _count(
        counters,
        lambda key: key.startswith(errors) or (key.startswith(codes) and _is_error_code(key[len(codes) :])),
    )


def _is_error_code(code: str) -> bool:
    return code.startswith(("4", "5"))


def _count(values: Mapping[str, Any], wanted: Callable[[str], bool]) -> int:
    return sum(int(number(value) or 0) for key, value in values.items() if wanted(key))


def _summary(name: str, n: int, failed: int, values: Mapping[str, Any]) -> Summary:
    found = {place: number(values.get(key)) for key, place in _PERCENTILES.items() if key in values}
    return Summary(
        label=Label("", "", name, ""),
        n=n,
        failed=failed,
        mean_ms=number(values.get("mean")),
        min_ms=number(values.get("min")),
        max_ms=number(values.get("max")),
        percentiles_ms={place: value for place, value in found.items() if value is not None},
    )


# ---- sketches


def _response_sketch(aggregate: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The sketch of all response times; None in the other layouts."""
    for name, sketch in mapping(aggregate.get("histograms")).items():
        if name.endswith("response_time") and mapping(mapping(sketch).get("mapping")):
            return mapping(sketch)
    return None


def _read_sketch(
    file: InputFile, run: RunBuilder, aggregate: Mapping[str, Any], sketch: Mapping[str, Any]
) -> None:
    accuracy = number(mapping(sketch.get("mapping")).get("relativeAccuracy")) or 0.01
    run.begin(
        file.path,
        Provenance(
            tool="Artillery",
            format="Artillery JSON",
            precision="bucketed",
            hides_failures=True,
            bucket_error=accuracy,
            times=False,
            workload="open",
        ),
    )
    failed = _count(
        mapping(aggregate.get("counters")),
        lambda key: ".codes." in key and _is_error_code(key.rpartition(".")[2]),
    )
    if failed:
        run.note(f"{failed:,} responses had a status of 400 or more; their times are among the others.")
    bins = list(_sketch_bins(sketch, accuracy))
    values = np.array([value for value, _ in bins], dtype=np.float64)
    counts = np.array([count for _, count in bins], dtype=np.int64)
    label = np.full(values.size, run.labels.number("", "", "all requests", ""))
    run.add(RequestBlock(np.zeros(values.size), microseconds(values, 1e3), label, count=counts))


def _sketch_bins(sketch: Mapping[str, Any], accuracy: float) -> Iterator[tuple[float, int]]:
    """(value in ms, count) of each bucket of a DDSketch. Source: Masson, Rim, Lee, VLDB 2019, section 2.1."""
    gamma = (1 + accuracy) / (1 - accuracy)
    store = mapping(sketch.get("store"))
    bins, offset = store.get("bins"), int(number(store.get("offset")) or 0)
    if zero := int(number(sketch.get("zeroCount")) or 0):
        yield 0.0, zero
    for place, count in enumerate(bins if isinstance(bins, list) else ()):
        exponent = place + offset
        if (n := int(number(count) or 0)) > 0 and abs(exponent) < 5_000:
            yield 2 * gamma**exponent / (gamma + 1), n


FORMATS = (Format("artillery", "Artillery", "Artillery report", _is_artillery, _read),)
