"""The plan of a run from the options of a command, and the command line of Locust that runs it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doorbuster.scenario import LocustScenario, Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The options that decide what a run does."""

    scenario: str | None
    locustfile: str | None
    url: str | None = None
    confirm_hosts: tuple[str, ...] = ()
    profile: str | None = None
    seed: int | None = None
    no_retries: bool = False
    users: int | None = None
    spawn_rate: float | None = None
    run_time: str | None = None
    failures_pass: bool = False  # a plain Locust file states no limit of failed requests

    @property
    def for_customers(self) -> dict[str, object]:
        """The given options that have an effect on customers only."""
        found = {"--profile": self.profile, "--seed": self.seed, "--no-retries": self.no_retries or None}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def for_users(self) -> dict[str, object]:
        """The given options that have an effect on the users of a plain Locust file only."""
        found = {"--users": self.users, "--spawn-rate": self.spawn_rate, "--run-time": self.run_time}
        return {name: value for name, value in found.items() if value is not None}


def plan_run(options: PlanOptions) -> Scenario | LocustScenario:
    """What the run is to do: a scenario of customers, or of the users of a plain Locust file.

    Raises: UsageError for options that have no effect on it.
    """
    from doorbuster.cli.run_workflow import find_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.scenario import Scenario, locust_scenario, override

    scenario, locustfile = options.scenario, options.locustfile
    base = find_run_scenario(scenario) if scenario is not None else None
    if base is None and locustfile is None:
        raise UsageError("name a scenario, or a plain Locust file with --locustfile")
    plain = not isinstance(base, Scenario)
    for option in options.for_customers if plain else options.for_users:
        ours = f"{scenario}: its demand decides which customers arrive"
        raise UsageError(f"{option} has no effect on {'a plain Locust file' if plain else ours}")
    if isinstance(base, Scenario):
        return override(
            base, profile=options.profile, url=options.url, seed=options.seed, no_retries=options.no_retries
        )
    if locustfile is None:
        raise UsageError(
            f"{scenario} has neither demand nor channels, so it needs a plain Locust file: add --locustfile"
        )
    run_time = options.run_time
    return locust_scenario(
        base,
        title=f"{Path(locustfile.split(',')[0]).name}, without a scenario",
        users=options.users,
        spawn_rate=options.spawn_rate,
        run_time=f"{run_time}s" if run_time and run_time.isdigit() else run_time,
        url=options.url,
        allow=options.confirm_hosts,
        no_failures=not options.failures_pass,
    )


def locust_arguments(
    plan: Scenario | LocustScenario,
    folder: Path,
    *,
    name: str,
    confirm_hosts: tuple[str, ...],
    workers: int,
) -> list[str]:
    """The command line of Locust for a plan that is recorded into a folder; name: of its scenario file."""
    from doorbuster.cli.run_workflow import scenario_file
    from doorbuster.locust_process import local_workers
    from doorbuster.scenario import LocustScenario

    return [
        *("--scenario", str(scenario_file(plan, folder, name)), "--run-folder", str(folder)),
        *(_users(plan) if isinstance(plan, LocustScenario) else ()),
        *(word for host in confirm_hosts for word in ("--confirm-host", host)),
        *(local_workers(workers) if workers else ()),
    ]


def _users(plan: LocustScenario) -> Iterator[str]:
    """Locust's options for the users of a plain Locust file."""
    yield from ("--exit-code-on-error", "0")  # failed requests are a matter of the thresholds
    for option, value in (("--users", plan.locust.users), ("--spawn-rate", plan.locust.spawn_rate)):
        if value is not None:
            yield from (option, f"{value:g}")
    if plan.locust.run_time_s is not None:
        yield from ("--run-time", f"{max(1, math.ceil(plan.locust.run_time_s))}s")
    if plan.target.url is not None:
        yield from ("--host", plan.target.url)
