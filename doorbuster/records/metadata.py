"""The metadata of a run, and small values that readers of a run file return."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.outcome import Outcome

# The reason of a run whose file is still open, although no process writes it.
WRITER_ENDED = "the recording process ended without finishing: it was killed, or could not write any more"
RunStatus = Literal["running", "finished", "interrupted", "aborted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunMeta:
    """Metadata of a run: what was requested, from which shop, by which generator, and how it ended.

    `duration_s` is the planned duration, without drain; `versions` and `machine` describe the generator;
    `git_commit` is "" outside a repository. `workload` is "closed" for the users of a plain Locust file, each
    of which waits for an answer before its next request, and "open" for customers of a scenario. `imported`
    is an `ImportInfo` as a mapping for results of another tool, empty otherwise.
    """

    run_id: str
    title: str
    story: str = ""
    scenario_name: str
    scenario_text: str
    workload: Literal["open", "closed"] = "open"
    storefront: str
    target_url: str
    shop_profile: str | None = None
    seed: int
    workers: int
    started_at_unix_ns: int
    duration_s: float
    status: RunStatus = "running"
    status_reason: str = ""
    finished_at_unix_ns: int | None = None
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    git_commit: str = ""
    imported: dict[str, Any] = field(default_factory=dict)

    def changed(self, **changes: Any) -> RunMeta:
        """The same run with some fields replaced; TypeError for a field that does not exist."""
        return dataclasses.replace(self, **changes)

    def to_rows(self) -> list[list[str]]:
        """(key, JSON value) of every field, as stored in the table `meta`."""
        return [[item.name, json.dumps(getattr(self, item.name))] for item in dataclasses.fields(self)]

    @classmethod
    def from_rows(cls, rows: dict[str, str]) -> RunMeta:
        """From the rows of the table; unknown keys are ignored."""
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{key: json.loads(value) for key, value in rows.items() if key in known})


class WorkerReports(NamedTuple):
    """Reports of a worker that arrived; `missing` counts the gaps below the highest number seen."""

    worker: str
    received: int
    missing: int
    final: bool


class ArrivalSeries(NamedTuple):
    """Per second of the run: arrivals planned, started, dropped; three arrays of one length."""

    planned: NDArray[np.int64]
    started: NDArray[np.int64]
    dropped: NDArray[np.int64]


@dataclass(frozen=True)
class OutcomeTotals:
    """Outcomes of all planned arrivals; they add up to `planned` when no customer is in flight or missing.

    A closed channel (tills, seats) has no plan: its planned count is the number started or dropped.
    Each outcome is also an attribute: `totals.served`.
    """

    planned: int
    by_outcome: Mapping[str, int] = field(default_factory=dict)

    def __getattr__(self, name: str) -> int:
        if name not in list(Outcome):
            raise AttributeError(f"{name} is not an outcome of a customer")
        return self.by_outcome.get(name, 0)

    @property
    def accounted(self) -> int:
        """Customers with an outcome."""
        return sum(self.by_outcome.values())

    @property
    def in_flight_or_missing(self) -> int:
        """Arrivals without an outcome: still expected or in the shop during the run, missing after it.

        Negative when there are more outcomes than arrivals, which is a bug of the recorder.
        """
        return self.planned - self.accounted

    def plus(self, other: OutcomeTotals) -> OutcomeTotals:
        """The sum of both."""
        both = Counter(self.by_outcome)
        both.update(other.by_outcome)
        return OutcomeTotals(self.planned + other.planned, dict(both))
