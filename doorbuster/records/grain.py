"""A run file's histograms, read once and kept: sums per series and grain of time, for every later question.

A section asks for many groupings of the same requests. Each pass over the table costs seconds for a long run,
the sums of a pass fit into some tens of megabytes. So the first question reads the table and keeps the sums
per series and grain (1 s for runs up to three minutes, 30 s for an hour, 15 min for a day); groupings by
multiples of the grain are answered from them.

Rules of this module:
- Exact: a sum of sums is the sum. Questions finer than the grain are not for this module.
- Memory grows with the distinct (series, grain, bin) cells at 6 bytes each, not with the rows of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import BINS, PACKED, Histogram, Ints

_GRAINS_S = ((180, 1), (900, 5), (2700, 15), (5400, 30), (10_800, 60), (54_000, 300), (162_000, 900))
_LONGEST_GRAIN_S = 3600
_SLOTS_AT_ONCE = 96  # of BINS int64 each: 18 MB
_PENDING_CELLS = 3 * 2**20  # this many cells of later chunks are joined with the earlier ones: 18 MB
_ENTRIES_AT_ONCE = 2**20
_DENSE_WORTH = 24  # cells of a dense array that cost as much as sorting one entry

Rows = Sequence[tuple[int, int, bytes]]  # (series, second, packed bins)


def grain_s(length_s: int) -> int:
    """The finest grain that is kept for a run of this length; a divisor of every wider bucket in use."""
    return next((grain for limit, grain in _GRAINS_S if length_s <= limit), _LONGEST_GRAIN_S)


@dataclass(frozen=True, slots=True, eq=False)
class Grains:
    """Sums of one kind of time: slot i is one series in one grain and has bins[starts[i]:starts[i + 1]]."""

    grain_s: int
    series: Ints
    grain: Ints
    starts: Ints
    bins: NDArray[np.uint16]
    counts: NDArray[np.uint32]

    @classmethod
    def of(cls, chunks: Iterable[Rows], grain_s: int) -> Grains:
        """Sums of the rows, which may come in any order and any number for a series and second."""
        parts = []
        for rows in chunks:
            series, seconds, blobs = zip(*rows, strict=True)
            parts.append(_part(np.array(series), np.array(seconds) // grain_s, blobs))
            if sum(part.bins.size for part in parts[1:]) > _PENDING_CELLS:
                parts = [_merged(_joined(parts, grain_s))]
        return _joined([_merged(_joined(parts, grain_s))] if len(parts) > 1 else parts, grain_s)

    @property
    def n(self) -> Ints:
        """Values in each slot."""
        sums = np.concatenate(([0], np.cumsum(self.counts, dtype=np.int64)))
        return np.diff(sums[self.starts])

    def summed(self, targets: Ints) -> Iterator[tuple[int, Histogram]]:
        """(target, histogram) for each target that some slot goes to, by target.

        Args: targets: shape (slots,), where each slot goes; -1 leaves it out.
        """
        order = np.argsort(targets, kind="stable")
        order = order[np.searchsorted(targets[order], 0) :]
        wanted, first = np.unique(targets[order], return_index=True)
        ends = np.append(first, order.size)
        sizes = np.concatenate(([0], np.cumsum((self.starts[1:] - self.starts[:-1])[order])))[ends]
        at = 0
        while at < wanted.size:
            last = int(np.searchsorted(sizes, sizes[at] + _ENTRIES_AT_ONCE, side="right")) - 1
            end = min(max(at + 1, last), at + _SLOTS_AT_ONCE, wanted.size)
            some, slots = wanted[at:end], order[ends[at] : ends[end]]
            at = end
            place = np.searchsorted(some, targets[slots])
            yield from self._histograms(some, slots, place)

    def _histograms(self, targets: Ints, slots: Ints, place: Ints) -> Iterator[tuple[int, Histogram]]:
        sizes = self.starts[slots + 1] - self.starts[slots]
        # Positions of all entries of these slots: each slot's start, counted up.
        begins = np.cumsum(sizes) - sizes
        entries = np.arange(int(sizes.sum())) + np.repeat(self.starts[slots] - begins, sizes)
        cells, counts = _add_up(np.repeat(place * BINS, sizes) + self.bins[entries], self.counts[entries])
        where = cells // BINS
        edges = np.searchsorted(where, np.arange(targets.size + 1)).tolist()
        bins = cells - where * BINS
        for number, target in enumerate(targets.tolist()):
            start, end = edges[number], edges[number + 1]
            if end > start:
                # Copies, so that a caller who keeps one histogram does not keep the memory of a hundred.
                yield target, Histogram(bins[start:end].copy(), counts[start:end].copy())


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Sums of one chunk of rows, by slot; series and grain of each slot, entries of all slots in a row."""

    series: Ints
    grain: Ints
    sizes: Ints
    bins: NDArray[np.uint16]
    counts: NDArray[np.uint32]


def _part(series: Ints, grain: Ints, blobs: Sequence[bytes]) -> _Part:
    span = int(series.max()) + 1
    codes, slot = np.unique(grain * span + series, return_inverse=True)
    sizes = np.fromiter(map(len, blobs), np.int64, len(blobs)) // PACKED.itemsize
    entries = np.frombuffer(b"".join(blobs), PACKED)
    cells, counts = _add_up(np.repeat(slot.reshape(-1) * BINS, sizes) + entries["bin"], entries["count"])
    owner = cells // BINS
    return _Part(
        series=codes % span,
        grain=codes // span,
        sizes=np.bincount(owner, minlength=codes.size),
        bins=(cells - owner * BINS).astype(np.uint16),
        counts=counts.astype(np.uint32),
    )


def _merged(grains: Grains) -> _Part:
    """Slots of the same series and grain, from several chunks, as one."""
    span = int(grains.series.max()) + 1
    codes, target = np.unique(grains.grain * span + grains.series, return_inverse=True)
    sums = [found for _, found in grains.summed(target.reshape(-1))]
    return _Part(
        series=codes % span,
        grain=codes // span,
        sizes=np.array([found.bins.size for found in sums]),
        bins=np.concatenate([found.bins.astype(np.uint16) for found in sums]),
        counts=np.concatenate([found.bin_counts.astype(np.uint32) for found in sums]),
    )


def _joined(parts: Sequence[_Part], grain_s: int) -> Grains:
    """Chunks one after the other; slots that several have in common are added up by `summed`."""
    if not parts:
        none = np.empty(0, np.int64)
        return Grains(
            grain_s, none, none, np.zeros(1, np.int64), np.empty(0, np.uint16), np.empty(0, np.uint32)
        )
    sizes = np.concatenate([part.sizes for part in parts])
    return Grains(
        grain_s=grain_s,
        series=np.concatenate([part.series for part in parts]),
        grain=np.concatenate([part.grain for part in parts]),
        starts=np.concatenate(([0], np.cumsum(sizes))),
        bins=np.concatenate([part.bins for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
    )


def _add_up(cells: Ints, counts: NDArray[np.integer]) -> tuple[Ints, Ints]:
    """Each cell once, ascending, with its sum."""
    if not cells.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    span = int(cells.max()) + 1
    if span <= max(BINS, _DENSE_WORTH * cells.size):
        dense = np.bincount(cells, weights=counts)  # sums of counts stay whole numbers below 2 ** 53
        found = np.flatnonzero(dense)
        return found, dense[found].astype(np.int64)
    order = np.argsort(cells, kind="stable")
    cells = cells[order]
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    return cells[starts], np.add.reduceat(counts[order].astype(np.int64), starts)
