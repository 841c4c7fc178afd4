"""Rows of a table, as texts by column name, from CSV files and exports of analytics.

Exports of Google Analytics 4 begin with lines of "#", one of which is the start date, and may hold several
tables; the first one is read.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard

from doorbuster.errors import UsageError

MAX_HEADER = 60  # lines before the table
MAX_BYTES = 2 * 1024**3
_DELIMITERS = ",;\t|"
_START = re.compile(r"#\s*Start date:\s*(\d{8})", re.IGNORECASE)
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".zst": zstandard.open}
csv.field_size_limit(1_000_000)


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table: names of the columns, and an iterator over the rows as lists of texts with their line.

    `first_day`: the start date that an export of analytics states, as YYYYMMDD. `row_count`: about how many
    rows there are, for progress; 0 where that is not known.
    """

    file: str
    columns: tuple[str, ...]
    rows: Iterator[tuple[int, Sequence[str]]]
    first_day: str = ""
    row_count: int = 0


def read_csv_rows(path: Path) -> TableRows:
    """The table of a CSV file.

    Raises: UsageError for a file without a header and rows.
    """
    text = _text(path)
    lines = text.splitlines()
    head = next((at for at, line in enumerate(lines[:MAX_HEADER]) if _is_table(line)), None)
    if head is None:
        raise UsageError(f"{path}: has no table; the first line must name the columns, such as date,orders")
    start = next((found[1] for line in lines[:head] if (found := _START.match(line))), "")
    delimiter = max(_DELIMITERS, key=lines[head].count)
    reader = csv.reader(io.StringIO("\n".join(lines[head:])), delimiter=delimiter)
    columns = tuple(name.strip().lstrip("\ufeff") for name in next(reader))

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        try:
            for row in reader:
                if not row or row[0].startswith("#"):
                    if start:
                        return  # of analytics: another table follows
                    continue
                yield head + reader.line_num, row
        except csv.Error as error:
            raise UsageError(f"{path}:{head + reader.line_num}: is not CSV ({error})") from error

    return TableRows(str(path), columns, rows(), start, len(lines) - head)


def _is_table(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig").replace("\x00", "")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: must be UTF-8 text; save it as CSV UTF-8") from None


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked if its name ends in .gz or .zst.

    Raises: UsageError if it cannot be read, is damaged or holds more than 2 GiB.
    """
    try:
        with _OPENERS.get(path.suffix, Path.open)(path, "rb") as file:
            content: bytes = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: holds more than 2 GiB; export orders by hour or by day")
    return content


def kind_of(path: Path) -> str:
    """ ".csv" of orders.csv and of orders.csv.gz."""
    return Path(path.stem).suffix if path.suffix in (".gz", ".zst") else path.suffix
