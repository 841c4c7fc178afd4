"""Where the numbers of an imported run come from, as stored in its metadata."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from doorbuster.records.metadata import RunMeta


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedSummary:
    """What a tool reported about the requests of one name; times in ms, None where it does not say."""

    channel: str
    journey: str
    step: str
    n: int
    failed: int | None = None
    mean_ms: float | None = None
    min_ms: float | None = None
    max_ms: float | None = None
    percentiles_ms: dict[str, float] = field(default_factory=dict)  # by percentage as text, such as "99.9"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportInfo:
    """Source and precision of an imported run.

    precision: "exact" (each request), "bucketed" (counts in buckets up to `bucket_error` wide, a ratio) or
    "summary" (only what the tool reported, in `summaries`).
    resolution_ms: step of the recorded times. has_times: whether the requests have a time.
    workload: "closed" when users waited for answers, so that percentiles are lower bounds.
    """

    tool: str
    format: str
    files: tuple[str, ...]
    precision: Literal["exact", "bucketed", "summary"]
    bucket_error: float = 0.0
    resolution_ms: float = 0.0
    has_times: bool = True
    workload: Literal["closed", "open", "unknown"] = "unknown"
    hides_failures: bool = False
    requests: int = 0
    skipped: int = 0
    notes: tuple[str, ...] = ()
    summaries: tuple[ReportedSummary, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ImportInfo:
        """What `to_dict` made, after JSON."""
        values = dict(stored)
        for name in ("files", "notes"):
            values[name] = tuple(values.get(name, ()))
        values["summaries"] = tuple(ReportedSummary(**row) for row in values.get("summaries", ()))
        return cls(**values)


def import_info(meta: RunMeta) -> ImportInfo | None:
    """The source of an imported run; None for a run of doorbuster's own."""
    return ImportInfo.from_dict(meta.imported) if meta.imported else None
