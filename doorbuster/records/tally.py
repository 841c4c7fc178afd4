"""Adding up very many packed histograms, by group and by bucket of time, in a few NumPy calls a chunk.

Rules of this module:
- One sum per (slot, bin), where a slot is one group in one bucket of time; slots without values cost nothing.
- Few slots are summed in a dense array, many by sorting: memory stays bounded by `DENSE_CELLS` or by the
  number of distinct (slot, bin) pairs, never by slots * BINS.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from doorbuster.records.histogram import BINS, Histogram, Ints
from doorbuster.records.scan import Entries

DENSE_CELLS = 4 * 2**20  # 32 MiB of int64: 178 slots
_PENDING_ENTRIES = 4 * 2**20  # this many unsorted entries are summed before more are taken: 64 MiB


class Tally:
    """Sums packed histograms into slots 0 .. slots-1."""

    def __init__(self, slots: int) -> None:
        self._dense = np.zeros(slots * BINS, np.int64) if slots * BINS <= DENSE_CELLS else None
        self._cells: list[Ints] = []
        self._counts: list[Ints] = []
        self._pending = 0

    def add(self, slots: Ints, entries: Entries) -> None:
        """Count the entries of rows, each row's in its slot."""
        cells = np.repeat(slots * BINS, entries.sizes) + entries.bins
        if self._dense is not None:
            sums = np.bincount(cells, weights=entries.counts)  # whole numbers below 2 ** 53
            self._dense[: sums.size] += sums.astype(np.int64)
            return
        self._cells.append(cells)
        self._counts.append(entries.counts.astype(np.int64))
        self._pending += cells.size
        if self._pending > _PENDING_ENTRIES:
            self._sum_equal_cells()

    def histograms(self) -> Iterable[tuple[int, Histogram]]:
        """(slot, histogram) of every slot that has a value, by slot."""
        if self._dense is not None:
            cells = np.flatnonzero(self._dense != 0)
            counts = self._dense[cells]
        elif self._pending or self._cells:
            self._sum_equal_cells()
            cells, counts = self._cells[0], self._counts[0]
        else:
            cells = counts = np.empty(0, np.int64)
        slots = cells // BINS
        bins = cells - slots * BINS
        starts = np.flatnonzero(np.diff(slots, prepend=-1))
        ends = np.append(starts[1:], cells.size)[: starts.size].tolist()
        for slot, start, end in zip(slots[starts].tolist(), starts.tolist(), ends, strict=True):
            yield slot, Histogram(bins[start:end], counts[start:end])

    def _sum_equal_cells(self) -> None:
        """Replace all entries by one for each cell, in order."""
        cells = np.concatenate(self._cells)
        order = np.argsort(cells, kind="stable")
        cells = cells[order]
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        if starts.size:
            self._counts = [np.add.reduceat(np.concatenate(self._counts)[order], starts)]
            self._cells = [cells[starts]]
        self._pending = 0
