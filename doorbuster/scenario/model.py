"""The whole scenario: one peak as data, validated and frozen.

All other packages read these models; only `reader.py` knows YAML.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

from doorbuster.scenario.browsers import Browsers, browser_pages, browser_rules
from doorbuster.scenario.customers.assets import ASSET_STEPS
from doorbuster.scenario.customers.channels import CHANNELS, Channel, own_demand_rules, parse_channels
from doorbuster.scenario.customers.failure_reactions import WAITING_ROOM, Offline
from doorbuster.scenario.customers.journeys import MIXES, STEPS, Journey
from doorbuster.scenario.customers.own_journeys import OwnJourney, all_journeys, parse_own_journeys
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.demand.phases import find_phases
from doorbuster.scenario.demand.rate_curve import rates_at_busiest
from doorbuster.scenario.freshness import Freshness
from doorbuster.scenario.observation.observe import Observe
from doorbuster.scenario.observation.rules import observed_rules
from doorbuster.scenario.parsing.diagnostics import KeyIssue, did_you_mean, entry, preview, try_parse
from doorbuster.scenario.parsing.document import Document
from doorbuster.scenario.parsing.sourced import SourcedModel
from doorbuster.scenario.parsing.values import DurationS, Text, whole
from doorbuster.scenario.safety import Safety
from doorbuster.scenario.target.content_checks import EVERY_STEP
from doorbuster.scenario.target.merchants import merchant_rules
from doorbuster.scenario.target.target import Target, is_loopback, parse_url
from doorbuster.scenario.thresholds.language import (
    Threshold,
    metric_selectors,
    read_thresholds,
    threshold_selectors,
    thresholds_schema,
)
from doorbuster.scenario.thresholds.metrics import OBSERVED, find_metric
from doorbuster.shop_settings import MAX_SEED
from doorbuster.units import format_duration

DEFAULT_SEED = 20041202


def parse_scenario_thresholds(raw: object, info: ValidationInfo) -> object:
    """The thresholds of a scenario, with their places in the file."""
    if isinstance(raw, tuple) and all(isinstance(item, Threshold) for item in raw):
        return raw
    document: Document | None = info.context

    return read_thresholds(raw, (lambda path: document.where(("thresholds", *path))) if document else None)


def _parse_channels(raw: object, info: ValidationInfo) -> object:
    return parse_channels(raw, all_journeys(info.data.get("own_journeys", {})))


def _channels_schema(schema: dict[str, Any]) -> None:
    """List the channel names in the JSON Schema, for completion in editors."""
    each = schema.pop("additionalProperties")
    schema["properties"] = {name: {**each, "description": f"{text}."} for name, text in CHANNELS.items()}
    schema["additionalProperties"] = {
        **each,
        "required": ["description", "patience"],
        "description": "A channel of your own.",
    }
    schema["minProperties"] = 1


class Scenario(SourcedModel):
    """One peak: demand, customers, shop, thresholds and safety limits."""

    title: Text = Field(description="One-line heading of every report.")
    story: str = Field(default="", description="What happens, in one or two sentences.")
    target: Target = Field(description="The shop to load.")
    demand: Demand = Field(description="How many customers arrive, and when.")
    own_journeys: Annotated[dict[str, OwnJourney], BeforeValidator(parse_own_journeys)] = Field(
        default={},
        alias="journeys",
        description="Journeys of your own, by name: methods of your locustfile's customers. Default: none.",
    )
    channels: Annotated[
        dict[str, Channel], BeforeValidator(_parse_channels), Field(json_schema_extra=_channels_schema)
    ] = Field(description="The sales channels, by name.")
    thresholds: Annotated[
        tuple[Threshold, ...], BeforeValidator(parse_scenario_thresholds), WithJsonSchema(thresholds_schema())
    ] = Field(
        default=(),
        description="Pass criteria, in k6's syntax with units and retail metrics.",
        examples=[{"can_order": ["rate>=99%"], "http_req_duration{step:checkout}": ["p(95)<3s"]}],
    )
    safety: Safety = Field(default=Safety(), description="Limits that keep a test from becoming an outage.")
    freshness: Freshness | None = Field(
        default=None,
        description="Measures how long changes of price, stock and basket take to appear.",
        examples=[{"every": "5s", "timeout": "30s"}],
    )
    observe: Observe | None = Field(
        default=None,
        description="What is observed at the target during the run, and the traces of requests.",
        examples=[{"sources": {"database": {"postgresql": {"dsn": "${SHOP_DATABASE}"}}}}],
    )
    browsers: Browsers | None = Field(
        default=None,
        description="Real browsers that walk the shopping journey before, during and after the peak.",
        examples=[{"probes": 1, "calm": "15s"}],
    )
    seed: Annotated[int, whole(0, MAX_SEED)] = Field(
        default=DEFAULT_SEED,
        description="Random seed; one seed plans the same arrivals for any number of workers.",
    )
    drain_s: DurationS = Field(
        default=30.0,
        description="Time that customers in the shop have to finish after the last arrival. Default: 30s.",
        examples=["30s"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Rules over several keys: the target is allowed, thresholds have data, periods fit the run."""
        yield from check_target_allowed(raw.get("target"), raw.get("safety", {}))
        yield from _check_names(raw)
        yield from observed_rules(raw)
        demand = try_parse(Demand.model_validate, raw.get("demand"))
        if demand is not None:
            yield from own_demand_rules(raw.get("channels"), demand)
            yield from _check_phase_tags(raw, demand)
            yield from _check_offline(raw.get("channels"), demand)
        yield from browser_rules(raw.get("browsers"), raw.get("target"))
        yield from _check_reserved(raw.get("browsers"), raw.get("safety", {}))
        yield from merchant_rules(raw.get("channels"), raw.get("target"), raw.get("freshness"))

    @property
    def journeys(self) -> dict[str, Journey]:
        """Every journey this scenario may name: the built-in ones and its own."""
        return all_journeys(self.own_journeys)

    @property
    def trace_share(self) -> float:
        """Share of the requests that carry `traceparent` and `baggage`."""
        return self.observe.trace_share_ratio if self.observe is not None else 0.0

    @property
    def customers_max_rate_per_s(self) -> float:
        """Maximum requests per second of customers: `safety.max_rate` without what browsers may send."""
        reserved_per_s = 0.0 if self.browsers is None else self.browsers.reserved_per_s
        return self.safety.max_rate_per_s - reserved_per_s

    @property
    def demands(self) -> dict[str, Demand]:
        """All demands: "" is the scenario's demand, if a channel has a share of it; the others are
        channels with their own demand, by name.
        """
        shared = any(channel.share_ratio is not None for channel in self.channels.values())
        own = {name: channel.demand for name, channel in self.channels.items() if channel.demand is not None}
        return ({"": self.demand} if shared else {}) | own

    @property
    def peak_rates_per_s(self) -> dict[str, float]:
        """Arrival rate of each demand at the moment of the highest total rate."""
        curves = [demand.rate_curve for demand in self.demands.values()]
        return dict(zip(self.demands, rates_at_busiest(curves), strict=True)) if curves else {}

    @property
    def peak_per_s(self) -> float:
        """Highest total arrival rate of the open channels."""
        return sum(self.peak_rates_per_s.values())


