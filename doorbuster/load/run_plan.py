"""What the workers of a run have to do: the plan they share, and each worker's part of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from doorbuster.load.target.endpoint import StoreEndpoint, TargetAccess
from doorbuster.scenario import Scenario, Schedule

REPORT_INTERVAL_S = 1.0

Rows = npt.NDArray[np.int64]
"""Row numbers of a schedule."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What all workers of a run have in common.

    access: what every client sends and may reach. endpoints: by merchant; the only merchant of a shop is "".
    started_at: the run's zero on the `perf_counter` of the process that holds the plan.
    """

    access: TargetAccess
    scenario: Scenario
    schedule: Schedule
    endpoints: Mapping[str, StoreEndpoint]
    started_at: float

    @property
    def run_id(self) -> str:
        """The id of the run, which its requests carry."""
        return self.access.run_id

    @property
    def closes_at(self) -> float:
        """The time at which the schedule ends and closed channels stop starting customers."""
        return self.started_at + self.schedule.duration_s

    @property
    def first_endpoint(self) -> StoreEndpoint:
        """The shop of the only merchant, or the first of several."""
        return next(iter(self.endpoints.values()))


@dataclass(frozen=True, slots=True)
class WorkerAssignment:
    """One worker's part of a plan: every `count`-th customer, starting with number `index`."""

    plan: RunPlan
    worker: str
    index: int
    count: int
