"""Vegeta: gob (its own binary form), CSV and JSON lines.

Rules of this module:
- gob describes its own types: the fields of `Result` are found by name, so that every version can be read.
- Vegeta sends at a planned rate: the workload is open up to its limit of workers.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
import orjson

from doorbuster.importers.causes import failure_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import LabelTable, Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import (
    header_of,
    microseconds,
    numbered,
    required,
    table_blocks,
    whole_numbers,
)
from doorbuster.importers.time_stamps import rfc3339_s, unix_s

_CSV_COLUMNS = (
    "timestamp",
    "code",
    "latency",
    "bytes_out",
    "bytes_in",
    "error",
    "body",
    "attack",
    "seq",
    "method",
    "url",
    "headers",
)
_ROWS_AT_ONCE = 50_000
_YEAR_1_TO_1970_S = 62_135_596_800
_GOB_KEYS = {
    "Attack": "attack",
    "Code": "code",
    "Timestamp": "timestamp",
    "Latency": "latency",
    "BytesOut": "bytes_out",
    "BytesIn": "bytes_in",
    "Error": "error",
    "Method": "method",
    "URL": "url",
}


def _provenance(form: str) -> Provenance:
    return Provenance(tool="Vegeta", format=form, workload="open")


def _label(labels: LabelTable, attack: str, method: str, url: str, code: int, error: str) -> int:
    failed = bool(error) or not 200 <= code < 400
    cause = failure_cause(code, error) if failed else ""
    name = url or "all requests"
    return labels.number(attack, method, name, cause, (error or f"HTTP {code}")[:500] if failed else "")


# ---- CSV


def _is_csv(head: bytes) -> bool:
    cells = header_of(head, ",")
    return len(cells) in (9, 12) and len(cells[0]) == 19 and all(cell.isdigit() for cell in cells[:5])


def _read_csv(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _provenance("Vegeta CSV"))
    names = _CSV_COLUMNS[: len(header_of(file.head, ","))]
    known: dict[Hashable, int] = {}

    def number(attack: str, method: str, url: str, code: str, error: str) -> int:
        return _label(run.labels, attack, method, url, int(code) if code.isdigit() else 0, error)

    for block in table_blocks(file, delimiter=",", names=names, skip=run.skip):
        labels = numbered(block, ("attack", "method", "url", "code", "error"), known, number)
        run.add(
            RequestBlock(
                unix_s(required(block, "timestamp")),
                microseconds(required(block, "latency"), 1e-3),
                labels,
                whole_numbers(block.numbers("bytes_in")),
                whole_numbers(block.numbers("bytes_out")),
            )
        )


# ---- JSON lines


def _is_json(head: bytes) -> bool:
    line = head.split(b"\n", 1)[0]
    return line.startswith(b"{") and b'"attack"' in line and b'"latency"' in line and b'"code"' in line


def _read_json(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _provenance("Vegeta JSON"))

    def results() -> Iterator[dict[str, Any]]:
        for block in file.line_blocks():
            for line in block.split(b"\n"):
                if not line.strip():
                    continue
                try:
                    found = orjson.loads(line)
                except orjson.JSONDecodeError:
                    found = None
                if isinstance(found, dict):
                    yield found
                else:
                    run.skip(1, "A line that is not complete JSON was left out; the file may be cut off.")

    _add(run, ({**row, "timestamp": _rfc3339(row.get("timestamp"))} for row in results()))


def _rfc3339(text: Any) -> float:
    try:
        return float(rfc3339_s([text])[0])
    except (ValueError, TypeError, AttributeError, IndexError):
        return float("nan")


def _add(run: RunBuilder, results: Iterator[dict[str, Any]]) -> None:
    """Add results with a timestamp in Unix s and a latency in ns."""
    rows: list[tuple[float, float, int, float, float]] = []
    for row in results:
        code = row.get("code")
        label = _label(
            run.labels,
            _text(row, "attack"),
            _text(row, "method"),
            _text(row, "url"),
            code if isinstance(code, int) else 0,
            _text(row, "error"),
        )
        rows.append(
            (
                row["timestamp"],
                _float(row, "latency"),
                label,
                _float(row, "bytes_in"),
                _float(row, "bytes_out"),
            )
        )
        if len(rows) >= _ROWS_AT_ONCE:
            run.add(_block(rows))
            rows = []
    if rows:
        run.add(_block(rows))


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _float(row: dict[str, Any], key: str) -> float:
    value = row.get(key, 0)
    return float(value) if isinstance(value, int | float) else float("nan")


def _block(rows: list[tuple[float, float, int, float, float]]) -> RequestBlock:
    start, latency, label, received, sent = (np.array(column) for column in zip(*rows, strict=True))
    return RequestBlock(
        start,
        microseconds(latency, 1e-3),
        label.astype(np.int64),
        whole_numbers(received),
        whole_numbers(sent),
    )


# ---- gob


def _is_gob(head: bytes) -> bool:
    return b"\x06Result" in head[:64] and b"\x06Attack" in head[:128]


def _read_gob(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _provenance("Vegeta gob"))
    stream = _Gob(file)
    _add(run, ({**row, "timestamp": _binary_time(row.get("timestamp"))} for row in stream.results()))
    if stream.damage:
        run.skip(1, stream.damage)


def _binary_time(data: Any) -> float:
    """Unix s of Go's time.MarshalBinary: version, seconds since year 1, nanoseconds, zone."""
    if not isinstance(data, bytes) or len(data) < 13:
        return float("nan")
    seconds, nanoseconds = struct.unpack(">qi", data[1:13])
    return float(seconds - _YEAR_1_TO_1970_S) + float(nanoseconds) / 1e9


