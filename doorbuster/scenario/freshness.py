"""Settings of the freshness measurement: how long a change takes to appear in every channel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbuster.scenario.parsing.diagnostics import did_you_mean, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import PositiveDurationS, value_type

FRESHNESS_KINDS = ("price", "stock", "basket")


@value_type({"type": "array", "items": {"enum": list(FRESHNESS_KINDS)}, "minItems": 1, "uniqueItems": True})
def parse_kinds(raw: object) -> tuple[str, ...]:
    """Kinds of change, without duplicates, in a fixed order."""
    rule = "must be a list of " + ", ".join(FRESHNESS_KINDS)
    if not isinstance(raw, list | tuple) or not raw:
        raise invalid(rule, got=preview(raw), way_out="omit the key to change everything the driver supports")
    for kind in raw:
        if kind not in FRESHNESS_KINDS:
            raise invalid(rule, got=preview(kind), way_out=did_you_mean(str(kind), FRESHNESS_KINDS))
    return tuple(kind for kind in FRESHNESS_KINDS if kind in raw)


class Freshness(StrictModel):
    """The run changes prices, stock and baskets, and polls every channel until it shows the change."""

    every_s: PositiveDurationS = Field(
        default=5.0,
        description="Interval between changes of one kind; a slower measurement delays it. Default: 5s.",
        examples=["5s"],
    )
    timeout_s: PositiveDurationS = Field(
        default=30.0,
        description="Stop waiting for a channel after this time. Default: 30s.",
        examples=["30s"],
    )
    changes: Annotated[tuple[str, ...] | None, parse_kinds] = Field(
        default=None,
        description="Kinds of change to make. Default: every kind the driver supports.",
        examples=[["price", "stock", "basket"]],
    )
