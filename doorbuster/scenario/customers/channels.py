"""Who comes, as a scenario says it: channels with their journeys, patience and think times.

An *open* channel has a share of the arrivals or a demand of its own; a *closed* one has seats, each an agent
who works in a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from doorbuster.scenario.customers.behaviour import (
    DEFAULT_THINK,
    PATIENCE,
    Patience,
    Think,
    parse_patience,
    parse_think,
)
from doorbuster.scenario.customers.client_profile import (
    DEVICE_PATIENCE,
    SHARE_TOLERANCE,
    Device,
    PageDepth,
    device_rules,
    parse_devices,
    parse_pages,
)
from doorbuster.scenario.customers.journeys import CHANNELS, DEFAULT_PATIENCE, JOURNEYS, MIXES
from doorbuster.scenario.customers.resilience import Offline, Reloads, Retries, WaitingRoom
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.parsing.diagnostics import (
    Issue,
    as_validation_error,
    collect_issues,
    did_you_mean,
    invalid,
    preview,
    try_parse,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import DurationS, Share, is_number, share, whole
from doorbuster.units import format_duration

MAX_SEATS = 100_000


def parse_journeys(raw: object) -> object:
    """Journey names with weights above 0, or those of a published mix."""
    if isinstance(raw, str):
        if raw not in MIXES:
            raise invalid("is not a published mix", got=preview(raw), way_out=did_you_mean(raw, MIXES))
        return MIXES[raw]
    if not isinstance(raw, dict) or not raw:
        raise invalid(
            "must be a mapping of journeys to weights, such as {browse: 70, buy: 30}, or a published mix",
            got=preview(raw),
        )
    issues = []
    for name, weight in raw.items():
        if name not in JOURNEYS:
            way_out = did_you_mean(str(name), JOURNEYS)
            issues.append(Issue((str(name),), "is not a known journey", way_out=way_out, at="key"))
        if not is_number(weight) or not 0 < weight <= 1e9:
            issues.append(Issue((str(name),), "must be a weight: a number above 0", preview(weight)))
    if issues:
        raise as_validation_error("journeys", issues, raw)
    return raw


_JOURNEYS_SCHEMA = {
    "anyOf": [
        {"enum": list(MIXES)},
        {
            "type": "object",
            "properties": {
                name: {"type": "number", "exclusiveMinimum": 0, "description": journey.meaning}
                for name, journey in JOURNEYS.items()
            },
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}


class Channel(StrictModel):
    """One way into the shop.

    Open: `share_ratio` of the scenario's arrivals, or arrivals of its own (`demand`). Closed: `seats` agents
    who work in a loop.
    """

    one_of = ("share", "demand", "seats")

    share_ratio: Share | None = Field(
        default=None,
        alias="share",
        description="Share of all arrivals; the shares of the open channels sum to 100 %.",
        examples=["78%"],
    )
    demand: Demand | None = Field(
        default=None,
        description="Arrivals of this channel alone, instead of a share; it lasts as long as the scenario's.",
    )
    seats: Annotated[int, whole(1, MAX_SEATS)] | None = Field(
        default=None,
        description="Number of agents who work in a loop, one customer after the other, instead of a share.",
        examples=[12],
    )
    merchant: str | None = Field(
        default=None,
        description="Whose shop these customers visit, of those that the target names.",
        examples=["north"],
    )
    pacing_s: DurationS = Field(
        default=0.0,
        alias="pacing",
        description="At each seat, the next customer comes no sooner than this after the last one came.",
        examples=["3m"],
    )
    journeys: Annotated[
        dict[str, float], BeforeValidator(parse_journeys), WithJsonSchema(_JOURNEYS_SCHEMA)
    ] = Field(
        description="What these customers come for, as relative weights, or a published mix by name.",
        examples=[{"browse": 55, "search": 25, "buy": 20}],
    )
    patience: Annotated[Patience | None, parse_patience] = Field(
        default=None,
        description="How long they wait for a page: desktop, mobile, none, or a law.",
        examples=["desktop", {"tau": "4.7s", "shape": 1.5}],
    )
    think: Annotated[Think, parse_think] = Field(
        default=DEFAULT_THINK,
        description="Time between an answer and the next step.",
        examples=[{"lognormal": {"median": "4s", "sigma": 1.17, "max": "70s"}}],
    )

    devices: Annotated[dict[str, Device], parse_devices] = Field(
        default={},
        description="What they come with: shares that sum to 100 %, and how readily each orders.",
        examples=[{"desktop": "35%", "mobile": {"share": "65%", "conversion": "50%"}}],
    )
    pages: Annotated[PageDepth | None, parse_pages] = Field(
        default=None,
        description="Product pages that a visit looks at when it looks around. Default: 2.",
        examples=[{"lognormal": {"median": 4, "sigma": 1.17, "max": 60}}],
    )
    cache_busting_ratio: Share = Field(
        default=0.0,
        alias="cache_busting",
        description="Share of visits with addresses that no cache knows, such as a campaign's. Default: 0%.",
        examples=["30%"],
    )
    signed_in_ratio: Share = Field(
        default=0.0,
        alias="signed_in",
        description="Share of visits with an account; the others come as guests. Default: 0%.",
        examples=["40%"],
    )
    reloads: Reloads | None = Field(
        default=None,
        description="People reload instead of leaving, after a busy or error page.",
        examples=[{"after": "30s", "share": "80%"}],
    )
    retries: Retries | None = Field(
        default=None,
        description="Machines try again after a failure that may pass.",
        examples=[{"attempts": 3, "timeout": "500ms", "backoff": "100ms"}],
    )
    waiting_room: WaitingRoom = Field(
        default=WaitingRoom(), description="How they behave in a queue in front of the shop."
    )
    offline: Offline | None = Field(
        default=None,
        description="A stretch of the run without network: sales are made and sent afterwards.",
        examples=[{"from": "60s", "for": "45s"}],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[Issue]:
        """A pace is a seat's; who comes by the schedule is not paced. Devices leave room for every order."""
        yield from super().rules(raw)
        journeys = try_parse(parse_journeys, raw.get("journeys"))
        if "devices" in raw and isinstance(journeys, dict):
            yield from device_rules(raw["devices"], ordering_ratio(journeys))
        if "pacing" in raw and "seats" not in raw:
            yield Issue(
                ("pacing",), "goes with seats", preview(raw["pacing"]), "arrivals are paced by the demand"
            )

    @property
    def is_open(self) -> bool:
        """Whether customers arrive by the schedule, whatever the shop does."""
        return self.seats is None

    @property
    def orders_ratio(self) -> float:
        """Share of its visits that want to order, 0..1."""
        return ordering_ratio(self.journeys)

    def patience_for(self, device: str) -> Patience | None:
        """How long people with this device wait: as it says, else as the channel says, else its own."""
        said = self.devices[device].patience if device in self.devices else None
        if said is None and "patience" in self.model_fields_set:
            return self.patience
        values = PATIENCE[said or DEVICE_PATIENCE[device]]
        return None if values is None else Patience.model_validate(values)

    def journey_ratios(self) -> dict[str, float]:
        """Each journey's share of this channel, as 0..1."""
        total = sum(self.journeys.values())
        return {name: weight / total for name, weight in self.journeys.items()}

    def with_default_patience(self, name: str) -> Self:
        """This channel with the patience people of channel `name` have when the scenario says nothing."""
        if "patience" in self.model_fields_set:
            return self
        filled = self.model_copy(update={"patience": default_patience(name)})
        filled.model_fields_set.discard("patience")
        return filled