class _Gob:
    """Decodes a stream of `Result`s. Source: the package documentation of encoding/gob.

    Type ids: 2 int, 3 uint, 5 bytes, 6 string, 8 complex; others are described in the stream.
    """

    MAX_MESSAGE = 256 << 20

    def __init__(self, file: InputFile) -> None:
        self._path = file.path
        self._chunks = file.chunks()
        self._buffer = b""
        self._structs: dict[int, list[tuple[str, int]]] = {}
        self._others: dict[int, str] = {}
        self._maps: dict[int, tuple[int, int]] = {}
        self._slices: dict[int, int] = {}
        self.damage = ""

    def results(self) -> Iterator[dict[str, Any]]:
        """Each result by its JSON names; the timestamp as bytes."""
        while (message := self._message()) is not None:
            at = _Cursor(message)
            try:
                kind = at.read_int()
                if kind < 0:
                    self._define(-kind, at)
                elif kind in self._structs:
                    yield self._struct(kind, at, top=True)
            except (IndexError, KeyError, struct.error, ValueError, RecursionError):
                self.damage = "A damaged result was found; everything before it was read."
                return

    def _message(self) -> bytes | None:
        """The next message without its length; None at the end."""
        if not self._have(1):
            return None
        at = _Cursor(self._buffer)
        if not self._have(1 + (256 - self._buffer[0] if self._buffer[0] > 127 else 0)):
            self.damage = "The file ends inside a result; everything before it was read."
            return None
        at = _Cursor(self._buffer)
        size = at.read_uint()
        if size > self.MAX_MESSAGE or not self._have(at.at + size):
            self.damage = "The file ends inside a result; everything before it was read."
            return None
        message = self._buffer[at.at : at.at + size]
        self._buffer = self._buffer[at.at + size :]
        return message

    def _have(self, count: int) -> bool:
        if len(self._buffer) >= count:
            return True
        parts = [self._buffer]
        size = len(self._buffer)
        while size < count and (chunk := next(self._chunks, b"")):
            parts.append(chunk)
            size += len(chunk)
        self._buffer = b"".join(parts)
        return size >= count

    def _define(self, number: int, at: _Cursor) -> None:
        """A wireType: one of array, slice, struct, map, or an opaque encoder."""
        field = at.read_uint()  # delta to the field that is set
        name = ("", "array", "slice", "struct", "map", "opaque", "opaque", "opaque")[field]
        self._common(at)
        if name == "struct":
            has_fields = at.read_uint()  # the delta to `Field` of structType
            self._structs[number] = [self._field(at) for _ in range(at.read_uint())] if has_fields else []
        elif name == "map":
            values = {}
            place = 1
            while delta := at.read_uint():
                place += delta
                values[place] = at.read_int()
            self._maps[number] = (values.get(2, 0), values.get(3, 0))
        elif name in ("slice", "array"):
            at.read_uint()
            self._slices[number] = at.read_int()
        else:
            self._others[number] = name

    def _common(self, at: _Cursor) -> None:
        """The CommonType inside: name and id, then the end of the struct."""
        if at.read_uint() != 1:
            raise ValueError("no CommonType")
        place = 0
        while delta := at.read_uint():
            place += delta
            at.read_bytes() if place == 1 else at.read_int()

    def _field(self, at: _Cursor) -> tuple[str, int]:
        name, kind, place = "", 0, 0
        while delta := at.read_uint():
            place += delta
            if place == 1:
                name = at.read_bytes().decode("utf-8", "replace")
            else:
                kind = at.read_int()
        return name, kind

    def _struct(self, number: int, at: _Cursor, *, top: bool = False) -> dict[str, Any]:
        fields = self._structs[number]
        found: dict[str, Any] = {}
        place = -1
        while delta := at.read_uint():
            place += delta
            name, kind = fields[place]
            value = self._value(kind, at)
            key = _GOB_KEYS.get(name)
            if top and key is not None:
                found[key] = (
                    value.decode("utf-8", "replace") if kind == 6 and isinstance(value, bytes) else value
                )
        return found

    def _value(self, kind: int, at: _Cursor) -> Any:
        if kind == 2:
            return at.read_int()
        if kind in (1, 3, 4):
            return at.read_uint()
        if kind in (5, 6) or kind in self._others:
            return at.read_bytes()
        if kind in self._structs:
            return self._struct(kind, at)
        if kind in self._slices:
            return [self._value(self._slices[kind], at) for _ in range(at.read_uint())]
        key, value = self._maps[kind]
        return {str(self._value(key, at)): self._value(value, at) for _ in range(at.read_uint())}


class _Cursor:
    """Reads gob's numbers from bytes; IndexError beyond their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def read_uint(self) -> int:
        """Up to 127 in one byte; otherwise the negated count of big-endian bytes that follow."""
        first = self._data[self.at]
        self.at += 1
        if first <= 127:
            return first
        count = 256 - first
        if count > 8 or self.at + count > len(self._data):
            raise IndexError
        self.at += count
        return int.from_bytes(self._data[self.at - count : self.at], "big")

    def read_int(self) -> int:
        """The sign in the lowest bit."""
        value = self.read_uint()
        return ~(value >> 1) if value & 1 else value >> 1

    def read_bytes(self) -> bytes:
        """A length and as many bytes."""
        count = self.read_uint()
        if self.at + count > len(self._data):
            raise IndexError
        self.at += count
        return self._data[self.at - count : self.at]


FORMATS = (
    Format("vegeta-csv", "Vegeta", "Vegeta CSV (vegeta encode --to csv)", _is_csv, _read_csv),
    Format("vegeta-json", "Vegeta", "Vegeta JSON lines (vegeta encode --to json)", _is_json, _read_json),
    Format("vegeta-gob", "Vegeta", "Vegeta's binary output", _is_gob, _read_gob),
)
