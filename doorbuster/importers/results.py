"""What a format yields: requests column by column, or summaries, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Precision = Literal["exact", "bucketed", "summary"]
Workload = Literal["closed", "open", "unknown"]


class Label(NamedTuple):
    """What a request was: `group` is the tool's scenario or thread group, `kind` its method or group."""

    group: str
    kind: str
    name: str
    cause: str  # "" for a request that succeeded


@dataclass(frozen=True, slots=True, eq=False)
class RequestBlock:
    """Some requests of a source, column by column; all arrays have one length.

    `start_s` is Unix time in s, or s since the start of the source; `label` holds numbers of the LabelTable.
    `count` is the number of requests of each row, for sources that count them in buckets.
    """

    start_s: NDArray[np.float64]
    latency_us: NDArray[np.int64]
    label: NDArray[np.int64]
    bytes_received: NDArray[np.int64] | None = None
    bytes_sent: NDArray[np.int64] | None = None
    first_byte_us: NDArray[np.int64] | None = None
    count: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return self.start_s.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a tool reports about one name, without its requests; times in ms, None where it does not say."""

    label: Label
    n: int
    failed: int | None = None
    mean_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    percentiles_ms: Mapping[float, float] = field(default_factory=dict)  # by percentage, such as 99.9

    def plus(self, other: Summary) -> Summary:
        """Both together, without percentiles: they cannot be merged."""
        n = self.n + other.n
        means = [(one.mean_ms, one.n) for one in (self, other) if one.mean_ms is not None]
        known = len(means) == 2 and n > 0
        return Summary(
            label=self.label,
            n=n,
            failed=None if self.failed is None or other.failed is None else self.failed + other.failed,
            mean_ms=sum(mean * weight for mean, weight in means) / n if known else None,
            min_ms=None if self.min_ms is None or other.min_ms is None else min(self.min_ms, other.min_ms),
            max_ms=None if self.max_ms is None or other.max_ms is None else max(self.max_ms, other.max_ms),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the numbers of one source are.

    precision: "exact" for one row per request; "bucketed" for counts in buckets up to `bucket_error` wide
    (ratio); "summary" for percentiles without requests.
    resolution_ms: step of the recorded times. times: whether requests have a time at all.
    stamp: what the source's times mean; ends are converted to starts.
    hides_failures: the source does not list failed requests apart from the others.
    """

    tool: str
    format: str
    precision: Precision = "exact"
    bucket_error: float = 0.0
    resolution_ms: float = 0.0
    times: bool = True
    stamp: Literal["start", "end"] = "start"
    workload: Workload = "unknown"
    hides_failures: bool = False


class LabelTable:
    """Numbers of labels, so that millions of requests carry integers."""

    LIMIT = 8_000
    MORE = "(more names)"

    def __init__(self) -> None:
        self._numbers: dict[Label, int] = {}
        self._labels: list[Label] = []
        self.details: dict[int, str] = {}  # the first error text of a label
        self.overflowed = False

    def number(self, group: str, kind: str, name: str, cause: str, detail: str = "") -> int:
        """The number of this label; beyond `LIMIT`, that of "(more names)"."""
        label = Label(group, kind, name, cause)
        found = self._numbers.get(label)
        if found is None:
            if len(self._numbers) >= self.LIMIT:
                self.overflowed = True
                label = Label("", "", self.MORE, "other" if cause else "")
            found = self._numbers.setdefault(label, len(self._numbers))
            if found == len(self._labels):
                self._labels.append(label)
        if detail and found not in self.details:
            self.details[found] = detail
        return found

    def label(self, number: int) -> Label:
        """The label with this number."""
        return self._labels[number]
