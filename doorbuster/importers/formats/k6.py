"""k6: JSON lines, CSV, and the summary in its three shapes.

Rules of this module:
- `http_req_duration` alone is read: its tags say name, status and whether the response was expected. It
  leaves out DNS, connect and TLS, unlike the times of most other tools.
- A point's time is the end of its request.
- Of the summary, the script that new versions embed is never kept: it may hold secrets.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from doorbuster.errors import UsageError
from doorbuster.importers.causes import failure_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, LabelTable, Provenance, RequestBlock, Summary
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import header_of, microseconds, numbered, numbers, required, table_blocks
from doorbuster.importers.time_stamps import rfc3339_s, unix_s

_DURATION = b'"http_req_duration"'
_DROPPED = b'"dropped_iterations"'
_MAX_SUMMARY_BYTES = 64 << 20
_NO_CONNECT = "k6 measures http_req_duration from the first byte sent; DNS, connect and TLS are not included."


# ---- JSON lines


def _is_json_lines(head: bytes) -> bool:
    line = head.split(b"\n", 1)[0]
    return line.startswith(b"{") and b'"metric":' in line and (b'"Point"' in line or b'"Metric"' in line)


def _read_json_lines(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="k6", format="k6 JSON", stamp="end"))
    run.note(_NO_CONNECT)
    numbers_of: dict[tuple[Any, ...], int] = {}
    dropped = 0
    for block in file.line_blocks():
        times, values, labels = [], [], []
        for line in block.split(b"\n"):
            if _DURATION not in line and _DROPPED not in line:
                continue
            try:
                point = orjson.loads(line)
                if point["type"] != "Point":
                    continue
                data = point["data"]
                if point["metric"] == "http_req_duration":
                    tags = data["tags"] or {}
                    key = tuple(map(tags.get, _TAGS))
                    number = numbers_of.get(key)
                    if number is None:
                        number = numbers_of[key] = _number(run.labels, tags)
                    value = float(data["value"])
                    times.append(str(data["time"]))
                    values.append(value)
                    labels.append(number)
                elif point["metric"] == "dropped_iterations":
                    dropped += int(data["value"])
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
                run.skip(1, "A line that is not complete JSON was left out; the file may be cut off.")
        if times:
            run.add(_block(_ends(times), np.array(values), np.array(labels, dtype=np.int64)))
    _note_dropped(run, dropped)


def _ends(times: Sequence[str]) -> np.ndarray:
    try:
        return rfc3339_s(times)
    except ValueError:
        return np.array([_end(text) for text in times])


def _end(text: str) -> float:
    try:
        return float(rfc3339_s([text])[0])
    except ValueError:
        return float("nan")


def _block(ends: np.ndarray, values: np.ndarray, labels: np.ndarray) -> RequestBlock:
    latency_us = microseconds(values, 1e3)
    return RequestBlock(ends - latency_us / 1e6, latency_us, labels)


_TAGS = ("scenario", "group", "method", "name", "url", "status", "expected_response", "error", "error_code")


def _number(labels: LabelTable, tags: Mapping[str, Any]) -> int:
    """The label of a request with these tags."""
    values = {key: str(tags.get(key) or "") for key in _TAGS}
    status = int(values["status"]) if values["status"].isdigit() else 0
    expected = values["expected_response"]
    failed = expected == "false" if expected else bool(values["error"]) or status >= 400 or status == 0
    group = values["group"].strip(":").rpartition("::")[2]
    error = " ".join(
        filter(None, (values["error"], values["error_code"] and f"(code {values['error_code']})"))
    )
    cause = failure_cause(status, values["error"]) if failed else ""
    name = values["name"] or values["url"]
    kind = " ".join(filter(None, (group, values["method"])))
    return labels.number(values["scenario"], kind, name, cause, error or (f"HTTP {status}" if failed else ""))


def _note_dropped(run: RunBuilder, dropped: int) -> None:
    if dropped:
        run.note(f"k6 dropped {dropped:,} iterations: the planned rate was not delivered.")


# ---- CSV


def _is_csv(head: bytes) -> bool:
    return header_of(head, ",")[:3] == ("metric_name", "timestamp", "metric_value")


def _read_csv(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="k6", format="k6 CSV", stamp="end"))
    run.note(_NO_CONNECT)
    known: dict[Hashable, int] = {}
    dropped = 0.0
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        metric = np.array(block.text("metric_name"))
        values = required(block, "metric_value")
        dropped += float(np.nansum(values[metric == "dropped_iterations"]))
        places = np.flatnonzero(metric == "http_req_duration")
        if not places.size:
            continue
        tags = [name for name in _TAGS if name in block.names]

        def number(*texts: str, names: Sequence[str] = tags) -> int:
            return _number(run.labels, dict(zip(names, texts, strict=True)))

        stamps = [block.text("timestamp")[place] for place in places.tolist()]
        ends = _ends(stamps) if "T" in stamps[0] else unix_s(numbers(stamps))
        if "T" not in stamps[0] and float(ends[0]) == float(stamps[0]):
            run.note("k6 wrote times in whole seconds: charts are exact to one second.")
        labels = numbered(block, tags, known, number)[places]
        run.add(_block(ends, values[places], labels))
    _note_dropped(run, int(dropped))


# ---- summary


def _is_summary(head: bytes) -> bool:
    start = head.lstrip()
    if not start.startswith(b"{"):
        return False
    new = b'"results"' in head and (b'"k6Version"' in head or b'"script"' in head)
    return new or (
        b'"metrics"' in head
        and (b"http_req" in head or b'"iteration_duration"' in head or b'"root_group"' in head)
    )


def _read_summary(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, Provenance(tool="k6", format="k6 summary", precision="summary", times=False))
    run.note(_NO_CONNECT)
    try:
        data = orjson.loads(file.read_all(_MAX_SUMMARY_BYTES))
    except orjson.JSONDecodeError as error:
        raise UsageError(
            f"{file.path}: the summary is not complete JSON ({error}); export it again"
        ) from error
    metrics = dict(_metrics(data)) if isinstance(data, dict) else {}
    durations = {
        name: values for name, values in metrics.items() if name.split("{")[0] == "http_req_duration"
    }
    if "http_req_duration" not in durations:
        raise UsageError(f"{file.path}: the summary has no http_req_duration; k6 sent no HTTP requests")
    for name, values in durations.items():
        tags = name[len("http_req_duration") :]
        run.add_summary(_summary(tags, values, metrics))
    dropped = metrics.get("dropped_iterations", {}).get("count")
    _note_dropped(run, int(dropped) if isinstance(dropped, int | float) else 0)


def _metrics(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Values of each metric: handleSummary nests them in `values`, --summary-export does not."""
    found = data.get("metrics")
    results = data.get("results")
    if isinstance(results, dict) and isinstance(results.get("metrics"), list):
        found = {row.get("name"): row for row in results["metrics"] if isinstance(row, dict)}
    for name, metric in (found or {}).items() if isinstance(found, dict) else ():
        if isinstance(name, str) and isinstance(metric, dict):
            values = metric.get("values", metric)
            yield name, values if isinstance(values, dict) else {}