def check_target_allowed(target: object, safety: object) -> Iterator[KeyIssue]:
    """safety.allow lists the target, unless it is this machine."""
    url = try_parse(parse_url, entry(target, "url"))
    host = (urlsplit(url).hostname or "") if url else ""
    allow = entry(safety, "allow")
    allowed = [str(name).lower() for name in allow] if isinstance(allow, list | tuple) else []
    if host and not is_loopback(host) and host not in allowed:
        rule = "must have a host listed in safety.allow, unless it is this machine"
        yield KeyIssue(("target", "url"), rule, host, f"add safety: {{allow: [{host}]}}")


def _check_reserved(browsers: object, safety: object) -> Iterator[KeyIssue]:
    """The ceiling leaves something to the customers."""
    probes = None if browsers is None else try_parse(Browsers.model_validate, browsers)
    limits = try_parse(Safety.model_validate, safety)
    if probes is not None and limits is not None and limits.max_rate_per_s <= probes.reserved_per_s:
        rule = f"must be above {probes.reserved_per_s:g} requests/s, which are kept for the browsers"
        yield KeyIssue(("safety", "max_rate"), rule, f"{limits.max_rate_per_s:g} requests/s")


def _check_names(raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
    """Thresholds and content rules name only channels, journeys and steps that can occur in this scenario."""
    own = try_parse(parse_own_journeys, raw.get("journeys", {}))
    channels = raw.get("channels")
    if not isinstance(own, dict) or not isinstance(channels, dict):
        return
    journeys = all_journeys(own)
    visited = [
        journey
        for channel in channels.values()
        if isinstance(channel, dict)
        for journey in _names(channel.get("journeys"))
        if journey in journeys
    ]
    own_steps = (visits.step for journey in own.values() for visits in journey.as_journey("").steps)
    target = raw.get("target")
    assets = target.get("assets", "none") if isinstance(target, dict) else "none"
    more = ASSET_STEPS if assets != "none" else ()
    steps = (*dict.fromkeys((*STEPS, *own_steps)), WAITING_ROOM, *more)
    pages = browser_pages(raw.get("browsers"), target) or ()
    known: dict[str, Sequence[str]] = {
        "channel": list(channels), "journey": visited, "step": steps, "page": pages
    }  # fmt: skip
    for key, selector in threshold_selectors(raw.get("thresholds")):
        metric = find_metric(selector.metric)
        if metric is not None and metric.of_browsers and "browsers" not in raw:
            rule = "is measured by browser probes, which this scenario does not have"
            yield KeyIssue(("thresholds", key), rule, way_out="add browsers: {probes: 1}", at="key")
        for name, value in () if selector.metric.startswith(OBSERVED) else selector.tags:
            if known.get(name) and value not in known[name]:
                rule = f"names a {name} that this scenario does not have"
                way_out = did_you_mean(value, known[name])
                yield KeyIssue(("thresholds", key), rule, value, way_out, at="key")
    rules = target.get("rules") if isinstance(target, dict) else ()
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        step = rule.get("step") if isinstance(rule, dict) else None
        if isinstance(step, str) and step not in (EVERY_STEP, *steps):
            way_out = did_you_mean(step, (EVERY_STEP, *steps))
            yield KeyIssue(("target", "rules", index, "step"), "is not a known step", preview(step), way_out)


def _names(journeys: object) -> Iterable[object]:
    """The journeys of a channel, listed or from a mix."""
    if isinstance(journeys, str):
        return MIXES.get(journeys, ())
    return journeys if isinstance(journeys, dict) else ()


def _check_phase_tags(raw: Mapping[str, Any], demand: Demand) -> Iterator[KeyIssue]:
    """Thresholds and abort rules name only phases of the curve: without data they would be inconclusive."""
    names = [phase.name for phase in find_phases(demand.rate_curve)]
    for path, selector in metric_selectors(raw):
        for name, value in selector.tags:
            if name == "phase" and value not in names:
                rule = "names a phase that the curve of this scenario does not have"
                yield KeyIssue(path, rule, value, did_you_mean(value, names), at="key")


def _check_offline(channels: object, demand: Demand) -> Iterator[KeyIssue]:
    """Offline periods end before the run does, so that the sales are sent."""
    for name, channel in channels.items() if isinstance(channels, dict) else ():
        offline = try_parse(Offline.model_validate, entry(channel, "offline"))
        if offline is not None and offline.until_s > demand.duration_s:
            rule = f"must end before the run, which takes {format_duration(demand.duration_s)}"
            got = f"until {format_duration(offline.until_s)}"
            yield KeyIssue(("channels", str(name), "offline"), rule, got, "use run time, after compression")
