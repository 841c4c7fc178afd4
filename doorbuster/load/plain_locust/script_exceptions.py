"""Makes Locust report whatever a Locust file raises, also what is not an `Exception`.

Locust counts and logs an `Exception` of a task. Anything else, such as `gevent.Timeout`, `SystemExit` or a
`GreenletExit` of the task's own, would end the user, or the process, without a trace in the results.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from gevent import GreenletExit
from locust import TaskSet, User
from locust.user.task import DefaultTaskSet

from doorbuster.output import named_exception

_STOPPED = "_doorbuster_stopped"  # attribute of a user that Locust or the recorder has stopped


class RaisedInLocustfile(Exception):  # noqa: N818  reads as what happened
    """What a Locust file raised and Locust would not have reported; its cause is the original."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(named_exception(error))


def report_everything_raised() -> None:
    """Change Locust's users and task sets accordingly; called once, before the first user starts."""
    setattr(User, "stop", _marking(User.stop))  # noqa: B010  the type checker refuses an assignment
    setattr(User, "run", _with_reported_start(User.run))  # noqa: B010
    setattr(TaskSet, "run", _with_reported_start(TaskSet.run))  # noqa: B010
    for task_set in (TaskSet, DefaultTaskSet):
        setattr(task_set, "execute_task", _reported(task_set.execute_task))  # noqa: B010


def mark_stopped(user: Any) -> None:
    """Note that this user is stopped: a `GreenletExit` in its tasks is then not its own."""
    setattr(user, _STOPPED, True)


def _marking(stop: Callable[..., Any]) -> Callable[..., Any]:
    def marked(user: Any, *how: Any, **options: Any) -> Any:
        mark_stopped(user)
        return stop(user, *how, **options)

    return marked


def _with_reported_start(run: Callable[..., Any]) -> Callable[..., Any]:
    """The method `run` of a user or a task set; what `on_start` raises is reported, too."""

    def reported(owner: Any) -> Any:
        owner.on_start = partial(_reported(type(owner).on_start), owner)
        return run(owner)

    return reported


def _reported(method: Callable[..., Any]) -> Callable[..., Any]:
    def reported(owner: Any, *args: Any) -> Any:
        try:
            return method(owner, *args)
        except Exception:
            raise  # Locust reports it, or it is one of Locust's own signals
        except BaseException as error:
            if isinstance(error, GreenletExit) and getattr(getattr(owner, "user", owner), _STOPPED, False):
                raise
            raise RaisedInLocustfile(error) from error

    return reported
