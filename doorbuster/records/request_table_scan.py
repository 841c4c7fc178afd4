"""Reads the table of requests as arrays, some megabytes at a time.

A day has millions of rows, and creating a Python tuple for each costs more than all the arithmetic. So SQLite
joins the rows: `group_concat` concatenates the blobs of a window of rows, and encodes the numbers of each row
as characters of one text, twelve bits each. All aggregates of a query see the rows in the same order. This
takes a third of the processor time of fetching rows.

Rules of this module:
- A window holds about `_WINDOW_BYTES` whatever the size of the rows: memory stays bounded.
- A scan reads the rows that existed when it began; a writer may continue meanwhile.
- Where SQLite truncates joined text at a zero byte (before 3.39), or a number is not a valid character, rows
  are fetched one by one, with the same result.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import PACKED, Ints, check_bins

_WINDOW_BYTES = 4 * 2**20
_FIRST_WINDOW = {"rowid": 2000, "second": 16}
_MAX_GROWTH = 4  # of the width of a window
_CHARACTERS = 0xD800  # below the first surrogate, which no text may hold
_PLACE = "series, second >> 12, second & 4095"
_COUNT = "n >> 24, n >> 12 & 4095, n & 4095"


@dataclass(frozen=True, slots=True, eq=False)
class PackedRows:
    """Packed bins of many rows, concatenated: the first sizes[0] belong to the first row."""

    sizes: Ints
    bins: NDArray[np.unsignedinteger]
    counts: NDArray[np.uint32]

    @classmethod
    def of(cls, sizes: Ints, joined: bytes) -> PackedRows:
        """Args: joined: concatenated blobs of `histogram.pack`."""
        packed = np.frombuffer(joined, PACKED)
        check_bins(packed["bin"])
        return cls(sizes, packed["bin"], packed["count"])


@dataclass(frozen=True, slots=True, eq=False)
class RowChunk:
    """Some rows of the table: series and second of each, and the bins of the requested columns.

    `n`, the number of requests, is only read without columns, as the bins contain it.
    """

    series: Ints
    second: Ints
    columns: tuple[PackedRows, ...]
    n: Ints


def scan(
    db: sqlite3.Connection,
    columns: Sequence[str],
    *,
    series: Iterable[int] | None = None,
    seconds: tuple[int, int] | None = None,
) -> Iterator[RowChunk]:
    """Rows of the table requests.

    Args:
        columns: which of response, service and first_byte.
        series: only these, by id; None for all.
        seconds: only those with seconds[0] <= second < seconds[1].
    """
    key = "rowid" if seconds is None else "second"
    lowest, highest = _one(db, f"SELECT ifnull(min({key}), 0), ifnull(max({key}), -1) FROM requests")  # noqa: S608 -- two names
    at, end = lowest, highest + 1
    if seconds is not None:
        at, end = max(at, seconds[0]), min(end, seconds[1])
    chosen = "" if series is None else f" AND series IN ({', '.join(map(str, series))})"
    where = f"FROM requests WHERE {key} >= ? AND {key} < ?{chosen}"
    read = _joined if _can_join(db) else _row_by_row
    width = _FIRST_WINDOW[key]
    while at < end:
        chunk, size = read(db, columns, where, [at, min(at + width, end)])
        if chunk is not None:
            yield chunk
        at += width
        width = max(1, min(width * _MAX_GROWTH, width * _WINDOW_BYTES // max(1, size)))


def _joined(
    db: sqlite3.Connection, columns: Sequence[str], where: str, window: Sequence[int]
) -> tuple[RowChunk | None, int]:
    """The rows of a window and their size in bytes, from one row of SQLite."""
    counted = [f"length({column}) / {PACKED.itemsize}" for column in columns] or [_COUNT]
    numbers = ", ".join((_PLACE, *counted))
    blobs = "".join(f", CAST(group_concat({column}, '') AS BLOB)" for column in columns)
    text, *joined = _one(db, f"SELECT group_concat(char({numbers}), ''){blobs} {where}", window)
    if text is None:
        return None, 0
    digits = np.frombuffer(text.encode("utf-32-le"), "<u4").reshape(-1, 3 + (len(columns) or 3))
    series, high, low, *more = digits.T.astype(np.int64)
    chunk = RowChunk(
        series=series,
        second=(high << 12) + low,
        columns=tuple(PackedRows.of(sizes, blob) for sizes, blob in zip(more, joined, strict=False)),
        n=np.empty(0, np.int64) if columns else (more[0] << 24) + (more[1] << 12) + more[2],
    )
    return chunk, digits.nbytes + sum(map(len, joined))


def _row_by_row(
    db: sqlite3.Connection, columns: Sequence[str], where: str, window: Sequence[int]
) -> tuple[RowChunk | None, int]:
    """Like `_joined`, for any SQLite and any numbers."""
    rows = db.execute(f"SELECT {', '.join(('series, second, n', *columns))} {where}", window).fetchall()
    if not rows:
        return None, 0
    series, second, n, *blobs = zip(*rows, strict=True)
    entries = tuple(
        PackedRows.of(
            np.fromiter(map(len, column), np.int64, len(column)) // PACKED.itemsize, b"".join(column)
        )
        for column in blobs
    )
    chunk = RowChunk(np.array(series), np.array(second), entries, np.array(n))
    return chunk, 24 * len(rows) + sum(part.bins.size for part in entries) * PACKED.itemsize


def _can_join(db: sqlite3.Connection) -> bool:
    """Whether joined text keeps zero bytes, and every number of a row can be encoded as a character."""
    blob, text = _one(
        db,
        "SELECT CAST(group_concat(b, '') AS BLOB), group_concat(char(0, 4095), '')"
        " FROM (SELECT x'00ff00' AS b UNION ALL SELECT x'80')",
    )
    second, series = _one(
        db, "SELECT (SELECT ifnull(min(second), 0) FROM requests), (SELECT ifnull(max(id), 0) FROM series)"
    )
    faithful = sorted((blob[:3], blob[-1:])) == [b"\0\xff\0", b"\x80"] and text == "\0\u0fff\0\u0fff"
    return faithful and second >= 0 and series < _CHARACTERS


def _one(db: sqlite3.Connection, sql: str, values: Sequence[int] = ()) -> Any:
    return db.execute(sql, values).fetchone()
