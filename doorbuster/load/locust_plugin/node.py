"""What master and worker nodes share: the generator that Locust's generator user runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gevent.event import Event as Flag

from doorbuster.load.engine.generator import Generator, WorkerAssignment
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront


class Node:
    """The doorbuster of one process; Locust's environment carries it as `environment.doorbuster`."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        self.environment = environment
        self.drivers = drivers
        self.generator: Generator | None = None
        self._assigned = Flag()

    def run_generator(self) -> None:
        """Run this process' customers until the last one has left; called by Locust's generator user."""
        self._assigned.wait()
        if self.generator is not None:
            self.generator.run()

    def run_is_over(self) -> bool:
        """Whether everything is recorded; only the master's side can know."""
        return False

    def assign(self, assignment: WorkerAssignment, ship: Callable[[Batch], None]) -> None:
        """Take the orders of a run; the gate opens."""
        driver = self.drivers[assignment.scenario.target.storefront]
        self.generator = Generator(self.environment, assignment, driver, ship)
        self._assigned.set()

    def close(self, cause: str) -> None:
        """End early: customers in the shop are sent away, the last batch is shipped."""
        if self.generator is not None:
            self.generator.stop_cause = cause
            self.generator.close()
        self._assigned.set()

    def forget(self) -> None:
        """Be ready for the next run."""
        self._assigned.clear()
        self.generator = None
