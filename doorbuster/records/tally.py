"""Adding up very many packed histograms, by group and by bucket of time, in a few NumPy calls a chunk.

Rules of this module:
- One sum per (slot, bin), where a slot is one group in one bucket of time; slots without values cost nothing.
- Few slots are summed in a dense array, many by sorting: memory stays bounded by `DENSE_CELLS` or by the
  number of distinct (slot, bin) pairs, never by slots * BINS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from doorbuster.records.histogram import BINS, PACKED, Histogram, Ints

DENSE_CELLS = 4 * 2**20  # 32 MiB of int64: 178 slots


class Tally:
    """Sums packed histograms into slots 0 .. slots-1."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._dense = np.zeros(slots * BINS, np.int64) if slots * BINS <= DENSE_CELLS else None
        self._cells: list[Ints] = []
        self._counts: list[Ints] = []

    def add(self, slots: Ints, blobs: Sequence[bytes]) -> None:
        """Count blobs, as packed by `histogram.pack`, each in its slot."""
        sizes = np.fromiter(map(len, blobs), np.int64, len(blobs)) // PACKED.itemsize
        entries = np.frombuffer(b"".join(blobs), PACKED)
        cells = np.repeat(slots * BINS, sizes) + entries["bin"]
        counts = entries["count"].astype(np.int64)
        if self._dense is not None:
            np.add.at(self._dense, cells, counts)
        elif cells.size:
            self._keep([cells], [counts])

    def histograms(self) -> Iterable[tuple[int, Histogram]]:
        """(slot, histogram) of every slot that has a value, by slot."""
        if self._dense is not None:
            cells = np.flatnonzero(self._dense)
            counts = self._dense[cells]
        elif self._cells:
            self._keep(self._cells, self._counts, replace=True)
            cells, counts = self._cells[0], self._counts[0]
        else:
            return
        slots, starts = np.unique(cells // BINS, return_index=True)
        ends = [*starts[1:].tolist(), cells.size]
        for slot, start, end in zip(slots.tolist(), starts.tolist(), ends, strict=True):
            yield slot, Histogram(cells[start:end] - slot * BINS, counts[start:end])

    def _keep(self, cells: list[Ints], counts: list[Ints], *, replace: bool = False) -> None:
        """Sum equal cells of the given parts into one sorted part."""
        all_cells = np.concatenate(cells)
        order = np.argsort(all_cells, kind="stable")
        sorted_cells = all_cells[order]
        starts = np.flatnonzero(np.diff(sorted_cells, prepend=-1))
        summed = np.add.reduceat(np.concatenate(counts)[order], starts)
        if replace:
            self._cells.clear()
            self._counts.clear()
        self._cells.append(sorted_cells[starts])
        self._counts.append(summed)
