"""Rollups of the requests: histograms per series and interval of time (the grain), added up from packed bins.

Sections ask for many groupings of the same requests, and each pass over the table costs seconds for a long
run. A rollup (1 s for runs up to three minutes, 30 s for an hour, 15 min for a day) fits into some tens of
megabytes and answers every grouping by multiples of its grain.

Rules of this module:
- Exact: sums of sums are the sums.
- Memory grows with the distinct (series, grain, bin) cells at 6 bytes each, not with the rows of the file.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.histogram import BIN_TYPE, BINS, Histogram, Ints
from doorbuster.records.request_table_scan import PackedRows

_GRAINS_S = ((180, 1), (900, 5), (2700, 15), (5400, 30), (10_800, 60), (54_000, 300), (162_000, 900))
_LONGEST_GRAIN_S = 3600
WHOLE_RUN_S = 2**31  # as a grain: one sum for all of a run
_ENTRIES_AT_ONCE = 2**19  # entries added up at once: about 40 MB
_DENSE_WORTH = 3  # cells of a dense array that cost as much as sorting one entry
_ONE_WORD = 2**31  # cells below this fit into a 64-bit word together with their count
_MAX_SERIES = 2**32


def grain_s(length_s: int) -> int:
    """The grain of rollups for a run of this length; a divisor of every wider bucket in use."""
    return next((grain for limit, grain in _GRAINS_S if length_s <= limit), _LONGEST_GRAIN_S)


@dataclass(frozen=True, slots=True, eq=False)
class Rollup:
    """Histograms of one kind of time: slot i is one series in one grain, with bins[starts[i]:starts[i + 1]].

    Bins ascend within a slot and are distinct; several slots may be of the same series and grain.
    """

    grain_s: int
    series: Ints
    grain: Ints
    starts: Ints
    bins: NDArray[np.unsignedinteger]
    counts: NDArray[np.uint32]
    n: Ints  # values in each slot

    def summed(self, targets: Ints) -> Iterator[tuple[int, Histogram]]:
        """(target, histogram) for each target with a slot, by target.

        Args: targets: shape (slots,), where each slot goes; -1 leaves it out.
        """
        order = np.argsort(targets, kind="stable")
        order = order[np.searchsorted(targets[order], 0) :]
        wanted, first = np.unique(targets[order], return_index=True)
        edges = np.append(first, order.size)
        entries = np.diff(self.starts)[order]
        before = np.concatenate(([0], np.cumsum(entries)))[edges]  # entries of earlier targets
        start = 0
        while start < wanted.size:
            fit = int(np.searchsorted(before, before[start] + _ENTRIES_AT_ONCE, side="right")) - 1
            end = max(start + 1, fit)
            places = np.repeat(np.arange(end - start), np.diff(edges[start : end + 1]))
            sums = self._merge_histograms(order[edges[start] : edges[end]], places, end - start)
            yield from zip(wanted[start:end].tolist(), sums, strict=True)
            start = end

    def _merge_histograms(self, slots: Ints, places: Ints, count: int) -> list[Histogram]:
        """One histogram for each place 0..count-1; every place has slots."""
        # Adjacent slots with the same place are one piece.
        steps = np.flatnonzero((np.diff(slots) != 1) | (np.diff(places) != 0)) + 1
        pieces = np.concatenate(([0], steps))
        begins = self.starts[slots[pieces]].tolist()
        ends = self.starts[slots[np.append(steps, slots.size) - 1] + 1].tolist()
        ranges = list(zip(begins, ends, places[pieces].tolist(), strict=True))
        if count > 1:
            return self._some(ranges, count)
        first, *more = (self._some(part, 1)[0] for part in _shares(ranges))
        return [first.merge(*more) if more else first]

    def _some(self, ranges: Sequence[tuple[int, int, int]], count: int) -> list[Histogram]:
        bins = np.concatenate([self.bins[start:end] for start, end, _ in ranges])
        counts = np.concatenate([self.counts[start:end] for start, end, _ in ranges])
        place = np.repeat([place for _, _, place in ranges], [end - start for start, end, _ in ranges])
        low = int(bins.min())
        width = int(bins.max()) - low + 1
        cells, sums = _add_cells(place * width - low + bins, counts)
        owner = cells // width
        edges = np.searchsorted(owner, np.arange(count + 1)).tolist()
        bins_of = cells - owner * width + low
        return [Histogram(bins_of[at:end], sums[at:end]) for at, end in itertools.pairwise(edges)]


def _shares(ranges: Sequence[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """The same ranges in shares of about `_ENTRIES_AT_ONCE` entries; none for no entries."""
    share: list[tuple[int, int, int]] = []
    size = 0
    for start, end, place in ranges:
        for at in range(start, end, _ENTRIES_AT_ONCE):
            share.append((at, min(at + _ENTRIES_AT_ONCE, end), place))
            size += share[-1][1] - at
            if size >= _ENTRIES_AT_ONCE:
                yield share
                share, size = [], 0
    if share:
        yield share


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Entries by slot: code of series and grain of each slot, its number of entries, all entries in a row."""

    codes: Ints
    sizes: Ints
    bins: NDArray[np.unsignedinteger]
    counts: NDArray[np.uint32]

    @property
    def n(self) -> Ints:
        """Values in each slot; none of them may be without entries."""
        if not self.sizes.size:
            return self.sizes
        sums: Ints = np.add.reduceat(self.counts, np.cumsum(self.sizes) - self.sizes, dtype=np.int64)
        return sums

    def part(self, start: int, end: int) -> _Sums:
        """The slots start..end-1."""
        first, last = int(self.sizes[:start].sum()), int(self.sizes[:end].sum())
        return _Sums(
            self.codes[start:end], self.sizes[start:end], self.bins[first:last], self.counts[first:last]
        )