def _summary(tags: str, values: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]]) -> Summary:
    failed = metrics.get(f"http_req_failed{tags}", {})
    count = metrics.get(f"http_reqs{tags}", {}).get("count", values.get("count"))
    n, k = _trials(failed)
    percentiles = {
        float(key[2:-1]): float(value)
        for key, value in values.items()
        if key.startswith("p(") and isinstance(value, int | float) and _is_number(key[2:-1])
    }
    if isinstance(values.get("med"), int | float):
        percentiles[50.0] = float(values["med"])
    return Summary(
        label=Label("", "", _name(tags), ""),
        n=int(count) if isinstance(count, int | float) else n,
        failed=k,
        mean_ms=_optional(values.get("avg")),
        min_ms=_optional(values.get("min")),
        max_ms=_optional(values.get("max")),
        percentiles_ms=percentiles,
    )


def _name(tags: str) -> str:
    inner = tags.strip("{}")
    return inner.removeprefix("name:") if inner else "all requests"


def _trials(failed: Mapping[str, Any]) -> tuple[int, int | None]:
    """(requests, failed): a rate's `passes` count values of 1, which for http_req_failed are failures."""
    for good, bad in (("passes", "fails"), ("matches", None)):
        hits = failed.get(good)
        if isinstance(hits, int | float):
            total = failed.get("total") if bad is None else hits + (failed.get(bad) or 0)
            return int(total or 0), int(hits)
    return 0, None


def _optional(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) <= 100
    except ValueError:
        return False


FORMATS = (
    Format("k6-json", "k6", "k6 JSON lines (--out json)", _is_json_lines, _read_json_lines),
    Format("k6-csv", "k6", "k6 CSV (--out csv)", _is_csv, _read_csv),
    Format("k6-summary", "k6", "k6 summary (handleSummary, --summary-export)", _is_summary, _read_summary),
)
