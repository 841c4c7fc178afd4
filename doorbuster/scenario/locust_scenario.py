"""The scenario of a plain Locust file: thresholds and safety for users that the file itself describes.

It has no `channels`, because the Locust file says what its users do. Without `demand` the workload is
closed: Locust starts a number of users, and each waits for an answer before it sends the next request. With
`demand` it is open: each arrival is one visit of a new user, which runs `on_start`, some tasks and `on_stop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BeforeValidator, Field

from doorbuster.scenario.abort_rules import AnyAbortRule, parse_abort
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.model import DEFAULT_SEED, check_target_allowed, parse_scenario_thresholds
from doorbuster.scenario.observation.observe import Observe
from doorbuster.scenario.observation.rules import observed_rules
from doorbuster.scenario.parsing.diagnostics import KeyIssue, entry, invalid, is_similar, preview
from doorbuster.scenario.parsing.document import read_document
from doorbuster.scenario.parsing.sourced import SourcedModel
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import DurationS, RequestsPerS, Text, is_number, value_type, whole
from doorbuster.scenario.safety import MAX_IN_FLIGHT, parse_hosts
from doorbuster.scenario.target.target import is_loopback, parse_url
from doorbuster.scenario.target.target_headers import parse_target_headers
from doorbuster.scenario.thresholds.language import Threshold, metric_selectors
from doorbuster.scenario.thresholds.metrics import OBSERVED
from doorbuster.shop_settings import MAX_SEED

MAX_USERS = 1_000_000
NO_CAPACITY = (
    "a capacity search needs customers with channels, whose arrival rate it sets. For the tasks of a plain "
    "file, let open arrivals rise in one run: a scenario with demand (a curve of stages) and locust: "
    "{tasks: 5}, then doorbuster run SCENARIO --locustfile FILE; its report shows when responses became "
    "slow, and at which rate. For a search with an interval, write the tasks as journeys of a customer class"
)
"""Why plain Locust files have no capacity search, and what to do instead."""
REQUEST_METRICS = ("http_req_duration", "http_req_failed", "http_reqs")
"""The metrics that Locust's events give; sections of the report add theirs."""
VISIT_METRICS = ("customers", "served", "turned_away", "dropped", "lateness")
"""Those that arrivals add."""
MAX_TASKS = 10_000
_CLOSED_KEYS = ("users", "spawn_rate", "run_time")
_OPEN_KEYS = ("tasks", "classes")


@value_type({"type": "number", "exclusiveMinimum": 0})
def parse_spawn_rate(raw: object) -> float:
    """Users started per second."""
    if not is_number(raw) or raw <= 0:
        raise invalid("must be a number of users per second, such as 10", got=preview(raw))
    return float(raw)


class LocustUsers(StrictModel):
    """How many users Locust starts, how fast and for how long; its own options of these names."""

    users: Annotated[int, whole(1, MAX_USERS)] | None = Field(
        default=None, description="Number of users. Default: Locust's, or those of the file's load shape."
    )
    spawn_rate: Annotated[float, parse_spawn_rate] | None = Field(
        default=None, description="Users started per second. Default: Locust's, which is 1."
    )
    run_time_s: DurationS | None = Field(
        default=None, description="Duration of the run. Default: that of the load shape."
    )
    tasks: Annotated[int, whole(1, MAX_TASKS)] = Field(
        default=1,
        description="With demand: tasks that each visit runs between on_start and on_stop. Default: 1.",
    )
    classes: Annotated[dict[str, float], parse_classes] | None = Field(
        default=None, description="With demand: weights of the user classes. Default: those in the file."
    )


