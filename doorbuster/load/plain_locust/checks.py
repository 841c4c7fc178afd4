"""Checks a plain Locust file before its first request: an end, users, tasks, and hosts that may be loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from locust.contrib.fasthttp import FastHttpUser
from locust.shape import LoadTestShape
from locust.user.users import HttpUser

from doorbuster.errors import FileProblem, ScenarioError, UsageError
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.locust_plugin.http_user import HttpUser as DoorbusterHttpUser
from doorbuster.load.plain_locust.client_guard import host_of
from doorbuster.load.plain_locust.visits import JOURNEY
from doorbuster.load.runtime.notes import note
from doorbuster.load.target.endpoint import target_headers
from doorbuster.load.target.permission import permitted_hosts
from doorbuster.load.target.step_signatures import never_runs
from doorbuster.scenario import (
    ChannelJourney,
    HeaderValues,
    LocustScenario,
    Schedule,
    find_scenario,
    is_locust_scenario,
    plan_arrivals,
    read_locust_scenario,
)

LONGEST_SHAPE_S = 86_400
_HTTP_USERS = (HttpUser, FastHttpUser, DoorbusterHttpUser)


@dataclass(frozen=True, slots=True)
class PlainPlan:
    """One plain run: its scenario, the duration, whether we must end it, the hosts it may load.

    ends_itself: Locust ends the run at `duration_s`; otherwise the recorder does. targets: for the report.
    headers: of every request to the targets and to the hosts of safety.allow.
    ratios: weights of the user classes for open arrivals. confirmed: values of --confirm-host, read once: the
    web form may set every option later.
    """

    scenario: LocustScenario
    duration_s: float
    ends_itself: bool
    hosts: AllowedHosts
    targets: tuple[str, ...]
    ratios: dict[str, float]
    headers: HeaderValues
    confirmed: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        """Whether users arrive by a schedule."""
        return self.scenario.demand is not None

    def named_hosts(self, targets: Iterable[str]) -> frozenset[str]:
        """The hosts of the targets and of safety.allow, which get the target's headers."""
        return frozenset((*map(host_of, targets), *self.scenario.safety.allow))

    @property
    def schedule(self) -> Schedule:
        """The arrivals; empty for a closed workload."""
        return visit_schedule(self.scenario, self.ratios, self.duration_s)


def visit_schedule(scenario: LocustScenario, ratios: Mapping[str, float], duration_s: float) -> Schedule:
    """The arrivals of a plain Locust file, by user class; none without a demand."""
    if scenario.demand is None:
        empty = np.empty(0)
        return Schedule(duration_s, (), empty, empty.astype(np.uint16), empty.astype(np.int64))
    classes = {ChannelJourney(name, JOURNEY): weight for name, weight in ratios.items()}
    return plan_arrivals(scenario.demand, classes, seed=scenario.seed)


def check_start(environment: Any) -> PlainPlan:
    """The plan of a run.

    Raises: ScenarioError or UsageError, before anything is loaded.
    """
    options = environment.parsed_options
    scenario = _scenario(environment)
    if not environment.shape_class and options.num_users is not None and options.num_users < 1:
        raise UsageError("--users must be at least 1")
    confirmed = tuple(options.confirm_host or ())
    hosts, targets = check_hosts(environment, scenario, confirmed)
    _check_paced(environment, scenario)
    headers = target_headers(scenario)
    if scenario.demand is not None:
        ratios = _open_classes(environment, scenario)
        return PlainPlan(
            scenario, scenario.demand.duration_s, False, hosts, targets, ratios, headers, confirmed
        )
    duration_s, ends_itself = _duration(environment)
    return PlainPlan(scenario, duration_s, ends_itself, hosts, targets, {}, headers, confirmed)


def _open_classes(environment: Any, scenario: LocustScenario) -> dict[str, float]:
    """The user classes that arrive, with their weights.

    Raises: UsageError for classes that do not exist, and for options of a closed workload.
    """
    options = environment.parsed_options
    given = [
        option
        for option, key in (
            ("--users", "num_users"), ("--spawn-rate", "spawn_rate"), ("--run-time", "run_time"),
        )
        if getattr(options, key)
    ]  # fmt: skip
    if given:
        raise UsageError(f"{', '.join(given)} cannot be used with a demand, which decides who arrives when")
    known = {user_class.__name__: float(user_class.weight) for user_class in environment.user_classes}
    ratios = scenario.locust.classes or known
    unknown = [name for name in ratios if name not in known]
    if unknown:
        raise UsageError(
            f"{environment.locustfile} has no user class {', '.join(unknown)}; locust.classes may name "
            f"{', '.join(known)}"
        )
    if environment.shape_class is not None:
        note(f"the load shape {type(environment.shape_class).__name__} is ignored: the demand decides")
        environment.shape_class = None
    fixed = [
        kind.__name__ for kind in environment.user_classes if kind.fixed_count and kind.__name__ in ratios
    ]
    if fixed:
        note(f"fixed_count of {', '.join(fixed)} is ignored: the demand decides")
    return dict(ratios)


