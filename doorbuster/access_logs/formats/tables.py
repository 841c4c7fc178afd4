"""Logs as a table with a line of names: CSV and TSV exports, and W3C logs of CloudFront and IIS (`#Fields`).

Source of the W3C names: the W3C working draft "Extended Log File Format" (WD-logfile-960323); its dates and
times are in GMT. CloudFront writes `time-taken` in seconds, IIS in milliseconds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from doorbuster.access_logs.formats.named_fields import NamedFields, find_fields
from doorbuster.access_logs.formats.records import NamedFieldsLog, RecordReader
from doorbuster.access_logs.formats.stamps import StampReader
from doorbuster.access_logs.log_requests import LogRequests, RowColumns, UnreadableLine

_FIELDS = b"#Fields:"
_DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class TableLog(NamedFieldsLog):
    """A table with these columns, cut by `delimiter`; `is_w3c`: lines with # are directives."""

    columns: tuple[str, ...]
    delimiter: str
    is_w3c: bool
    name: str
    description: str
    resolution_s: float = 1.0

    def parse(self, content: bytes) -> LogRequests:
        lines = content.decode("utf-8", "replace").split("\n")
        if not lines[-1]:
            lines.pop()
        places = {name: place for place, name in enumerate(self.columns)}
        columns, unreadable = RowColumns(), []
        for number, row in enumerate(self._rows(lines), 1):
            if (
                not row
                or row == [""]
                or (self.is_w3c and row[0].startswith("#"))
                or tuple(row) == self.columns
            ):
                if self.is_w3c and row and row[0].startswith("#Fields:"):
                    self._check_fields(lines[number - 1])
                continue

            def value(name: str, row: list[str] = row) -> str | None:
                if self.is_w3c and name == "date time":
                    return f"{row[places['date']]}T{row[places['time']]}Z"
                found = row[places[name]]
                return None if found == "-" else found

            if len(row) != len(self.columns) or not self.reader.add(value, columns):
                unreadable.append(UnreadableLine(number, lines[number - 1][:160]))
        return columns.block(len(lines), unreadable)

    def _rows(self, lines: list[str]) -> Iterator[list[str]]:
        plain = (line.rstrip("\r") for line in lines)
        if self.is_w3c:
            return (line.split(self.delimiter) for line in plain)
        return (row for row in csv.reader(plain, delimiter=self.delimiter))

    def _check_fields(self, line: str) -> None:
        if tuple(line.removeprefix("#Fields:").split()) != self.columns:
            raise ValueError("the #Fields of the log change; split the file there")


def detect_w3c(head: bytes) -> TableLog | None:
    """A W3C log; None if it has no line of fields."""
    line = next((line for line in head.split(b"\n") if line.startswith(_FIELDS)), None)
    if line is None:
        return None
    columns = tuple(line.removeprefix(_FIELDS).decode("utf-8", "replace").split())
    is_cloudfront = "x-edge-location" in columns
    names = {key: name for key, name in (
        ("time", "date time"), ("address", "c-ip"), ("agent", "cs(User-Agent)"), ("cookie", "cs(Cookie)"),
        ("method", "cs-method"), ("path", "cs-uri-stem"), ("query", "cs-uri-query"), ("status", "sc-status"),
        ("duration", "time-taken"),
    ) if name in columns or name == "date time"}  # fmt: skip
    if not {"date", "time", "cs-uri-stem"} <= set(columns):
        raise KeyError(", ".join(columns))
    body = next((row for row in head.split(b"\n") if row.strip() and not row.startswith(b"#")), b"")
    product = "CloudFront" if is_cloudfront else "IIS" if "s-ip" in columns else ""
    fields = NamedFields(product, names, "end", 1.0 if is_cloudfront else 1e-3)
    return TableLog(
        RecordReader(fields, StampReader()),
        columns,
        "\t" if b"\t" in body else " ",
        is_w3c=True,
        name="w3c",
        description=f"W3C log{f' of {product}' if product else ''}",
    )


def detect_table(
    head: bytes, fields: NamedFields | None, read_time: StampReader, delimiter: str
) -> TableLog | None:
    """A table whose first line has the names of its columns; None if that tells nothing about requests."""
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    line = first.decode("utf-8", "replace").rstrip("\r")
    cut = delimiter or max(_DELIMITERS, key=line.count)
    if not rest.strip() or cut not in line:
        return None
    try:
        columns = tuple(name.strip() for name in next(csv.reader([line], delimiter=cut)))
    except csv.Error:
        return None
    if fields is None:
        fields = find_fields(columns)
    elif missing := [name for name in fields.names.values() if name not in columns]:
        raise KeyError(f"{', '.join(missing)}; it has {', '.join(columns[:30])}")
    if fields is None:
        return None
    return TableLog(RecordReader(fields, read_time), columns, cut, is_w3c=False, name="table",
                    description="table with a line of names")  # fmt: skip
