"""Observes the target during a run: what the scenario names, and the embedded shop's own metrics.

Reading metrics is not load, but it reaches hosts and uses secrets: hosts other than this machine are listed
in `observe.allow` and confirmed by name, secrets come from the environment, and a scenario's shell commands
run only where the environment allows them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from doorbuster.errors import UsageError
from doorbuster.load.http.allowed_hosts import LOOPBACK_NETWORKS, canonical_host
from doorbuster.load.target.permission import permitted_hosts
from doorbuster.observe.plan import ObservationPlan, ResourceRule, Selection, SourcePlan
from doorbuster.observe_process import Observed, ObserverProcess
from doorbuster.output import masked
from doorbuster.output.secret_masking import remember_secrets
from doorbuster.records.batch import Event, ObservedValue
from doorbuster.scenario import LocustScenario, Scenario, fill_headers, header_variables
from doorbuster.scenario.observation.embedded_shop import SHOP_RESOURCES, SHOP_SOURCE
from doorbuster.scenario.observation.observe import ROLES, Limit, Observe, ObservedResource, SeriesSelector
from doorbuster.scenario.observation.source_settings import CommandSettings, DatabaseSettings, ObservedSource

COMMANDS_VARIABLE = "DOORBUSTER_ALLOW_COMMANDS"
EVENT_KIND = "observe"
LOG_NAME = "observe.log"


class TargetObserver:
    """The observation of one run; without sources it does nothing.

    Raises: UsageError for hosts, secrets or commands that are not allowed or not there.
    """

    def __init__(
        self,
        scenario: Scenario | LocustScenario,
        *,
        confirmed_hosts: Collection[str],
        metrics_url: str | None = None,
    ) -> None:
        observe = scenario.observe or Observe()
        hosts = _permitted(observe, confirmed_hosts)
        _check_commands(observe)
        self._sources = [_plan(name, source, hosts) for name, source in observe.sources.items()]
        self._resources = [*_rules(observe.resources)]
        if metrics_url is not None and observe.shop:
            settings = {"url": metrics_url, "headers": {}, "networks": list(LOOPBACK_NETWORKS)}
            self._sources.append(SourcePlan(SHOP_SOURCE, "scrape", 1.0, (), settings))
            self._resources += _rules(SHOP_RESOURCES)
        self._process: ObserverProcess | None = None
        self._log = Path(LOG_NAME)

    def start(self, started_at: float, folder: Path) -> None:
        """Begin to observe. started_at: the run's zero on `perf_counter`."""
        if self._sources:
            plan = ObservationPlan(started_at, tuple(self._sources), tuple(self._resources))
            self._log = folder / LOG_NAME
            self._process = ObserverProcess(plan, self._log)

    def read(self, now_s: float) -> tuple[list[ObservedValue], list[Event]]:
        """What was observed since the last call; never waits."""
        if self._process is None:
            return [], []
        found = self._process.read()
        values, events = _as_records(found)
        if self._process.has_ended:
            self._process.stop()
            self._process = None
            where = f"; see {LOG_NAME}" if self._log.exists() else ""
            events.append(Event(now_s, EVENT_KIND, f"the observing process ended early{where}"))
        return values, events

    def stop(self, sleep: Callable[[float], Any]) -> tuple[list[ObservedValue], list[Event]]:
        """End the observation with a last reading; `sleep` waits for it."""
        process, self._process = self._process, None
        return ([], []) if process is None else _as_records(process.stop(sleep))


def _as_records(found: Observed) -> tuple[list[ObservedValue], list[Event]]:
    values = [ObservedValue(*row) for row in found.rows]
    return values, [Event(at_s, EVENT_KIND, masked(text)) for at_s, text in found.events]


def _permitted(observe: Observe, confirmed: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """The networks of every host that may be read. Raises: UsageError."""
    hosts = [urlsplit(source.url).hostname or "" for source in observe.sources.values() if source.url]
    if not hosts:
        return {}
    return permitted_hosts(hosts, observe.allow, confirmed, doing="reading metrics of").networks


def _check_commands(observe: Observe) -> None:
    commands = [
        source.settings.run
        for source in observe.sources.values()
        if isinstance(source.settings, CommandSettings)
    ]
    if commands and not os.environ.get(COMMANDS_VARIABLE):
        raise UsageError(
            f"the scenario's observe runs shell commands: {'; '.join(commands)}. If you trust them, set "
            f"{COMMANDS_VARIABLE}=1 before the command"
        )


def _plan(name: str, source: ObservedSource, hosts: Mapping[str, tuple[str, ...]]) -> SourcePlan:
    settings = source.settings.model_dump()
    if source.url is not None:
        settings["headers"] = _filled(name, settings["headers"])
        settings["networks"] = list(hosts[canonical_host(urlsplit(source.url).hostname or "")])
    elif isinstance(source.settings, DatabaseSettings):
        settings["dsn"] = _filled(name, {"dsn": source.settings.dsn})["dsn"]
    elif isinstance(source.settings, CommandSettings):
        settings = {"run": source.settings.run}
    given = {key: value for key, value in settings.items() if value is not None}
    return SourcePlan(name, source.kind, source.interval_s, source.metrics, given)


def _filled(name: str, texts: Mapping[str, str]) -> Mapping[str, str]:
    """Texts with the values of the environment, which this process then masks. Raises: UsageError."""
    missing = [one for one in header_variables(texts) if not os.environ.get(one)]
    if missing:
        raise UsageError(
            f"observe.sources.{name} needs the environment variable {', '.join(missing)}, which is not "
            f"set; set it before the command: export {missing[0]}=…"
        )
    filled = fill_headers(texts, os.environ)
    remember_secrets(filled.secrets)
    return filled.values


def _rules(resources: Mapping[str, ObservedResource]) -> Iterator[ResourceRule]:
    for name, resource in resources.items():
        for role in ROLES:
            series: SeriesSelector | None = getattr(resource, role)
            if series is not None:
                yield ResourceRule(name, role, _selection(series), _limit(resource.limit))


def _selection(series: SeriesSelector) -> Selection:
    return Selection(series.name, series.labels)


def _limit(limit: Limit | None) -> float | Selection | None:
    return _selection(limit) if isinstance(limit, SeriesSelector) else limit
