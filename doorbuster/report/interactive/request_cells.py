"""The latency histograms of a run as few bytes, from which the page computes every percentile itself.

A slot holds the histogram of one series in one bucket of time; an entry is one bin of a slot and its count.
Bins keep the precision of the run file. Only the width of the buckets grows until the whole fits.

Layout: for each column its bytes by significance, all lowest ones first ("planes"), since the upper ones are
nearly all zero and vanish when compressed. Columns: series and bucket of each slot, number of entries of each
slot; then the difference of each bin to the one before in its slot, and the count of each entry.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.records.batch import SeriesKey
from doorbuster.records.histogram import Histogram, Ints
from doorbuster.records.reader import Run
from doorbuster.records.request_reader import Kind
from doorbuster.records.rollup import WHOLE_RUN_S

MAX_COMPRESSED_BYTES = 450_000  # of the cells; the page adds a third, for base64
_WIDTHS_S = (1, 5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class RequestCells:
    """The slots and entries of all series; `series` numbers the keys in `keys`.

    series, bucket, entries: shape (slots,), ordered by series, then by bucket.
    bins, counts: shape (entries,).
    """

    width_s: int
    keys: tuple[SeriesKey, ...]
    series: Ints
    bucket: Ints
    entries: Ints
    bins: Ints
    counts: Ints

    def packed(self) -> bytes:
        """All columns as planes."""
        starts = np.cumsum(self.entries) - self.entries
        steps = np.diff(self.bins, prepend=0)
        steps[starts] = self.bins[starts]  # every slot has an entry
        parts = ((self.series, 4), (self.bucket, 4), (self.entries, 2), (steps, 2), (self.counts, 4))
        return b"".join(_planes(column, width) for column, width in parts)


def request_cells(run: Run, kind: Kind = "response", width_s: int | None = None) -> RequestCells:
    """The requests of a run in the narrowest buckets with which they fit into `MAX_COMPRESSED_BYTES`.

    Args: width_s: of the buckets, a multiple of the run's grain; None to find it.
    """
    if width_s is not None:
        return _cells(run, kind, width_s)
    widths = [width for width in _WIDTHS_S if width >= run.grain_s and width % run.grain_s == 0]
    for width in widths[:-1]:
        cells = _cells(run, kind, width)
        if len(zlib.compress(cells.packed(), 1)) <= MAX_COMPRESSED_BYTES:
            return cells
    return _cells(run, kind, widths[-1])


def pooled_cells(runs: Sequence[Run]) -> RequestCells:
    """The requests of several runs as one histogram per series, without a course over time."""
    found: dict[SeriesKey, Histogram] = {}
    for run in runs:
        for key, times in run.histograms_by(lambda key: key).items():
            found[key] = found[key].merge(times) if key in found else times
    return _in_columns({(key, 0): times for key, times in found.items()}, WHOLE_RUN_S)


def _cells(run: Run, kind: Kind, width_s: int) -> RequestCells:
    return _in_columns(run.histograms_by(lambda key: key, kind, width_s), width_s)


def _in_columns(found: Mapping[tuple[SeriesKey, int], Histogram], width_s: int) -> RequestCells:
    slots = sorted(found)
    keys = tuple(sorted({key for key, _ in slots}))
    number = {key: place for place, key in enumerate(keys)}
    return RequestCells(
        width_s,
        keys,
        np.array([number[key] for key, _ in slots], np.int64),
        np.array([bucket for _, bucket in slots], np.int64),
        np.array([found[slot].bins.size for slot in slots], np.int64),
        np.concatenate([_NONE, *(found[slot].bins for slot in slots)]),
        np.concatenate([_NONE, *(found[slot].bin_counts for slot in slots)]),
    )


def _planes(column: Ints, width_bytes: int) -> bytes:
    return np.ascontiguousarray(
        column.astype(f"<u{width_bytes}").view(np.uint8).reshape(-1, width_bytes).T
    ).tobytes()
