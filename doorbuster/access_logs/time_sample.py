"""A bounded sample of rows that depends on their times only: the same log gives the same sample.

The order in which visitors are read depends on a random key, so the first rows would differ from run to run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_MIX = np.uint64(0x9E3779B97F4A7C15)  # Knuth's multiplicative hashing: 2^64 divided by the golden ratio
_SHIFT = np.uint64(31)


class TimeSample:
    """Rows with a time each; whenever there are more than `most`, half of them, by hashed time, are kept.

    Args: width: columns of a row.
    """

    def __init__(self, most: int, width: int) -> None:
        self._most = most
        self._limit = 1.0
        self._times = np.empty(0, np.int64)
        self._rows = np.empty((0, width), np.int64)

    def keeps(self, times_ms: Ints) -> NDArray[np.bool_]:
        """Which rows with these times would be kept now."""
        return np.asarray(_place(times_ms) < self._limit)

    def add(self, times_ms: Ints, rows: Ints) -> None:
        kept = self.keeps(times_ms)
        self._times = np.concatenate((self._times, times_ms[kept]))
        self._rows = np.concatenate((self._rows, rows[kept]))
        while self._times.size > self._most:
            self._limit /= 2
            kept = self.keeps(self._times)
            self._times, self._rows = self._times[kept], self._rows[kept]

    def rows(self) -> Ints:
        """The rows in an order of their own: by time, then by content."""
        return self._rows[np.lexsort((*self._rows.T[::-1], self._times))]


def _place(times_ms: Ints) -> NDArray[np.float64]:
    """A number from 0 to 1 for each time, the same for equal times."""
    mixed = times_ms.astype(np.uint64) * _MIX
    mixed = (mixed ^ (mixed >> _SHIFT)) * _MIX
    return np.asarray(mixed.astype(np.float64) / 2.0**64)
