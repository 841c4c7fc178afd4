"""The curve of a peak in a scenario: stages, hourly weights, or a cumulative share over time.

All forms become linear segments between levels, which are shares of the peak rate.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field

from doorbuster.scenario.parsing.diagnostics import (
    KeyIssue,
    all_issues,
    collect_issues,
    invalid,
    preview,
)
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    PositiveDurationS,
    Share,
    duration,
    is_number,
    share,
    value_type,
)

MAX_HOURS = 336  # 14 days
MAX_WEIGHT = 1e9
_HOUR_S = 3600.0


class CurveSegment(NamedTuple):
    """One linear segment of a curve, between two shares of the peak rate."""

    length_s: float
    first_ratio: float
    last_ratio: float


class Stage(StrictModel):
    """One stage of the curve: ramp linearly `to` a level, or hold a level (`at`)."""

    one_of = ("to", "at")

    for_s: PositiveDurationS = Field(description="Duration of the stage.", examples=["30m"])
    to_ratio: Share | None = Field(
        default=None, description="Ramp linearly to this share of the peak.", examples=["100%"]
    )
    at_ratio: Share | None = Field(
        default=None, description="Jump to this share of the peak and hold it.", examples=["100%"]
    )


class CumulativePoint(NamedTuple):
    """By `time_s`, `share_ratio` of all customers have arrived."""

    time_s: float
    share_ratio: float


@value_type(
    {
        "type": "object",
        "propertyNames": {"pattern": duration(zero=False).schema["pattern"]},
        "additionalProperties": share().schema,
        "minProperties": 1,
    }
)
def parse_cumulative(raw: object) -> object:
    """Points of an increasing cumulative share, in time order."""
    if isinstance(raw, tuple):
        return raw
    if not isinstance(raw, dict) or not raw:
        rule = "must be a mapping of times to shares, such as {96s: 3.7%, 64m: 37.3%}"
        raise invalid(rule, got=preview(raw))
    with all_issues("cumulative", raw) as issues:
        points = [CumulativePoint(0.0, 0.0)]
        for name, value in raw.items():
            key = str(name)
            time_s = collect_issues(issues, (key,), duration(zero=False), key, at="key")
            ratio = collect_issues(issues, (key,), share(), value)
            if time_s is None or ratio is None:
                continue
            if time_s <= points[-1].time_s:
                issues.append(
                    KeyIssue((key,), "must be later than the previous point", preview(key), at="key")
                )
            if ratio < points[-1].share_ratio:
                issues.append(
                    KeyIssue((key,), "must not be below the share of the previous point", preview(value))
                )
            points.append(CumulativePoint(time_s, ratio))
        if not issues and points[-1].share_ratio == 0:
            issues.append(KeyIssue((), "must not be 0% throughout"))
    return tuple(points[1:])


def _parse_weight(raw: object) -> float:
    if not is_number(raw) or not 0 <= raw <= MAX_WEIGHT:
        raise invalid("must be a weight: a number >= 0", got=preview(raw))
    return float(raw)


@value_type(
    {"type": "array", "items": {"type": "number", "minimum": 0}, "minItems": 1, "maxItems": MAX_HOURS}
)
def parse_hourly(raw: object) -> object:
    """Hourly weights, at least one above 0."""
    if isinstance(raw, tuple):
        return raw
    if not isinstance(raw, list) or not 1 <= len(raw) <= MAX_HOURS:
        rule = f"must be a list with one weight per hour (24 for a day, at most {MAX_HOURS})"
        raise invalid(rule, got=preview(raw))
    with all_issues("hourly", raw) as issues:
        weights = [collect_issues(issues, (hour,), _parse_weight, value) for hour, value in enumerate(raw)]
        if not issues and not any(weights):
            issues.append(KeyIssue((), "must not be 0 throughout"))
    return tuple(weights)


def parse_stages(raw: object) -> object:
    """At least one stage, not all at 0 %."""
    if not isinstance(raw, list | tuple):
        raise invalid("must be a list of stages, such as [{for: 30m, to: 100%}]", got=preview(raw))
    if not raw:
        raise invalid("must have at least one stage", way_out="add {for: 30m, to: 100%}")
    with all_issues("stages", raw) as issues:
        stages = [
            collect_issues(issues, (index,), Stage.model_validate, value) for index, value in enumerate(raw)
        ]
        if not issues and not any(stage and (stage.to_ratio or stage.at_ratio) for stage in stages):
            issues.append(KeyIssue((), "must not be 0% throughout"))
    return tuple(stages)


class Curve(StrictModel):
    """The curve: exactly one of stages, hourly weights or a cumulative share."""

    one_of = ("stages", "hourly", "cumulative")

    stages: Annotated[tuple[Stage, ...], BeforeValidator(parse_stages)] | None = Field(
        default=None,
        description="Stages, one after the other; the first ramp starts from 0 %.",
        examples=[[{"for": "1h", "to": "20%"}, {"for": "30m", "to": "100%"}, {"for": "4h", "at": "100%"}]],
    )
    hourly_weights: Annotated[tuple[float, ...], parse_hourly] | None = Field(
        default=None,
        alias="hourly",
        description="One weight per hour; the highest is the peak, joined by lines at half past.",
        examples=[[0.6, 1.5, 1.1]],
    )
    cumulative: Annotated[tuple[CumulativePoint, ...], parse_cumulative] | None = Field(
        default=None,
        description="Share of customers who have arrived by each time; constant rate in between.",
        examples=[{"96s": "3.7%", "64m": "37.3%"}],
    )

    def segments(self) -> tuple[CurveSegment, ...]:
        """The segments before compression; the highest level of hourly and cumulative curves is 1."""
        if self.stages is not None:
            return _from_stages(self.stages)
        if self.hourly_weights is not None:
            return _from_hours(self.hourly_weights)
        return _from_points(self.cumulative or ())

    @property
    def length_s(self) -> float:
        """Length before compression."""
        return sum(segment.length_s for segment in self.segments())

    @property
    def area_s(self) -> float:
        """Seconds at the peak rate that would bring all customers (cumulative: 100 %)."""
        area_s = sum(
            segment.length_s * (segment.first_ratio + segment.last_ratio) / 2.0 for segment in self.segments()
        )
        return area_s / self.cumulative[-1].share_ratio if self.cumulative else area_s


def _from_stages(stages: tuple[Stage, ...]) -> tuple[CurveSegment, ...]:
    level = 0.0
    segments = []
    for stage in stages:
        last = stage.at_ratio if stage.at_ratio is not None else stage.to_ratio or 0.0
        segments.append(CurveSegment(stage.for_s, last if stage.at_ratio is not None else level, last))
        level = last
    return tuple(segments)


def _from_hours(weights: tuple[float, ...]) -> tuple[CurveSegment, ...]:
    highest = max(weights)
    levels = [weight / highest for weight in weights]
    joined = [CurveSegment(_HOUR_S, first, last) for first, last in pairwise(levels)]
    half = _HOUR_S / 2.0
    return (CurveSegment(half, levels[0], levels[0]), *joined, CurveSegment(half, levels[-1], levels[-1]))


def _from_points(points: tuple[CumulativePoint, ...]) -> tuple[CurveSegment, ...]:
    known = (CumulativePoint(0.0, 0.0), *points)
    pieces = [(b.time_s - a.time_s, b.share_ratio - a.share_ratio) for a, b in pairwise(known)]
    steepest = max(part / length_s for length_s, part in pieces)
    return tuple(
        CurveSegment(length_s, part / length_s / steepest, part / length_s / steepest)
        for length_s, part in pieces
    )