class RollupBuilder:
    """Adds up rows as they are read. Rows may come in any order, any number for a series and second.

    Rows mostly come in order of time, so only the latest grain stays open; late rows get slots of their own,
    and when there are many of them, everything is added up again.
    """

    def __init__(self, grain_s: int) -> None:
        self._grain_s = grain_s
        self._done: list[_Sums] = []
        self._open: list[_Sums] = []
        self._open_size = self._room = 0
        self._done_to = -1  # slots up to this grain are done
        self._late = 0

    def add(self, series: Ints, second: Ints, entries: PackedRows) -> None:
        """Add rows."""
        codes = second // self._grain_s * _MAX_SERIES + series
        self._open.append(_Sums(codes, entries.sizes, entries.bins, entries.counts))
        self._open_size += entries.bins.size
        if self._open_size > max(_ENTRIES_AT_ONCE, self._room):
            self._add_up()

    def finished(self) -> Rollup:
        """The rollup of all rows."""
        if self._open:
            self._done.append(_summed(self._open))
        n = np.concatenate([part.n for part in self._done]) if self._done else np.empty(0, np.int64)
        sums = _drained(self._done)
        return Rollup(
            grain_s=self._grain_s,
            series=sums.codes % _MAX_SERIES,
            grain=sums.codes // _MAX_SERIES,
            starts=np.concatenate(([0], np.cumsum(sums.sizes))),
            bins=sums.bins,
            counts=sums.counts,
            n=n,
        )

    def _add_up(self) -> None:
        sums = _summed(self._open)
        grain = sums.codes // _MAX_SERIES
        last = int(np.searchsorted(grain, grain[-1]))
        self._late += int(sums.sizes[: np.searchsorted(grain, self._done_to, side="right")].sum())
        self._done_to = max(self._done_to, int(grain[-1]) - 1)
        if last:  # an empty part would keep the whole alive
            self._done.append(sums.part(0, last))
        self._open = [sums.part(last, grain.size)]
        self._open_size = self._open[0].bins.size
        self._room = 3 * self._open_size
        if self._late > 3 * _ENTRIES_AT_ONCE:
            self._done, self._late = [_summed(self._done)], 0


def _concatenated(parts: Sequence[_Sums]) -> _Sums:
    """All slots of all parts."""
    return _Sums(
        codes=np.concatenate([part.codes for part in parts]),
        sizes=np.concatenate([part.sizes for part in parts]),
        bins=np.concatenate([part.bins for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
    )


def _drained(parts: list[_Sums]) -> _Sums:
    """Like `_concatenated`, but empties the list meanwhile, which halves the peak memory."""
    whole = _Sums(
        codes=np.concatenate([np.empty(0, np.int64), *(part.codes for part in parts)]),
        sizes=np.concatenate([np.empty(0, np.int64), *(part.sizes for part in parts)]),
        bins=np.empty(sum(part.bins.size for part in parts), BIN_TYPE),
        counts=np.empty(sum(part.bins.size for part in parts), np.uint32),
    )
    end = whole.bins.size
    while parts:
        part = parts.pop()
        whole.bins[end - part.bins.size : end] = part.bins
        whole.counts[end - part.bins.size : end] = part.counts
        end -= part.bins.size
    return whole


def _summed(parts: Sequence[_Sums]) -> _Sums:
    """One slot per series and grain, in order of both, without empty ones."""
    raw = _concatenated(parts)
    codes, slot = np.unique(raw.codes, return_inverse=True)
    low = int(raw.bins.min(initial=BINS))
    width = int(raw.bins.max(initial=0)) - low + 1
    cells, counts = _add_cells(np.repeat(slot.reshape(-1) * width - low, raw.sizes) + raw.bins, raw.counts)
    owner = cells // width
    sizes = np.bincount(owner, minlength=codes.size)
    return _Sums(
        codes=codes[sizes > 0],
        sizes=sizes[sizes > 0],
        bins=(cells - owner * width + low).astype(BIN_TYPE),
        counts=counts.astype(np.uint32),
    )


def _add_cells(cells: Ints, counts: NDArray[np.uint32]) -> tuple[Ints, Ints]:
    """The distinct cells, ascending, and their sums."""
    if not cells.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    span = int(cells.max()) + 1
    if span <= max(BINS, _DENSE_WORTH * cells.size):
        dense = np.bincount(cells, weights=counts)  # sums of counts stay whole numbers below 2 ** 53
        found = np.flatnonzero(dense != 0)
        return found, dense[found].astype(np.int64)
    if span < _ONE_WORD:
        # One sort of cell and count together is several times as fast as sorting by cell.
        both = np.sort(cells << 32 | counts)
        cells, sorted_counts = both >> 32, both & 0xFFFF_FFFF
    else:
        order = np.argsort(cells)
        cells, sorted_counts = cells[order], counts[order].astype(np.int64)
    starts = np.flatnonzero(np.diff(cells, prepend=-1))
    return cells[starts], np.add.reduceat(sorted_counts, starts)