def _check_paced(environment: Any, scenario: LocustScenario) -> None:
    """Raises: UsageError for a maximum rate that the client of a user class would not keep."""
    unpaced = [kind.__name__ for kind in environment.user_classes if not issubclass(kind, _HTTP_USERS)]
    if scenario.safety.max_rate_per_s is not None and unpaced:
        raise UsageError(
            f"safety.max_rate cannot limit {', '.join(unpaced)} in {environment.locustfile}, whose client is "
            "not Locust's HTTP client; remove the key, or select other user classes"
        )


def check_tasks(environment: Any) -> None:
    """Raises: UsageError if Locust's tags have left no task, or a task would do nothing.

    Called once the tags have been applied.
    """
    for user_class in environment.user_classes:
        for task in _functions(user_class.tasks):
            if why := never_runs(task):
                name = f"{user_class.__name__}.{getattr(task, '__name__', task)}"
                raise UsageError(f"{environment.locustfile}: {name} {why}; write a plain method")
    if any(user_class.tasks for user_class in environment.user_classes):
        return
    options = environment.parsed_options
    tags = ", ".join([*(options.tags or ()), *(f"not {tag}" for tag in options.exclude_tags or ())])
    raise UsageError(
        f"{environment.locustfile} has no task{f' with these tags ({tags})' if tags else ''}, so no user has "
        "anything to do"
    )


def _functions(tasks: Iterable[Any]) -> Iterator[Any]:
    """The tasks of a user, with those in its task sets."""
    for task in tasks:
        if isinstance(task, type):
            yield from _functions(getattr(task, "tasks", ()))
        else:
            yield task


def check_hosts(
    environment: Any, scenario: LocustScenario, confirmed: Collection[str]
) -> tuple[AllowedHosts, tuple[str, ...]]:
    """What may be loaded, and the addresses of the user classes.

    Raises: UsageError for a host that was not confirmed, or an HTTP user without one.
    """
    targets = []
    for user_class in environment.user_classes:
        address = environment.host or user_class.host
        if not address:
            if issubclass(user_class, _HTTP_USERS):
                raise UsageError(
                    f"{user_class.__name__} in {environment.locustfile} has no host; add --url URL, or "
                    "host = ... to the class"
                )
            continue
        targets.append(address)
    hosts = permitted_hosts([host_of(target) for target in targets], scenario.safety.allow or None, confirmed)
    return hosts, tuple(dict.fromkeys(targets))


def _scenario(environment: Any) -> LocustScenario:
    path = find_scenario(environment.parsed_options.scenario)
    text = Path(path).read_text(encoding="utf-8-sig")
    if not is_locust_scenario(text):
        rule = f"describes customers (demand, channels), and {environment.locustfile} is a plain Locust file"
        way_out = (
            "leave out channels, and state users, spawn_rate and run_time below locust, or demand and "
            "locust: {tasks: 5}; or write customers for the channels"
        )
        raise ScenarioError([FileProblem(str(path), 0, 0, "", rule, way_out=way_out)])
    return read_locust_scenario(text, file=str(path)).with_source(path, text)


def _duration(environment: Any) -> tuple[float, bool]:
    """The planned duration in s, and whether Locust itself ends the run then.

    Raises: UsageError for a run without an end.
    """
    run_time_s = environment.parsed_options.run_time
    shape = environment.shape_class
    if shape is None:
        if not run_time_s:
            raise UsageError(
                f"the run would never end: {environment.locustfile} has no load shape; add --run-time, e.g. "
                "--run-time 5m"
            )
        return float(run_time_s), True
    shape_s = _length_of(shape, environment.runner)
    ends = [end for end in (shape_s, run_time_s) if end]
    if not ends:
        name = type(shape).__name__
        raise UsageError(
            f"cannot tell when {name} in {environment.locustfile} ends; add --run-time, e.g. --run-time 5m"
        )
    return float(min(ends)), shape_s is not None and shape_s == min(ends)


def _length_of(shape: LoadTestShape, runner: Any) -> float | None:
    """The first whole second at which the shape ends; None if it has no end within a day, or none that shows.

    A copy of the shape is asked, second by second, with a run time of our choice.
    """
    seconds = iter(_ticks(shape, runner))
    return next((at_s for at_s, tick in seconds if tick is None), None)


def _ticks(shape: LoadTestShape, runner: Any) -> Iterator[tuple[float, Any]]:
    try:
        copy = type(shape)()
        copy.runner = runner
        now_s = 0.0
        setattr(copy, "get_run_time", lambda: now_s)  # noqa: B010  the type checker refuses an assignment
        for second in range(LONGEST_SHAPE_S):
            now_s = float(second)
            yield now_s, copy.tick()
    except BaseException:  # noqa: BLE001  any code of the user's; the run then needs --run-time
        return