def ordering_ratio(journeys: Mapping[str, float]) -> float:
    """Share of the journeys whose every customer tries to order, by weight."""
    ordering = sum(weight for name, weight in journeys.items() if JOURNEYS[name].wants_order)
    return ordering / sum(journeys.values())


def default_patience(channel: str) -> Patience | None:
    """Patience of a channel that does not say."""
    values = PATIENCE[DEFAULT_PATIENCE[channel]]
    return None if values is None else Patience.model_validate(values)


def channel_rules(raw: Mapping[str, Any]) -> Iterator[Issue]:
    """Known names, and shares of the open channels that sum to 100 %."""
    if not raw:
        yield Issue(
            (), "must have at least one channel", way_out="add web: {share: 100%, journeys: {browse: 1}}"
        )
    for name in raw:
        if name not in CHANNELS:
            yield Issue(
                (str(name),), "is not a known channel", way_out=did_you_mean(str(name), CHANNELS), at="key"
            )
    given = [c["share"] for c in raw.values() if isinstance(c, dict) and "share" in c and "seats" not in c]
    shares = [try_parse(share(), value) for value in given]
    sound = [value for value in shares if value is not None]
    if given and len(sound) == len(given) and abs(sum(sound) - 1.0) > SHARE_TOLERANCE:
        got = " + ".join(preview(value) for value in given) + f" = {sum(sound) * 100:.6g}%"
        yield Issue((), "must have shares that sum to 100%", got, at="key")


def own_demand_rules(channels: object, demand: Demand | None) -> Iterator[Issue]:
    """A channel's own demand lasts as long as the scenario's, or its clock could not be compared."""
    if not isinstance(channels, dict) or demand is None:
        return
    for name, values in channels.items():
        raw = values.get("demand") if isinstance(values, dict) else getattr(values, "demand", None)
        own = try_parse(Demand.model_validate, raw) if isinstance(raw, dict) else raw
        if isinstance(own, Demand) and abs(own.duration_s - demand.duration_s) > 1e-6 * demand.duration_s:
            length = format_duration(demand.duration_s)
            rule = f"must last as long as the demand of the scenario, {length}"
            yield Issue(("channels", str(name), "demand"), rule, format_duration(own.duration_s), at="key")


def parse_channels(raw: object) -> object:
    """Channels by name, each with its own default patience filled in."""
    if not isinstance(raw, dict):
        raise invalid("must be a mapping of channels, such as web: {share: 100%, ...}", got=preview(raw))
    issues = list(channel_rules(raw))
    channels = {}
    for name, values in raw.items():
        channel = collect_issues(issues, (str(name),), Channel.model_validate, values)
        if channel is not None:
            channels[name] = channel.with_default_patience(name) if name in CHANNELS else channel
    if issues:
        raise as_validation_error("channels", issues, raw)
    return channels
