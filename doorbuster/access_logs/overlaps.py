"""Parts of a log that overlap, such as a rotated file beside its copy: their common page views count once.

Two servers behind a load balancer write at the same time too, but hardly ever the same: files overlap if half
of the page views in the time that both cover stand in both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.page_events import Events

_LEAST_COMMON = 5
_LEAST_RATIO = 0.5
_FIELDS = ("visitor", "time_ms", "page", "status", "duration_ms")
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two files with common page views, as numbers of files, and the time of the common ones."""

    first: int
    second: int
    from_ms: int
    to_ms: int


def find_overlaps(events: Events) -> list[Overlap]:
    """The pairs of files that overlap. Args: events: all page views of some or all visitors."""
    events = events[np.lexsort([events["file"], *(events[name] for name in reversed(_FIELDS))])]
    files = events["file"].astype(np.int64)
    repeated = np.flatnonzero(_same_as_before(events) & (np.diff(files, prepend=-1) != 0))
    common = Counter(zip(files[repeated - 1].tolist(), files[repeated].tolist(), strict=True))
    times = {
        file: np.sort(events["time_ms"][files == file]) for file in {file for pair in common for file in pair}
    }
    found = []
    for (first, second), count in common.items():
        both = times[first], times[second]
        start_ms, end_ms = max(times_ms[0] for times_ms in both), min(times_ms[-1] for times_ms in both)
        fewest = min(
            int(np.searchsorted(one, end_ms, "right") - np.searchsorted(one, start_ms)) for one in both
        )
        if count >= max(_LEAST_COMMON, _LEAST_RATIO * fewest):
            found.append(Overlap(first, second, int(start_ms), int(end_ms)))
    return sorted(found, key=lambda one: (one.first, one.second))


def without_repeats(events: Events, overlaps: Sequence[Overlap]) -> Events:
    """Page views, each as often as the file has it that has it most often, of files that overlap."""
    if not overlaps or not events.size:
        return events
    events = events[np.lexsort([events["file"], *(events[name] for name in reversed(_FIELDS))])]
    files = events["file"].astype(np.int64)
    same = _same_as_before(events)
    first_rows = np.flatnonzero(~(same & (np.diff(files, prepend=-1) == 0)))
    counts = np.diff(np.append(first_rows, events.size))
    view = np.cumsum(~same)[first_rows]
    order = np.lexsort((-counts, view))
    kept = order[np.unique(view[order], return_index=True)[1]]
    kept_file = np.repeat(files[first_rows[kept]], np.unique(view, return_counts=True)[1])
    group = _joined_files(overlaps, int(files.max()) + 1)
    sub_file = files[first_rows]
    dropped = (group[kept_file] == group[sub_file]) & (kept_file != sub_file)
    kept_events: Events = events[~np.repeat(dropped, counts)]
    return kept_events


def _joined_files(overlaps: Sequence[Overlap], files: int) -> Ints:
    """For each file the first of those that overlap with it, also through others."""
    group = np.arange(
        max([files, *(one.second + 1 for one in overlaps), *(one.first + 1 for one in overlaps)])
    )
    for one in overlaps:
        low, high = sorted((int(group[one.first]), int(group[one.second])))
        group[group == high] = low
    return group


def _same_as_before(events: Events) -> NDArray[np.bool_]:
    same = np.zeros(events.size, bool)
    same[1:] = np.logical_and.reduce([events[name][1:] == events[name][:-1] for name in _FIELDS])
    return same
