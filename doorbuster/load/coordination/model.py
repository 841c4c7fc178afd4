"""What a run is given: its settings and its workers; and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from time import perf_counter
from typing import Any, Literal, Protocol

from doorbuster.load.coordination.messages import CloseCause
from doorbuster.load.run_plan import Rows, RunPlan
from doorbuster.scenario import Scenario
from doorbuster.storefronts import Storefront

FINAL_REPORT_LIMIT_S = 15.0  # wait for the last reports of the workers

EarlyStatus = Literal["interrupted", "aborted"]


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The settings of one run."""

    scenario: Scenario
    driver: type[Storefront]
    folder: Path
    run_id: str
    confirmed_hosts: tuple[str, ...]
    environment: dict[str, Any]  # fields of `RunMeta`: versions, machine, git commit


class WorkerPool(Protocol):
    """The workers of a run: in this process, or reached over Locust's channel."""

    names: list[str]

    def sync_clocks(self) -> tuple[str, ...]:
        """Compare clocks; returns texts to record. `names` are then the workers that answered."""
        ...

    def descriptor_limits(self) -> Mapping[str, int]:
        """How many descriptors each worker may have; known after `sync_clocks`."""
        ...

    def distribute(self, plan: RunPlan) -> None:
        """Send every worker its assignment."""
        ...

    def ended_workers(self) -> frozenset[str]:
        """Workers whose processes have ended, as far as they run on this machine."""
        ...

    def acknowledge(self, worker: str, seq: int, share_per_s: float | None = None) -> None:
        """Confirm that a report was received, and renew the worker's share of the ceiling on requests."""
        ...

    def reassign(self, worker: str, rows: Rows) -> None:
        """Tell a worker to start these rows of the schedule as well."""
        ...

    def stop_worker(self, worker: str) -> None:
        """Tell a lost worker to stop, in case it is only slow."""
        ...

    def stop_all(self, cause: CloseCause) -> None:
        """Tell every worker to stop early and send its last report."""
        ...


class RunEnding:
    """How a run ends: with its schedule, unless it is ended early, which happens once."""

    def __init__(self, workers: WorkerPool) -> None:
        self.status: Literal["finished"] | EarlyStatus = "finished"
        self.reason = ""
        self.close_by = inf  # by `perf_counter`: workers whose last reports are missing then are lost
        self._workers = workers

    @property
    def is_early(self) -> bool:
        return self.status != "finished"

    def end_early(self, reason: str, status: EarlyStatus) -> None:
        """Stop the workers, which send their last reports; a second call has no effect."""
        if not self.is_early:
            self.status, self.reason = status, reason
            self.close_by = perf_counter() + FINAL_REPORT_LIMIT_S
            self._workers.stop_all(status)
