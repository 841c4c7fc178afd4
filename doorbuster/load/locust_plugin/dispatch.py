"""Keeps Locust to one generator user per worker while the schedule starts the customers.

Locust's dispatcher and load shape count users, while customers follow the schedule. The dispatcher assigns
one `GeneratorUser` to each worker and never names a customer class: Locust then neither spawns nor stops
customers, not even when it redistributes users after a worker was lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from locust import LoadTestShape, User
from locust.exception import StopUser

if TYPE_CHECKING:
    from doorbuster.load.locust_plugin.node import Node


class GeneratorUser(User):
    """Runs one worker's generator; the only user that Locust itself spawns."""

    def run_generator(self) -> None:
        environment: Any = self.environment
        node: Node = environment.doorbuster
        node.run_generator()
        raise StopUser

    tasks = [run_generator]  # noqa: RUF012  Locust's own way of declaring tasks


class RunShape(LoadTestShape):
    """Runs until every customer has left and everything is recorded."""

    def tick(self) -> tuple[int, float] | None:
        runner: Any = self.runner
        node: Node = runner.environment.doorbuster
        return None if node.run_is_over() else (1, 1.0)


class SingleUserDispatcher:
    """Implements Locust's `UsersDispatcher` interface: one generator user for each worker, at once."""

    users_of_worker: ClassVar[dict[str, int]] = {GeneratorUser.__name__: 1}

    def __init__(self, worker_nodes: list[Any], **_: Any) -> None:
        self._workers = {node.id: node for node in worker_nodes}
        self._pending = False
        self.dispatch_in_progress = False

    def new_dispatch(self, *_: Any, **__: Any) -> None:
        """The numbers, rates and classes that Locust asks for are not used."""
        self._pending = True

    def add_worker(self, worker_node: Any) -> None:
        self._workers[worker_node.id] = worker_node

    def remove_worker(self, worker_node: Any) -> None:
        self._workers.pop(worker_node.id, None)

    def get_target_user_count(self) -> int:
        return len(self._workers) * sum(self.users_of_worker.values())

    def __iter__(self) -> Iterator[dict[str, dict[str, int]]]:
        return self

    def __next__(self) -> dict[str, dict[str, int]]:
        if not self._pending:
            raise StopIteration
        self._pending = False
        return {worker_id: dict(self.users_of_worker) for worker_id in self._workers}
