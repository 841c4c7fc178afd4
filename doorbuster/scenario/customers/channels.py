"""Channels of a scenario, with their journeys, patience and think times.

An *open* channel has a share of the arrivals or its own demand. A *closed* channel has seats: concurrent
users who work in a loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationInfo, WithJsonSchema

from doorbuster.scenario.customers.behaviour import (
    DEFAULT_THINK,
    PATIENCE,
    Patience,
    Think,
    parse_patience,
    parse_think,
)
from doorbuster.scenario.customers.devices import (
    DEVICE_PATIENCE,
    SHARE_TOLERANCE,
    Device,
    PageDepth,
    device_rules,
    parse_devices,
    parse_pages,
)
from doorbuster.scenario.customers.failure_reactions import (
    Offline,
    Reloads,
    Retries,
    WaitingRoom,
    check_requests_per_page,
)
from doorbuster.scenario.customers.journeys import JOURNEYS, MIXES, Journey
from doorbuster.scenario.customers.own_journeys import NAME_RULE, is_name
from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    did_you_mean,
    entry,
    invalid,
    preview,
    try_parse,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import DurationS, Share, Text, is_number, share, whole
from doorbuster.units import format_duration

MAX_SEATS = 100_000

CHANNELS: dict[str, str] = {
    "web": "the website, with the patience of desktop users by default",
    "app": "the mobile app and the mobile site",
    "store": "tills and mobile points of sale in the stores",
    "phone": "the seats of the call centre",
    "print": "QR codes and web addresses in catalogues, on posters and in adverts",
    "social": "reviews, questions, answers and links in posts",
    "agent": "bots, crawlers and shopping assistants acting for people",
    "partner": "marketplaces and affiliates that use the shop's API",
}

# Default patience: people at a screen leave, staff and machines wait.
DEFAULT_PATIENCE: dict[str, str] = {
    "web": "desktop",
    "app": "mobile",
    "print": "mobile",
    "social": "mobile",
    "store": "none",
    "phone": "none",
    "agent": "none",
    "partner": "none",
}


def parse_journeys(raw: object, info: ValidationInfo) -> object:
    """Journeys with their weights, also from the name of a published mix.

    The validation context holds the scenario's journeys by name; without it, the built-in journeys apply.
    """
    known: Mapping[str, Journey] = info.context or JOURNEYS
    if isinstance(raw, str):
        if raw not in MIXES:
            raise invalid("is not a published mix", got=preview(raw), way_out=did_you_mean(raw, MIXES))
        return MIXES[raw]
    if not isinstance(raw, dict) or not raw:
        raise invalid(
            "must be a mapping of journeys to weights, such as {browse: 70, buy: 30}, or a published mix",
            got=preview(raw),
        )
    with all_issues("journeys", raw) as issues:
        for name, weight in raw.items():
            if name not in known:
                way_out = did_you_mean(str(name), known) + " (define a journey of your own under journeys:)"
                issues.append(KeyIssue((str(name),), "is not a known journey", way_out=way_out, at="key"))
            if not is_number(weight) or not 0 < weight <= 1e9:
                issues.append(KeyIssue((str(name),), "must be a weight: a number above 0", preview(weight)))
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
            "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
            "minProperties": 1,
        },
    ]
}


class Channel(StrictModel):
    """One sales channel.

    Open: `share_ratio` of the scenario's arrivals, or its own `demand`. Closed: `seats` concurrent users who
    work in a loop.
    """

    one_of = ("share", "demand", "seats")

    description: Text | None = Field(
        default=None,
        description="What a channel of your own is; built-in channels have none.",
        examples=["self-service terminals in the stores"],
    )
    share_ratio: Share | None = Field(
        default=None,
        description="Share of all arrivals; the shares of the open channels sum to 100 %.",
        examples=["78%"],
    )
    demand: Demand | None = Field(
        default=None, description="Arrivals of this channel alone, for the duration of the scenario's demand."
    )
    seats: Annotated[int, whole(1, MAX_SEATS)] | None = Field(
        default=None,
        description="Number of concurrent users who serve one customer after the other, instead of a share.",
        examples=[12],
    )
    merchant: str | None = Field(
        default=None,
        description="Merchant whose shop these customers visit, from target.shop.merchants.",
        examples=["north"],
    )
    pacing_s: DurationS = Field(
        default=0.0,
        description="Minimum time between the starts of two customers at one seat.",
        examples=["3m"],
    )
    journeys: Annotated[
        dict[str, float], BeforeValidator(parse_journeys), WithJsonSchema(_JOURNEYS_SCHEMA)
    ] = Field(
        description="Journeys with relative weights, or the name of a published mix.",
        examples=[{"browse": 55, "search": 25, "buy": 20}],
    )
    patience: Annotated[Patience | None, parse_patience] = Field(
        default=None,
        description="How long customers wait for a page: desktop, mobile, none, or a distribution.",
        examples=["desktop", {"tau": "4.7s", "shape": 1.5}],
    )
    think: Annotated[Think, parse_think] = Field(
        default=DEFAULT_THINK,
        description="Think time between a response and the next step.",
        examples=[{"lognormal": {"median": "4s", "sigma": 1.17, "max": "70s"}}],
    )

    devices: Annotated[dict[str, Device], parse_devices] = Field(
        default={},
        description="Shares of the visits by device, which sum to 100 %, and relative conversion.",
        examples=[{"desktop": "35%", "mobile": {"share": "65%", "conversion": "50%"}}],
    )
    pages: Annotated[PageDepth | None, parse_pages] = Field(
        default=None,
        description="Product pages per visit. Default: 2.",
        examples=[{"lognormal": {"median": 4, "sigma": 1.17, "max": 60}}],
    )
    cache_busting_ratio: Share = Field(
        default=0.0,
        description="Share of visits with unique URLs, which miss every cache. Default: 0%.",
        examples=["30%"],
    )
    signed_in_ratio: Share = Field(
        default=0.0,
        description="Share of visits with an account; the others are guests. Default: 0%.",
        examples=["40%"],
    )
    reloads: Reloads | None = Field(
        default=None,
        description="People reload a busy or error page instead of leaving.",
        examples=[{"after": "30s", "share": "80%"}],
    )
    retries: Retries | None = Field(
        default=None,
        description="Clients retry after a temporary failure.",
        examples=[{"attempts": 3, "timeout": "500ms", "backoff": "100ms"}],
    )
    waiting_room: WaitingRoom = Field(
        default=WaitingRoom(), description="Behaviour of customers in a waiting room."
    )
    offline: Offline | None = Field(
        default=None,
        description="Period of the run without network; orders are sent afterwards.",
        examples=[{"from": "60s", "for": "45s"}],
    )

    _orders_ratio: float = PrivateAttr(default=0.0)

    def model_post_init(self, context: Mapping[str, Journey] | None) -> None:
        """Compute the share of ordering visits from the journeys' definitions."""
        known = context or JOURNEYS
        ordering = sum(weight for name, weight in self.journeys.items() if known[name].wants_order)
        self._orders_ratio = ordering / sum(self.journeys.values())

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Only closed channels have a pacing; open arrivals are paced by the demand."""
        yield from super().rules(raw)
        if "pacing" in raw and "seats" not in raw:
            yield KeyIssue(
                ("pacing",), "requires seats", preview(raw["pacing"]), "use demand to pace an open channel"
            )
        yield from check_requests_per_page(raw.get("retries"), raw.get("reloads"))

    @property
    def is_open(self) -> bool:
        """Whether customers arrive by the schedule, whatever the shop does."""
        return self.seats is None

    @property
    def orders_ratio(self) -> float:
        """Share of visits that want to order, 0..1."""
        return self._orders_ratio

    def patience_for(self, device: str) -> Patience | None:
        """Patience on this device: the device's key, else the channel's, else the device's default."""
        stated = self.devices[device].patience if device in self.devices else None
        if stated is None and "patience" in self.model_fields_set:
            return self.patience
        values = PATIENCE[stated or DEVICE_PATIENCE[device]]
        return None if values is None else Patience.model_validate(values)

    def journey_ratios(self) -> dict[str, float]:
        """Each journey's share of this channel, as 0..1."""
        total = sum(self.journeys.values())
        return {name: weight / total for name, weight in self.journeys.items()}

    def with_default_patience(self, name: str) -> Self:
        """This channel with the default patience of channel `name`, unless the scenario sets one."""
        if "patience" in self.model_fields_set:
            return self
        filled = self.model_copy(update={"patience": default_patience(name)})
        filled.model_fields_set.discard("patience")
        return filled


