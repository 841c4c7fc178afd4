"""What people and machines do when the shop does not answer well: reload, try again, queue, sell offline.

Reloads are made by people, retries by machines underneath them: a machine tries again until its attempts or
its budget are used up, and only then does the person in front of it see a failure.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from doorbuster.scenario.customers.behaviour import Patience
from doorbuster.scenario.parsing.diagnostics import invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    DurationS,
    Flag,
    PositiveDurationS,
    Share,
    duration,
    model_schema,
    value_type,
    whole,
)

WAITING_ROOM = "waiting_room"  # the step under which polls of a waiting room are recorded
MAX_ATTEMPTS = 20
MAX_RELOADS = 1000


class Reloads(StrictModel):
    """People who reload a page instead of leaving.

    Source: 30 s is the interval of a holding page (Tesco, 2014); without jitter a crowd that fails together
    comes back together.
    """

    after_s: DurationS = Field(
        default=30.0,
        alias="after",
        description="How long they look at a busy or error page.",
        examples=["30s"],
    )
    share_ratio: Share = Field(
        default=1.0, alias="share", description="Share of the people who do so.", examples=["80%"]
    )
    max_reloads: Annotated[int, whole(1, MAX_RELOADS)] = Field(
        default=20, alias="max", description="Reloads of one page; then they leave.", examples=[20]
    )
    jitter_ratio: Share = Field(
        default=0.0,
        alias="jitter",
        description="The wait is spread evenly by so much to either side; 0% keeps a crowd together.",
        examples=["10%"],
    )
    when_slow: Flag = Field(
        default=False,
        description="Whoever loses patience reloads at once; the shop may still work on the old one.",
    )


class Retries(StrictModel):
    """Machines that try again: attempts, the time limit of each, and the wait between two.

    The wait before retry k is backoff * 2^(k - 1), spread by the jitter. A budget is a bucket of tokens, as
    in gRPC and Envoy: see doorbuster.load.customers.retry_policy.
    """

    attempts: Annotated[int, whole(2, MAX_ATTEMPTS)] = Field(
        description="Attempts for one request, the first included.", examples=[3]
    )
    timeout_s: PositiveDurationS | None = Field(
        default=None,
        alias="timeout",
        description="How long one attempt may take. Default: as long as any request may.",
        examples=["500ms"],
    )
    backoff_s: DurationS = Field(
        default=0.1,
        alias="backoff",
        description="Wait before the first retry; it doubles with each. 0s retries at once.",
        examples=["100ms"],
    )
    jitter_ratio: Share = Field(
        default=0.5,
        alias="jitter",
        description="The wait is spread evenly by so much to either side.",
        examples=["50%"],
    )
    budget_ratio: Share | None = Field(
        default=None,
        alias="budget",
        description="Most retries for each first attempt, over all customers of a worker. Default: no limit.",
        examples=["10%"],
    )


@value_type({"anyOf": [duration(zero=False).schema, model_schema(Patience)]})
def parse_room_patience(raw: object) -> object:
    """A time after which everybody leaves, or a law of patience."""
    if isinstance(raw, dict | Patience):
        return Patience.model_validate(raw)
    if isinstance(raw, str):
        return duration(zero=False)(raw)
    raise invalid('must be a time such as "10m", or a law such as {tau: 10m, shape: 1.5}', got=preview(raw))


class WaitingRoom(StrictModel):
    """People in a queue in front of the shop: how long they stay in it.

    Default source: 60 of 100 callers hang up after 10 minutes on hold (Infinity, 2022).
    """

    patience: Annotated[
        float | Patience,
        parse_room_patience,
    ] = Field(
        default=600.0,
        description="When they leave the queue: one time for everybody, or a law. Default: 10m.",
        examples=["10m", {"tau": "10m", "shape": 1.5}],
    )


class Offline(StrictModel):
    """A stretch in which tills have no network: sales are made all the same and sent when it is back."""

    from_s: DurationS = Field(
        alias="from", description="When the network fails, in time of the run.", examples=["60s"]
    )
    for_s: PositiveDurationS = Field(
        alias="for",
        description="How long it is away; then the sales are sent in one burst.",
        examples=["45s"],
    )

    @property
    def until_s(self) -> float:
        """When the network is back, in seconds of the run."""
        return self.from_s + self.for_s
