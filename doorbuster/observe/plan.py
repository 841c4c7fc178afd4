"""What is to be observed, as it travels to the observing process: one line of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

UTILISATION, SATURATION, ERRORS = "utilisation", "saturation", "errors"
ROLES = (UTILISATION, SATURATION, ERRORS)


@dataclass(frozen=True, slots=True)
class Selection:
    """The series of one name that have all these labels."""

    name: str
    labels: Mapping[str, str]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        return name == self.name and all(labels.get(key) == value for key, value in self.labels.items())


@dataclass(frozen=True, slots=True)
class ResourceRule:
    """One side of a resource: the sum of the chosen series, for utilisation divided by `limit`.

    limit: a number, or the series that state it, which are summed too.
    """

    resource: str
    role: str
    metric: Selection
    limit: float | Selection | None = None


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """One source: where it is, how often it is read, and the names of the metrics to keep.

    metrics: names, or patterns with *; none keeps all.
    """

    name: str
    kind: str
    every_s: float
    metrics: tuple[str, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ObservationPlan:
    """All sources. started_at: the run's zero on the `perf_counter` of this machine."""

    started_at: float
    sources: tuple[SourcePlan, ...]
    resources: tuple[ResourceRule, ...] = ()

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ObservationPlan:
        """As `to_json` gave it."""
        given = json.loads(text)
        return cls(
            given["started_at"],
            tuple(SourcePlan(**{**one, "metrics": tuple(one["metrics"])}) for one in given["sources"]),
            tuple(_rule(one) for one in given["resources"]),
        )


def _rule(given: Mapping[str, Any]) -> ResourceRule:
    limit = given["limit"]
    return ResourceRule(
        given["resource"],
        given["role"],
        Selection(**given["metric"]),
        Selection(**limit) if isinstance(limit, dict) else limit,
    )