def default_patience(channel: str) -> Patience | None:
    """Patience of a channel whose scenario sets none."""
    values = PATIENCE[DEFAULT_PATIENCE.get(channel, "none")]
    return None if values is None else Patience.model_validate(values)


def channel_rules(raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
    """Channel names are valid, and the shares of the open channels sum to 100 %."""
    if not raw:
        yield KeyIssue(
            (), "must have at least one channel", way_out="add web: {share: 100%, journeys: {browse: 1}}"
        )
    for name, values in raw.items():
        yield from _own_channel_rules(name, values if isinstance(values, dict) else {})
    given = [c["share"] for c in raw.values() if isinstance(c, dict) and "share" in c and "seats" not in c]
    shares = [try_parse(share(), value) for value in given]
    valid = [value for value in shares if value is not None]
    if given and len(valid) == len(given) and abs(sum(valid) - 1.0) > SHARE_TOLERANCE:
        got = " + ".join(preview(value) for value in given) + f" = {sum(valid) * 100:.6g}%"
        yield KeyIssue((), "must have shares that sum to 100%", got, at="key")


def _own_channel_rules(name: object, values: Mapping[str, Any]) -> Iterator[KeyIssue]:
    """A channel is built in, or has a description and a patience."""
    if name in CHANNELS:
        if "description" in values:
            rule = "is only for a channel of your own"
            yield KeyIssue(
                (str(name), "description"), rule, way_out=f"remove it; {name} is built in", at="key"
            )
    elif "description" not in values:
        way_out = did_you_mean(str(name), CHANNELS) + " (a channel of your own needs a description)"
        yield KeyIssue((str(name),), "is not a known channel", way_out=way_out, at="key")
    elif not is_name(name):
        yield KeyIssue((str(name),), NAME_RULE, preview(name), at="key")
    elif "patience" not in values:
        rule = "needs patience, because it is a channel of your own"
        yield KeyIssue(
            (str(name),), rule, way_out="add patience: desktop, mobile, none or a distribution", at="key"
        )


def own_demand_rules(channels: object, demand: Demand) -> Iterator[KeyIssue]:
    """A channel's own demand has the duration of the scenario's."""
    for name, values in channels.items() if isinstance(channels, dict) else ():
        own = try_parse(Demand.model_validate, entry(values, "demand"))
        if own is not None and abs(own.duration_s - demand.duration_s) > 1e-6 * demand.duration_s:
            length = format_duration(demand.duration_s)
            rule = f"must last as long as the demand of the scenario, {length}"
            yield KeyIssue(("channels", str(name), "demand"), rule, format_duration(own.duration_s), at="key")


def parse_channels(raw: object, journeys: Mapping[str, Journey]) -> object:
    """Channels by name, with default patience filled in.

    Args: journeys: all journeys of the scenario, built-in and its own.
    """
    if not isinstance(raw, dict):
        raise invalid("must be a mapping of channels, such as web: {share: 100%, ...}", got=preview(raw))
    channels = {}
    with all_issues("channels", raw) as issues:
        issues += channel_rules(raw)
        for name, values in raw.items():
            path, parse = (str(name),), partial(Channel.model_validate, context=journeys)
            channel = collect_issues(issues, path, parse, values)
            if channel is not None:
                rules = device_rules(channel.devices, channel.orders_ratio)
                issues += [replace(issue, path=(*path, *issue.path)) for issue in rules]
                channels[name] = channel.with_default_patience(name) if name in CHANNELS else channel
    return channels


def channel_order(names: Iterable[str]) -> list[str]:
    """The built-in channels in their order, then the scenario's own in the order of the file.

    A channel's position seeds its arrivals, so it must not depend on which other channels a scenario has.
    """
    return [*CHANNELS, *(name for name in names if name not in CHANNELS)]
