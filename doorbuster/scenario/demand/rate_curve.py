"""A piecewise-linear rate over time: its value, its integral, and the inverse of the integral.

Times are seconds since the start of the run, rates customers per second. Between two edges the rate is
linear; at an edge it may jump, and the edge belongs to the segment that starts there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RateCurve:
    """Piecewise-linear rate on n segments.

    Args: edges_s: shape (n + 1,), from 0, increasing. first_per_s, last_per_s: shape (n,), the rate at the
        start and at the end of each segment, >= 0.
    """

    edges_s: Floats
    first_per_s: Floats
    last_per_s: Floats

    @property
    def duration_s(self) -> float:
        return float(self.edges_s[-1])

    @property
    def peak_per_s(self) -> float:
        return float(max(self.first_per_s.max(), self.last_per_s.max()))

    @property
    def masses(self) -> Floats:
        """Expected customers in each segment: the trapezoid (first + last) / 2 * length."""
        masses: Floats = (self.first_per_s + self.last_per_s) / 2.0 * np.diff(self.edges_s)
        return masses

    @property
    def expected(self) -> float:
        """Expected customers of the whole curve."""
        return float(self.masses.sum())

    def at_per_s(self, times_s: npt.ArrayLike) -> Floats:
        """The rate at each time; 0 outside the curve."""
        t = np.asarray(times_s, dtype=np.float64)
        i = self._segments(t)
        rate = self.first_per_s[i] + self._slopes()[i] * (t - self.edges_s[i])
        return np.where((t >= 0) & (t < self.duration_s), rate, 0.0)

    def cumulative(self, times_s: npt.ArrayLike) -> Floats:
        """Expected customers from the start to each time."""
        t = np.clip(np.asarray(times_s, dtype=np.float64), 0.0, self.duration_s)
        i = self._segments(t)
        x = t - self.edges_s[i]
        result: Floats = self._below()[i] + (self.first_per_s[i] + self._slopes()[i] * x / 2.0) * x
        return result

    def inverse(self, counts: npt.ArrayLike) -> Floats:
        """The time by which each count of customers is expected; counts in [0, expected), ascending.

        Within a segment starting at rate r with slope a, r*x + a*x^2/2 = y has the root
        x = 2y / (r + sqrt(r^2 + 2*a*y)), which does not cancel for small a and holds for a = 0.
        Segments without customers are skipped. The result ascends and lies in [0, duration_s).
        """
        y = np.asarray(counts, dtype=np.float64)
        below = self._below()
        i = np.clip(np.searchsorted(below, y, side="right") - 1, 0, len(self.first_per_s) - 1)
        y = y - below[i]
        r = self.first_per_s[i]
        root = np.sqrt(np.maximum(r * r + 2.0 * self._slopes()[i] * y, 0.0))
        root += r
        x = np.divide(2.0 * y, root, out=np.zeros_like(y), where=root > 0)
        times = self.edges_s[i] + np.clip(x, 0.0, np.diff(self.edges_s)[i])
        np.minimum(times, np.nextafter(self.duration_s, 0.0), out=times)
        ascending: Floats = np.maximum.accumulate(times) if len(times) else times
        return ascending

    def split_at(self, times_s: Floats) -> RateCurve:
        """The same rate with further edges at `times_s` (those inside the curve)."""
        inside = times_s[(times_s > 0) & (times_s < self.duration_s)]
        edges = np.union1d(self.edges_s, inside)
        i = self._segments(edges[:-1])
        slopes = self._slopes()[i]
        first = self.first_per_s[i] + slopes * (edges[:-1] - self.edges_s[i])
        last = self.first_per_s[i] + slopes * (edges[1:] - self.edges_s[i])
        return RateCurve(edges, np.maximum(first, 0.0), np.maximum(last, 0.0))

    def scaled(self, factors: Floats) -> RateCurve:
        """The curve with the rate of each segment multiplied by its factor, shape (n,)."""
        return RateCurve(self.edges_s, self.first_per_s * factors, self.last_per_s * factors)

    def before_per_s(self, times_s: npt.ArrayLike) -> Floats:
        """The rate just before each time, which differs from the rate at it where the curve jumps."""
        t = np.asarray(times_s, dtype=np.float64)
        i = np.clip(np.searchsorted(self.edges_s, t, side="left") - 1, 0, len(self.first_per_s) - 1)
        rate = self.first_per_s[i] + self._slopes()[i] * (t - self.edges_s[i])
        return np.where((t > 0) & (t <= self.duration_s), rate, 0.0)

    def _slopes(self) -> Floats:
        slopes: Floats = (self.last_per_s - self.first_per_s) / np.diff(self.edges_s)
        return slopes

    def _below(self) -> Floats:
        return np.concatenate(([0.0], np.cumsum(self.masses)[:-1]))

    def _segments(self, times_s: Floats) -> npt.NDArray[np.intp]:
        found = np.searchsorted(self.edges_s, times_s, side="right") - 1
        return np.clip(found, 0, len(self.first_per_s) - 1)


def rates_at_busiest(curves: Sequence[RateCurve]) -> tuple[float, ...]:
    """The rate of each curve at the moment of the highest total rate, which is at a segment's end."""
    edges_s = np.unique(np.concatenate([curve.edges_s for curve in curves]))
    at = np.array([curve.at_per_s(edges_s) for curve in curves])
    before = np.array([curve.before_per_s(edges_s) for curve in curves])
    rates = np.concatenate([at, before], axis=1)
    return tuple(rates[:, rates.sum(axis=0).argmax()].tolist())
