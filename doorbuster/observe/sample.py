"""What a source reads: samples, and the error of a source that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

Labels = tuple[tuple[str, str], ...]
"""Sorted by name."""


class TargetSample(NamedTuple):
    """One value. at: of the reading on `perf_counter`, where it is not the moment at which it was read.

    is_counter: it only grows, so its increase per second is recorded.
    """

    name: str
    labels: Labels
    value: float
    is_counter: bool = False
    at: float | None = None


class SourceError(Exception):
    """A source could not be read; the message says why in one line."""


class MetricSource(Protocol):
    """Reads one source; every call comes from the same thread."""

    def read(self) -> Iterable[TargetSample]:
        """The values now, or those received since the last call. Raises: SourceError, OSError."""
        ...

    def close(self) -> None:
        """Release connections and ports."""
        ...


def sorted_labels(labels: Mapping[str, object]) -> Labels:
    """Labels as a key: sorted, all texts."""
    return tuple(sorted((str(key), str(value)) for key, value in labels.items()))


def gauge(name: str, value: float, at: float | None = None, /, **labels: str) -> TargetSample:
    """A value that goes up and down."""
    return TargetSample(name, sorted_labels(labels), float(value), at=at)


def counter(name: str, value: float, at: float | None = None, /, **labels: str) -> TargetSample:
    """A value that only grows."""
    return TargetSample(name, sorted_labels(labels), float(value), is_counter=True, at=at)
