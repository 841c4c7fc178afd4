"""Rollups stored in the run file at the end of a long run, so that reports need not read all requests.

Rules of this module:
- The table of requests is authoritative. Rollups that are missing, outdated (computed from another number of
  rows) or of another width are ignored, and the reader computes them.
- Only long runs have them: rollups of short intervals are hardly smaller than the requests. Those of an hour
  take a third of the file, of two hours a fifth, of a day a tenth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from doorbuster.records.histogram import PACKED, check_bins
from doorbuster.records.rollup import WHOLE_RUN_S, Rollup

MIN_WIDTH_S = 30  # rollups of shorter intervals are not stored
_SOURCE_ROWS = "rollup_source_rows"  # key in meta: rows of requests they were computed from


def write_rollups(db: sqlite3.Connection, rollups: Mapping[str, Rollup]) -> None:
    """Replace the rollups in the file, by kind of time, inside the caller's transaction."""
    db.execute("DELETE FROM request_rollups")
    for kind, rollup in rollups.items():
        db.executemany("INSERT INTO request_rollups VALUES (?, ?, ?, ?, ?, ?)", _rows(kind, rollup))
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, (SELECT count(*) FROM requests))", [_SOURCE_ROWS])


def read_rollups(db: sqlite3.Connection, widths_s: Mapping[str, int]) -> dict[str, Rollup] | None:
    """The rollup of each kind with these widths; None when the file does not have them."""
    source_rows = db.execute("SELECT value FROM meta WHERE key = ?", [_SOURCE_ROWS]).fetchone()
    if (
        source_rows is None
        or int(source_rows[0]) != db.execute("SELECT count(*) FROM requests").fetchone()[0]
    ):
        return None
    found = {kind: _rollup(db, kind, width_s) for kind, width_s in widths_s.items()}
    return found if all(rollup.n.size for rollup in found.values()) else None


def _rows(kind: str, rollup: Rollup) -> Iterator[tuple[Any, ...]]:
    packed = np.empty(rollup.bins.size, PACKED)
    packed["bin"], packed["count"] = rollup.bins, rollup.counts
    starts_s = (rollup.grain * rollup.grain_s).tolist()
    edges = (rollup.starts * PACKED.itemsize).tolist()
    blob = packed.tobytes()
    for second, series, n, start, end in zip(
        starts_s, rollup.series.tolist(), rollup.n.tolist(), edges, edges[1:], strict=False
    ):
        yield kind, second, _stored_s(rollup.grain_s), series, n, blob[start:end]


def _rollup(db: sqlite3.Connection, kind: str, width_s: int) -> Rollup:
    rows = db.execute(
        "SELECT second, series, n, bins FROM request_rollups WHERE kind = ? AND width_s = ? ORDER BY rowid",
        [kind, _stored_s(width_s)],
    ).fetchall()
    blobs = [row[3] for row in rows]
    second, series, n = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3).T
    sizes = np.array([len(blob) for blob in blobs], np.int64) // PACKED.itemsize
    packed = np.frombuffer(b"".join(blobs), PACKED)
    check_bins(packed["bin"])
    starts = np.concatenate(([0], np.cumsum(sizes)))
    bins, counts = packed["bin"].copy(), packed["count"].copy()
    return Rollup(width_s, series, second // width_s, starts, bins, counts, n)


def _stored_s(width_s: int) -> int:
    return 0 if width_s == WHOLE_RUN_S else width_s
