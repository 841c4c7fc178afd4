"""Sums of the table of requests, put into the run file when the run ends: reports then read no seconds.

Rules of this module:
- Never the only truth: that is the table requests. Sums that are missing, made of another number of rows, or
  cut into other stretches of time are passed over, and whoever asks adds the requests up.
- Only long runs have them: where stretches are short, sums are hardly smaller than what they add up. Those
  of an hour take a third of the file, of two hours a fifth, of a day a tenth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from doorbuster.records.histogram import PACKED
from doorbuster.records.rollup import WHOLE_RUN_S, Rollup

FINEST_S = 30  # sums of shorter stretches are not kept
_MADE_OF = "rollup_source_rows"  # key in meta: how many rows of requests the sums were made of


def write_sums(db: sqlite3.Connection, sums: Mapping[str, Rollup]) -> None:
    """Replace the sums in the file, by kind of time; the caller holds the transaction."""
    db.execute("DELETE FROM request_rollups")
    for kind, grains in sums.items():
        db.executemany("INSERT INTO request_rollups VALUES (?, ?, ?, ?, ?, ?)", _rows(kind, grains))
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, (SELECT count(*) FROM requests))", [_MADE_OF])


def read_sums(db: sqlite3.Connection, widths_s: Mapping[str, int]) -> dict[str, Rollup] | None:
    """The sums of each kind in stretches of these widths; None when the file does not have them."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'request_rollups'").fetchone():
        return None
    made_of = db.execute("SELECT value FROM meta WHERE key = ?", [_MADE_OF]).fetchone()
    if made_of is None or int(made_of[0]) != db.execute("SELECT count(*) FROM requests").fetchone()[0]:
        return None
    found = {kind: _grains(db, kind, width_s) for kind, width_s in widths_s.items()}
    return found if all(grains.n.size for grains in found.values()) else None


def _rows(kind: str, grains: Rollup) -> Iterator[tuple[Any, ...]]:
    packed = np.empty(grains.bins.size, PACKED)
    packed["bin"], packed["count"] = grains.bins, grains.counts
    starts_s = (grains.grain * grains.grain_s).tolist()
    edges = (grains.starts * PACKED.itemsize).tolist()
    blob = packed.tobytes()
    for second, series, n, start, end in zip(
        starts_s, grains.series.tolist(), grains.n.tolist(), edges, edges[1:], strict=False
    ):
        yield kind, second, _stored_s(grains.grain_s), series, n, blob[start:end]


def _grains(db: sqlite3.Connection, kind: str, width_s: int) -> Rollup:
    rows = db.execute(
        "SELECT second, series, n, bins FROM request_rollups WHERE kind = ? AND width_s = ? ORDER BY rowid",
        [kind, _stored_s(width_s)],
    ).fetchall()
    blobs = [row[3] for row in rows]
    second, series, n = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3).T
    sizes = np.array([len(blob) for blob in blobs], np.int64) // PACKED.itemsize
    packed = np.frombuffer(b"".join(blobs), PACKED)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    bins, counts = packed["bin"].copy(), packed["count"].copy()
    return Rollup(width_s, series, second // width_s, starts, bins, counts, n)


def _stored_s(width_s: int) -> int:
    return 0 if width_s == WHOLE_RUN_S else width_s
