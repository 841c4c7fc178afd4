"""How often a run looks how long a change takes to be seen in every channel."""

from __future__ import annotations

from pydantic import Field

from doorbuster.scenario.strict import StrictModel
from doorbuster.scenario.values import PositiveDurationS


class Freshness(StrictModel):
    """During the run staff change the price of a product few want, and every channel is looked at until it
    shows the new one.
    """

    every_s: PositiveDurationS = Field(
        default=5.0,
        alias="every",
        description="How often; the next look waits until the last one is over. Default: 5s.",
        examples=["5s"],
    )
    timeout_s: PositiveDurationS = Field(
        default=30.0,
        alias="timeout",
        description="After how long a channel that still shows the old price is given up. Default: 30s.",
        examples=["30s"],
    )
