"""How often a run looks how long a change takes to be seen in every channel."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbuster.scenario.parsing.diagnostics import did_you_mean, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import PositiveDurationS, value_type

FRESHNESS_KINDS = ("price", "stock", "basket")


@value_type({"type": "array", "items": {"enum": list(FRESHNESS_KINDS)}, "minItems": 1, "uniqueItems": True})
def parse_kinds(raw: object) -> tuple[str, ...]:
    """Kinds of change, each once, in the order in which they are always named."""
    rule = "must be a list of " + ", ".join(FRESHNESS_KINDS)
    if not isinstance(raw, list | tuple) or not raw:
        raise invalid(rule, got=preview(raw), way_out="for all that the driver can change, leave the key out")
    for kind in raw:
        if kind not in FRESHNESS_KINDS:
            raise invalid(rule, got=preview(kind), way_out=did_you_mean(str(kind), FRESHNESS_KINDS))
    return tuple(kind for kind in FRESHNESS_KINDS if kind in raw)


class Freshness(StrictModel):
    """During the run the price and the stock of products few want are changed, and lines are put into the
    baskets of customers with accounts; every channel is looked at until it shows the change.
    """

    every_s: PositiveDurationS = Field(
        default=5.0,
        alias="every",
        description="How often each kind is changed, unless a look takes longer. Default: 5s.",
        examples=["5s"],
    )
    timeout_s: PositiveDurationS = Field(
        default=30.0,
        alias="timeout",
        description="After how long a channel that does not show the change is given up. Default: 30s.",
        examples=["30s"],
    )
    changes: Annotated[
        tuple[str, ...] | None,
        parse_kinds,
    ] = Field(
        default=None,
        description="What is changed. Default: all that the driver can change.",
        examples=[["price", "stock", "basket"]],
    )
