"""Delimited text in blocks of columns: the shape that most load generators write."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from doorbuster.errors import UsageError
from doorbuster.importers.input_file import InputFile

ROWS_AT_ONCE = 50_000
MAX_FIELD = 16 << 20
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TableBlock:
    """Some rows of a table, by column; `line` is the number of its first line."""

    line: int
    names: tuple[str, ...]
    columns: Sequence[Sequence[str]]

    def __len__(self) -> int:
        return len(self.columns[0])

    def column(self, name: str) -> Sequence[str] | None:
        """The column of this name; None if the table has none."""
        return self.columns[self.names.index(name)] if name in self.names else None

    def text(self, name: str) -> Sequence[str]:
        """The column of this name; empty texts if the table has none."""
        found = self.column(name)
        return ("",) * len(self) if found is None else found

    def numbers(self, name: str) -> Floats | None:
        """The column as numbers, NaN for what is none; None if the table has no such column."""
        found = self.column(name)
        return None if found is None else numbers(found)


def table_blocks(
    file: InputFile,
    *,
    delimiter: str,
    names: Sequence[str] | None,
    skip: Callable[[int, str], None],
    quoted: bool = True,
) -> Iterator[TableBlock]:
    """The rows of a table.

    Args:
        names: of the columns; None when the first row holds them.
        skip: receives rows of another width, such as a last one that was cut off.
    Raises: UsageError when the text is no table.
    """
    csv.field_size_limit(MAX_FIELD)
    with file.text() as text:
        reader = csv.reader(
            text, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        )
        try:
            header = tuple(name.strip() for name in (names or next(reader, ())))
            if not header:
                return
            while True:
                line = reader.line_num + 1
                rows = list(islice(reader, ROWS_AT_ONCE))
                if not rows:
                    return
                whole = _of_width(rows, len(header), line, skip)
                if whole:
                    yield TableBlock(line, header, list(zip(*whole, strict=True)))
        except csv.Error as error:
            raise UsageError(
                f"{file.path}:{reader.line_num}: cannot be read as a table ({error}); a "
                "quotation mark may be "
                "missing"
            ) from error


def _of_width(
    rows: list[list[str]], width: int, line: int, skip: Callable[[int, str], None]
) -> list[list[str]]:
    whole = [row for row in rows if len(row) == width]
    if len(whole) == len(rows):
        return rows
    odd = [(place, row) for place, row in enumerate(rows) if len(row) != width and any(row)]
    if odd:
        place, row = odd[0]
        skip(
            len(odd),
            f"Line {line + place}: a row of {len(row)} instead of {width} columns was left out"
            f"{f', and {len(odd) - 1} more' if len(odd) > 1 else ''}.",
        )
    return whole


def numbers(texts: Sequence[str]) -> Floats:
    """Numbers of a column of text; NaN for what is none."""
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text.strip().strip('"'))
    except ValueError:
        return float("nan")


def microseconds(values: Floats, factor: float) -> NDArray[np.int64]:
    """Times in us; -1 for NaN and infinity, which the builder then leaves out."""
    scaled = values * factor
    return np.where(np.isfinite(scaled) & (np.abs(scaled) < 1e15), np.rint(scaled), -1).astype(np.int64)


def whole_numbers(values: Floats | None) -> NDArray[np.int64] | None:
    """Counts and sizes; 0 for what is no number."""
    if values is None:
        return None
    good = np.isfinite(values) & (np.abs(values) < 1e15)
    return np.where(good, values, 0).astype(np.int64)


def sniff_delimiter(head: bytes) -> str:
    """The delimiter of the first line: the most frequent of comma, tab, semicolon and pipe."""
    line = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    return max(",\t;|", key=line.count)


def header_of(head: bytes, delimiter: str | None = None) -> tuple[str, ...]:
    """The cells of the first line."""
    line = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].decode("utf-8", "replace").strip("\r")
    try:
        row = next(csv.reader([line], delimiter=delimiter or sniff_delimiter(head)), [])
    except csv.Error:  # binary files
        return ()
    return tuple(cell.strip() for cell in row)
