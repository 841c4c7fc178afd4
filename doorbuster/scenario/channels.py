"""Who comes, as a scenario says it: channels with their journeys, patience and think times.

An *open* channel has a share of the arrivals; a *closed* one has seats, each an agent who works in a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, WithJsonSchema

from doorbuster.scenario.behaviour import (
    DEFAULT_THINK,
    PATIENCE,
    PATIENCE_SCHEMA,
    THINK_SCHEMA,
    Patience,
    Think,
    parse_patience,
    parse_think,
)
from doorbuster.scenario.faults import Fault, as_validation_error, attempt, collect, nearest, refuse, shown
from doorbuster.scenario.journeys import CHANNELS, DEFAULT_PATIENCE, JOURNEYS
from doorbuster.scenario.strict import StrictModel
from doorbuster.scenario.values import DurationS, Share, is_number, schema_of, share, whole

MOST_SEATS = 100_000
_SHARE_TOLERANCE = 1e-6  # shares that people add up by hand, as 0..1


def parse_journeys(raw: object) -> object:
    """Journey names with weights above 0."""
    if not isinstance(raw, dict) or not raw:
        raise refuse(
            "must be a mapping of journeys to weights, such as {browse: 70, buy: 30}", got=shown(raw)
        )
    faults = []
    for name, weight in raw.items():
        if name not in JOURNEYS:
            way_out = nearest(str(name), JOURNEYS)
            faults.append(Fault((str(name),), "is not a known journey", way_out=way_out, at="key"))
        if not is_number(weight) or not 0 < weight <= 1e9:
            faults.append(Fault((str(name),), "must be a weight: a number above 0", shown(weight)))
    if faults:
        raise as_validation_error("journeys", faults, raw)
    return raw


_JOURNEYS_SCHEMA = {
    "type": "object",
    "properties": {
        name: {"type": "number", "exclusiveMinimum": 0, "description": journey.meaning}
        for name, journey in JOURNEYS.items()
    },
    "additionalProperties": False,
    "minProperties": 1,
}


class Channel(StrictModel):
    """One way into the shop: `share_ratio` of the arrivals (open) or `seats` agents in a loop (closed)."""

    one_of = ("share", "seats")

    share_ratio: Share | None = Field(
        default=None,
        alias="share",
        description="Share of all arrivals; the shares of the open channels sum to 100 %.",
        examples=["78%"],
    )
    seats: (
        Annotated[int, BeforeValidator(whole(1, MOST_SEATS)), schema_of(1, MOST_SEATS, "integer")] | None
    ) = Field(
        default=None,
        description="Number of agents who work in a loop, one customer after the other, instead of a share.",
        examples=[12],
    )
    pace_s: DurationS = Field(
        default=0.0,
        alias="pace",
        description="At each seat, the next customer comes no sooner than this after the last one came.",
        examples=["3m"],
    )
    journeys: Annotated[
        dict[str, float], BeforeValidator(parse_journeys), WithJsonSchema(_JOURNEYS_SCHEMA)
    ] = Field(
        description="What these customers come for, as relative weights.",
        examples=[{"browse": 55, "search": 25, "buy": 20}],
    )
    patience: Annotated[Patience | None, BeforeValidator(parse_patience), WithJsonSchema(PATIENCE_SCHEMA)] = (
        Field(
            default=None,
            description="How long they wait for a page: desktop, mobile, none, or a law.",
            examples=["desktop", {"tau": "4.7s", "shape": 1.5}],
        )
    )
    think: Annotated[Think, BeforeValidator(parse_think), WithJsonSchema(THINK_SCHEMA)] = Field(
        default=DEFAULT_THINK,
        description="Time between an answer and the next step.",
        examples=[{"lognormal": {"median": "4s", "sigma": 1.17, "max": "70s"}}],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[Fault]:
        """A pace is a seat's; who comes by the schedule is not paced."""
        yield from super().rules(raw)
        if "pace" in raw and "seats" not in raw:
            yield Fault(("pace",), "goes with seats", shown(raw["pace"]), "arrivals are paced by the demand")

    @property
    def is_open(self) -> bool:
        """Whether customers arrive by the schedule, whatever the shop does."""
        return self.seats is None

    def journey_ratios(self) -> dict[str, float]:
        """Each journey's share of this channel, as 0..1."""
        total = sum(self.journeys.values())
        return {name: weight / total for name, weight in self.journeys.items()}

    def with_default_patience(self, name: str) -> Self:
        """This channel with the patience people of channel `name` have when the scenario says nothing."""
        if "patience" in self.model_fields_set:
            return self
        return self.model_copy(update={"patience": default_patience(name)})


def default_patience(channel: str) -> Patience | None:
    """Patience of a channel that does not say."""
    values = PATIENCE[DEFAULT_PATIENCE[channel]]
    return None if values is None else Patience.model_validate(values)


def channel_rules(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Known names, and shares of the open channels that sum to 100 %."""
    if not raw:
        yield Fault(
            (), "must have at least one channel", way_out="add web: {share: 100%, journeys: {browse: 1}}"
        )
    for name in raw:
        if name not in CHANNELS:
            yield Fault(
                (str(name),), "is not a known channel", way_out=nearest(str(name), CHANNELS), at="key"
            )
    given = [c["share"] for c in raw.values() if isinstance(c, dict) and "share" in c and "seats" not in c]
    shares = [attempt(share(), value) for value in given]
    sound = [value for value in shares if value is not None]
    if given and len(sound) == len(given) and abs(sum(sound) - 1.0) > _SHARE_TOLERANCE:
        got = " + ".join(shown(value) for value in given) + f" = {sum(sound) * 100:.6g}%"
        yield Fault((), "must have shares that sum to 100%", got, at="key")


def parse_channels(raw: object) -> object:
    """Channels by name, each with its own default patience filled in."""
    if not isinstance(raw, dict):
        raise refuse("must be a mapping of channels, such as web: {share: 100%, ...}", got=shown(raw))
    faults = list(channel_rules(raw))
    channels = {}
    for name, values in raw.items():
        channel = collect(faults, (str(name),), Channel.model_validate, values)
        if channel is not None:
            channels[name] = channel.with_default_patience(name) if name in CHANNELS else channel
    if faults:
        raise as_validation_error("channels", faults, raw)
    return channels
