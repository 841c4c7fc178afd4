"""What master and worker nodes share: the generator that Locust's generator user runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from gevent.event import Event as Flag

from doorbuster.load.engine.generator import Generator
from doorbuster.load.locust_plugin.live_stats import LiveStats
from doorbuster.load.run_plan import WorkerAssignment
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront

logger = logging.getLogger("doorbuster")


class Node:
    """The plug-in of one process; Locust's environment has it as `environment.doorbuster`."""

    def __init__(self, environment: Any, drivers: Mapping[str, type[Storefront]]) -> None:
        self.environment = environment
        self.drivers = drivers
        self.generator: Generator | None = None
        self._live_stats = LiveStats(environment)
        self._assigned = Flag()

    def run_generator(self) -> None:
        """Run this process's customers until the last one has left; called by the `GeneratorUser`."""
        self._assigned.wait()
        if self.generator is not None:
            self.generator.run()

    def run_is_over(self) -> bool:
        """Whether everything is recorded; only the master knows."""
        return False

    def assign(self, assignment: WorkerAssignment, ship: Callable[[Batch], None]) -> None:
        """Prepare the run's generator, which starts the `GeneratorUser`'s work."""
        driver = self.drivers[assignment.plan.scenario.target.storefront]
        show = self._live_stats.show
        self.generator = Generator(self.environment, assignment, driver, ship, show=show)
        self._assigned.set()

    def close(self, cause: str) -> None:
        """End early: stop the customers and ship the last batch."""
        if self.generator is not None:
            self.generator.close(cause)
        self._assigned.set()

    def reset(self) -> None:
        """Prepare for the next run."""
        self._assigned.clear()
        self.generator = None
