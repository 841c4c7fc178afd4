"""Any table of requests, with a mapping file that says what its columns mean."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import tzinfo

import numpy as np

from doorbuster.errors import UsageError
from doorbuster.importers.causes import failure_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.label_map import UNITS_US
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import LabelTable, Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import (
    TableBlock,
    header_of,
    microseconds,
    numbered,
    numbers,
    sniff_delimiter,
    table_blocks,
    whole_numbers,
)
from doorbuster.importers.time_stamps import find_zone, parse_times


def _never(_: bytes) -> bool:
    return False


def _read(file: InputFile, run: RunBuilder, options: ImportOptions) -> None:
    mapping = options.label_map
    columns = mapping.columns
    if not columns:
        raise UsageError(f"{file.path}: a table needs a mapping file with columns: add --map FILE.yaml")
    run.begin(
        file.path,
        Provenance(tool="table", format="table of requests"),
    )
    delimiter = mapping.delimiter or sniff_delimiter(file.head)
    missing = [name for name in columns.values() if name not in header_of(file.head, delimiter)]
    if missing:
        raise UsageError(
            f"{file.path}:1: the table has no column {', '.join(missing)}; it has "
            f"{', '.join(header_of(file.head, delimiter)[:30])}"
        )
    zone = find_zone(mapping.zone) if mapping.zone else options.zone
    if not columns.get("ok") and not columns.get("status") and not columns.get("error"):
        run.note("The mapping names no column of failures: every request counts as successful.")
    known: dict[Hashable, int] = {}
    for block in table_blocks(file, delimiter=delimiter, names=None, skip=run.skip):
        run.add(_requests(block, options, zone, run.labels, known, str(file.path)))


def _requests(
    block: TableBlock,
    options: ImportOptions,
    zone: tzinfo | None,
    labels: LabelTable,
    known: dict[Hashable, int],
    path: str,
) -> RequestBlock:
    mapping = options.label_map
    columns = mapping.columns

    def text(meaning: str) -> Sequence[str]:
        return block.text(columns[meaning]) if meaning in columns else ("",) * len(block)

    def times(meaning: str) -> np.ndarray:
        try:
            return parse_times(text(meaning), mapping.time_format, zone)
        except ValueError as error:
            raise UsageError(
                f"{path}:{block.line}: column {columns[meaning]}: {error}; state time_format and "
                "zone in the mapping "
                "file"
            ) from error

    factor = UNITS_US[mapping.unit]
    start = times("start") if "start" in columns else None
    end = times("end") if "end" in columns else None
    if "latency" in columns:
        latency_us = microseconds(numbers(text("latency")), factor)
    else:
        assert start is not None
        assert end is not None
        latency_us = microseconds(end - start, 1e6)
    if start is None:
        start = np.zeros(len(block)) if end is None else end - latency_us / 1e6
    meanings = [name for name in ("group", "kind", "name", "ok", "status", "error") if name in columns]

    def number(*texts: str) -> int:
        return _label(labels, dict(zip(meanings, texts, strict=True)), mapping.ok_values)

    found = numbered(block, [columns[name] for name in meanings], known, number)
    first_byte = microseconds(numbers(text("first_byte")), factor) if "first_byte" in columns else None
    return RequestBlock(
        start,
        latency_us,
        found,
        whole_numbers(numbers(text("received"))) if "received" in columns else None,
        whole_numbers(numbers(text("sent"))) if "sent" in columns else None,
        None if first_byte is None else np.maximum(first_byte, 0),
    )


def _label(labels: LabelTable, texts: dict[str, str], ok_values: tuple[str, ...]) -> int:
    code, error = texts.get("status", "").strip(), texts.get("error", "")
    status = int(code) if code.isdigit() else 0
    failed = bool(error) or status >= 400
    if "ok" in texts:
        failed = texts["ok"].strip().lower() not in ok_values
    cause = failure_cause(status, error) if failed else ""
    detail = (error or f"HTTP {status}")[:500] if failed else ""
    return labels.number(
        texts.get("group", ""), texts.get("kind", ""), texts.get("name") or "all requests", cause, detail
    )


FORMATS = (
    Format("table", "table", "any CSV, with a mapping file (--map)", _never, _read, ("zone", "columns")),
)
