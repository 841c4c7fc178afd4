"""What master and worker nodes share: the generator that Locust's generator user runs."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import Event as Flag

from doorbuster.load.engine.generator import Generator
from doorbuster.load.locust_plugin.live_stats import LiveStats
from doorbuster.load.run_plan import WorkerAssignment
from doorbuster.records.batch import Batch
from doorbuster.storefronts import Storefront

logger = logging.getLogger("doorbuster")

PARENT_CHECK_S = 1.0


def end_with_parent(environment: Any) -> None:
    """End a worker that Locust has forked as soon as its parent process has ended.

    Locust leaves such workers running when the master exits before the test.
    """
    if not environment.parsed_options.processes:
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            gevent.sleep(PARENT_CHECK_S)
        logger.warning("the process that started this worker has ended")
        os._exit(1)

    gevent.spawn(watch)


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
