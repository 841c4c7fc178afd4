"""Open arrivals for a plain Locust file: each arrival is one visit of a new user.

A visit runs the user's `on_start`, some tasks and `on_stop`, whatever became of the visits before it. It is
served if no request of it failed; else the first failed request tells where and why it was turned away.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import Any, ClassVar

import gevent
from locust import TaskSet
from locust.exception import RescheduleTask, RescheduleTaskImmediately, StopUser
from locust.user.task import DefaultTaskSet

from doorbuster.load.customers.model import Arrival
from doorbuster.load.engine.arrivals import OpenArrivals
from doorbuster.load.locust_plugin.dispatch import SingleUserDispatcher
from doorbuster.load.plain_locust.request_recorder import RequestRecorder
from doorbuster.load.plain_locust.script_exceptions import mark_stopped
from doorbuster.load.run_plan import Rows
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.scenario import Schedule

VISIT = "_doorbuster_visit"  # attribute of a user that was started for one visit
JOURNEY = "visit"


class PlainVisit:
    """What one visit has come to; `due_at` is the intended start until its first request was recorded."""

    __slots__ = ("arrival", "cause", "due_at", "raised", "step", "tasks_left")

    def __init__(self, arrival: Arrival, tasks: int) -> None:
        self.arrival = arrival
        self.due_at: float | None = arrival.intended_at
        self.tasks_left = tasks
        self.step = ""
        self.cause = ""
        self.raised = False

    def failed(self, step: str, cause: str) -> None:
        """Remember the first failed request."""
        if not self.cause:
            self.step, self.cause = step, cause


def end_visits_after_their_tasks() -> None:
    """Make Locust's task sets end the user of a visit once its tasks are done."""
    for task_set in (TaskSet, DefaultTaskSet):
        setattr(task_set, "execute_task", _counting(task_set.execute_task))  # noqa: B010


def _counting(execute: Any) -> Any:
    def execute_task(task_set: Any, task: Any) -> None:
        visit: PlainVisit | None = getattr(task_set.user, VISIT, None)
        if visit is None:
            execute(task_set, task)
            return
        if not visit.tasks_left:  # the last task raised
            raise StopUser
        if isinstance(task, type):  # a nested task set: its own tasks count
            tasks_left = visit.tasks_left
            try:
                execute(task_set, task)
            except (StopUser, RescheduleTask, RescheduleTaskImmediately):
                raise
            except Exception:
                visit.tasks_left -= visit.tasks_left == tasks_left  # its `on_start` raised
                raise
            return
        visit.tasks_left -= 1
        execute(task_set, task)
        if not visit.tasks_left:
            raise StopUser

    return execute_task


class VisitStarter:
    """Starts the visits of some rows of the schedule, and records how each of them ended."""

    def __init__(
        self,
        environment: Any,
        recorder: RequestRecorder,
        schedule: Schedule,
        rows: Rows,
        *,
        tasks: int,
        max_in_flight: int,
    ) -> None:
        self._environment = environment
        self._recorder = recorder
        self._tasks = tasks
        self._max_in_flight = max_in_flight
        self._classes = {user_class.__name__: user_class for user_class in environment.user_classes}
        self._active: dict[Any, PlainVisit] = {}
        self._arrivals = OpenArrivals(schedule, rows, recorder.started_at, self._admit)
        self._starter = gevent.spawn(self._arrivals.run)

    def finish(self, cause: str) -> None:
        """Stop starting visits; those that have not started or not ended are dropped."""
        self._starter.kill()
        for arrival in self._arrivals.remaining():
            self._drop(arrival, cause)
        for greenlet, visit in list(self._active.items()):
            del self._active[greenlet]
            self._leave(visit, Outcome.DROPPED, visit.step, cause)
            mark_stopped(greenlet.args[0])
            greenlet.kill(block=False)

    def _admit(self, arrival: Arrival) -> None:
        if len(self._active) >= self._max_in_flight:
            self._drop(arrival, "in_flight_ceiling")
            return
        self._recorder.visit_started(arrival)
        visit = PlainVisit(arrival, self._tasks)
        try:
            user = self._classes[arrival.channel](self._environment)
        except BaseException as error:  # noqa: BLE001  of the user's constructor, which does not wait
            self._recorder.task_raised(arrival.channel, error)
            self._leave(visit, Outcome.DROPPED, "", Cause.SCRIPT_EXCEPTION)
            return
        setattr(user, VISIT, visit)
        greenlet = user.start(self._environment.runner.user_greenlets)
        self._active[greenlet] = visit
        greenlet.rawlink(partial(self._ended, visit))

    def _ended(self, visit: PlainVisit, greenlet: Any) -> None:
        if self._active.pop(greenlet, None) is None:
            return
        if visit.cause:
            self._leave(visit, Outcome.TURNED_AWAY, visit.step, visit.cause)
        elif visit.raised or not greenlet.successful():
            self._leave(visit, Outcome.DROPPED, "", Cause.SCRIPT_EXCEPTION)
        else:
            self._leave(visit, Outcome.SERVED, "", "")

    def _leave(self, visit: PlainVisit, outcome: str, step: str, cause: str) -> None:
        self._recorder.visit_ended(visit.arrival, outcome, step, cause, ended_at=perf_counter())

    def _drop(self, arrival: Arrival, cause: str) -> None:
        self._recorder.visit_dropped(arrival, cause)


class NoUsersDispatcher(SingleUserDispatcher):
    """Locust itself starts no users: each arrival of the schedule starts one."""

    users_of_worker: ClassVar[dict[str, int]] = {}