@value_type({"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}})
def parse_classes(raw: object) -> dict[str, float]:
    """Weights of user classes."""
    if not isinstance(raw, Mapping) or not raw or not all(is_number(n) and n > 0 for n in raw.values()):
        raise invalid("must be user classes with weights, such as {Shopper: 3, Reader: 1}", got=preview(raw))
    return {str(name): float(weight) for name, weight in raw.items()}


class LocustTarget(StrictModel):
    """The host to load, instead of the one in the Locust file, and what every request to it carries."""

    url: Annotated[str, parse_url] | None = Field(
        default=None, description="Host of every user class. Default: the Locust file's own."
    )
    headers: Annotated[dict[str, str], parse_target_headers] = Field(
        default={}, description="Headers of every request; ${NAME} stands for an environment variable."
    )


class LocustSafety(StrictModel):
    """What keeps a test from becoming an outage."""

    allow: Annotated[tuple[str, ...], parse_hosts] = Field(
        default=(), description="Hosts that may be loaded; this machine always may."
    )
    abort: Annotated[dict[str, AnyAbortRule], parse_abort] = Field(
        default={},
        description="What ends the run when it stays that high: http_req_failed, or an observed metric.",
    )
    max_rate_per_s: RequestsPerS | None = Field(
        default=None,
        description="Maximum requests in any second over all workers, for HTTP users. Default: no limit.",
        examples=["500 requests/s"],
    )
    max_in_flight: Annotated[int, whole(1, MAX_IN_FLIGHT)] = Field(
        default=20_000, description="With demand: visits at once; further ones are dropped, and counted."
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """A plain Locust file has users, not customers with outcomes."""
        abort = raw.get("abort")
        for name in abort if isinstance(abort, Mapping) else ():
            if name != "http_req_failed" and not str(name).strip().startswith(OBSERVED):
                rule = "cannot end the run of a plain Locust file, which has no customers"
                way_out = "use http_req_failed or an observed metric"
                yield KeyIssue(("abort", str(name)), rule, way_out=way_out, at="key")


class LocustScenario(SourcedModel):
    """What to require from a plain Locust file and what it may load."""

    title: Text = Field(description="One line for the top of every report.")
    story: str = Field(default="", description="What happens, in a sentence or two.")
    target: LocustTarget = Field(
        default=LocustTarget(), description="The host to load, and headers of every request."
    )
    locust: LocustUsers = Field(
        default=LocustUsers(), description="Number of users, spawn rate and run time for Locust."
    )
    demand: Demand | None = Field(
        default=None, description="Visits per second over time. Default: a number of users, as in Locust."
    )
    seed: Annotated[int, whole(0, MAX_SEED)] = Field(
        default=DEFAULT_SEED, description="With demand: the same seed plans the same arrivals."
    )
    drain_s: DurationS = Field(
        default=30.0, description="With demand: time for the last visits to end. Default: 30s."
    )
    thresholds: Annotated[tuple[Threshold, ...], BeforeValidator(parse_scenario_thresholds)] = Field(
        default=(), description="Conditions on requests, by name: http_req_duration{name:/cart}."
    )
    safety: LocustSafety = Field(default=LocustSafety(), description="Hosts that may be loaded; abort rules.")
    observe: Observe | None = Field(
        default=None, description="What is observed at the target during the run."
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Thresholds use what Locust's events give; the target is allowed; keys belong to the workload."""
        is_open = "demand" in raw
        locust = raw.get("locust")
        for name in locust if isinstance(locust, Mapping) else ():
            if name in (_CLOSED_KEYS if is_open else _OPEN_KEYS):
                rule = "cannot stand beside demand" if is_open else "needs demand"
                yield KeyIssue(("locust", str(name)), rule, at="key")
        metrics = (*REQUEST_METRICS, *(VISIT_METRICS if is_open else ()))
        yield from check_target_allowed(raw.get("target"), raw.get("safety", {}))
        yield from observed_rules(raw)
        for key in ("trace_share", "trace_url", "shop"):
            if entry(raw.get("observe"), key) is not None:
                yield KeyIssue(("observe", key), "has no effect on a plain Locust file", at="key")
        for path, selector in metric_selectors(raw):
            if "." not in selector.metric and selector.metric not in metrics and path[0] == "thresholds":
                rule = "is not measured for a plain Locust file"
                way_out = f"use {', '.join(metrics)}, or customers of your own"
                yield KeyIssue(path, rule, selector.metric, way_out, at="key")
            for name, value in selector.tags:
                if name == "phase" and not is_open:
                    rule = "names a phase, and a plain Locust file has no demand curve"
                    yield KeyIssue(path, rule, value, at="key")


read_locust_scenario = LocustScenario.read


def is_locust_scenario(text: str) -> bool:
    """Whether a YAML text is the scenario of a plain Locust file.

    It has no channels, not even misspelt, and states `locust` or no demand.
    """
    data = read_document(text, "scenario").data
    if not isinstance(data, dict) or any(is_similar(str(key), ("channels",)) for key in data):
        return False
    return "locust" in data or "demand" not in data


def locust_scenario(
    base: LocustScenario | None,
    *,
    title: str,
    users: int | None = None,
    spawn_rate: float | None = None,
    run_time: str | None = None,
    url: str | None = None,
    allow: tuple[str, ...] = (),
    no_failures: bool = False,
) -> LocustScenario:
    """The scenario with the command line's options; without `base`, a minimal one.

    Args:
        title: of the minimal scenario.
        allow: hosts that the command line confirms, for the minimal scenario.
        no_failures: the minimal scenario has Locust's own exit rule as its threshold: no failed request.

    Raises: ScenarioError, with the command line as its place.
    """
    values: dict[str, Any]
    if base is not None:
        values = dict(read_document(base.source_text, base.name).data or {})
    else:
        values = {"title": title}
        named = urlsplit(url).hostname if url is not None else None
        confirmed = (name.partition("=")[0] for name in allow)
        hosts = dict.fromkeys((*confirmed, *([named] if named and not is_loopback(named) else [])))
        if hosts:
            values["safety"] = {"allow": list(hosts)}
        if no_failures:
            values["thresholds"] = {"http_req_failed": ["rate<=0%"]}
    given = {"users": users, "spawn_rate": spawn_rate, "run_time": run_time}
    changes = {key: value for key, value in given.items() if value is not None}
    if base is not None and not changes and url is None:
        return base
    if changes:
        values["locust"] = {**(values.get("locust") or {}), **changes}
    if url is not None:
        values["target"] = {**(values.get("target") or {}), "url": url}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)
    made = LocustScenario.read(text, file="command line" if base is None else base.name)
    return made.with_source(base.source_path if base else None, text)
