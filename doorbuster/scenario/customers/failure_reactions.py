"""Behaviour when the shop fails or is slow: reloads, retries, waiting rooms, offline sales.

People reload, clients retry. The client retries until its attempts or its budget are used up; only then does
the person see a failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from doorbuster.scenario.customers.behaviour import Patience
from doorbuster.scenario.parsing.diagnostics import KeyIssue, invalid, preview, try_parse
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
from doorbuster.units import format_duration

WAITING_ROOM = "waiting_room"  # the step under which polls of a waiting room are recorded
MAX_ATTEMPTS = 20
MAX_RELOADS = 1000
# Sending again and again without a wait is a storm; impatient people and programs do it a few times.
MIN_BACKOFF_S = 0.01
MIN_RELOAD_WAIT_S = 0.1
MAX_ATTEMPTS_AT_ONCE = 4
MAX_RELOADS_AT_ONCE = 3
MAX_REQUESTS_PER_PAGE = MAX_RELOADS + 1


class Reloads(StrictModel):
    """People who reload a page instead of leaving.

    Source: 30 s is the interval of a holding page (Tesco, 2014). Without jitter, customers who fail together
    return together.
    """

    after_s: DurationS = Field(
        default=30.0,
        description="Wait before the reload. Under 100ms for 3 reloads at most.",
        examples=["30s"],
    )
    share_ratio: Share = Field(
        default=1.0, description="Share of visits in which people reload.", examples=["80%"]
    )
    max_reloads: Annotated[int, whole(1, MAX_RELOADS)] = Field(
        default=20,
        alias="max",
        description="Maximum reloads of one page; then the customer leaves.",
        examples=[20],
    )
    jitter_ratio: Share = Field(
        default=0.0,
        description="Random spread of the wait, to either side; with 0%, customers return together.",
        examples=["10%"],
    )
    when_slow: Flag = Field(
        default=False,
        description="Reload at once when patience ends; the shop may still process the old request.",
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Many reloads need a wait between them."""
        after_s = try_parse(duration(zero=True), raw["after"]) if "after" in raw else None
        reloads = raw.get("max", cls.model_fields["max_reloads"].default)
        if after_s is None or after_s >= MIN_RELOAD_WAIT_S or not isinstance(reloads, int):
            return
        if reloads > MAX_RELOADS_AT_ONCE:
            yield KeyIssue(
                ("after",),
                f"must be at least {format_duration(MIN_RELOAD_WAIT_S)} for more than {MAX_RELOADS_AT_ONCE}"
                " reloads of one page",
                preview(raw["after"]),
                f"raise it, or set max to {MAX_RELOADS_AT_ONCE} or less",
            )


class Retries(StrictModel):
    """Retries of clients: attempts, timeout of each, and backoff.

    The wait before retry k is backoff * 2^(k - 1), spread by the jitter. A budget is a token bucket, as in
    gRPC and Envoy: see doorbuster.load.customers.retry_policy.
    """

    attempts: Annotated[int, whole(2, MAX_ATTEMPTS)] = Field(
        description="Maximum attempts per request, including the first.", examples=[3]
    )
    timeout_s: PositiveDurationS | None = Field(
        default=None,
        description="Timeout of one attempt. Default: the timeout of all requests.",
        examples=["500ms"],
    )
    backoff_s: DurationS = Field(
        default=0.1,
        description="Wait before the first retry; doubles with each. Under 10ms for 4 attempts at most.",
        examples=["100ms"],
    )
    jitter_ratio: Share = Field(
        default=0.5, description="Random spread of the wait, to either side.", examples=["50%"]
    )
    budget_ratio: Share | None = Field(
        default=None,
        description="Maximum retries per first attempt, over all customers of a worker. Default: no limit.",
        examples=["10%"],
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[KeyIssue]:
        """Many attempts need a wait between them."""
        backoff_s = try_parse(duration(zero=True), raw["backoff"]) if "backoff" in raw else None
        attempts = raw.get("attempts")
        if backoff_s is None or backoff_s >= MIN_BACKOFF_S or not isinstance(attempts, int):
            return
        if attempts > MAX_ATTEMPTS_AT_ONCE:
            yield KeyIssue(
                ("backoff",),
                f"must be at least {format_duration(MIN_BACKOFF_S)} for more than {MAX_ATTEMPTS_AT_ONCE}"
                " attempts",
                preview(raw["backoff"]),
                f"raise it, or set attempts to {MAX_ATTEMPTS_AT_ONCE} or less",
            )


@value_type({"anyOf": [duration(zero=False).schema, model_schema(Patience)]})
def parse_room_patience(raw: object) -> object:
    """One time for all customers, or a patience distribution."""
    if isinstance(raw, dict | Patience):
        return Patience.model_validate(raw)
    if isinstance(raw, str):
        return duration(zero=False)(raw)
    raise invalid(
        'must be a time such as "10m", or a distribution such as {tau: 10m, shape: 1.5}', got=preview(raw)
    )


class WaitingRoom(StrictModel):
    """How long customers stay in a waiting room.

    Default source: 60 of 100 callers hang up after 10 minutes on hold (Infinity, 2022).
    """

    patience: Annotated[float | Patience, parse_room_patience] = Field(
        default=600.0,
        description="When customers leave it: one time for all, or a distribution. Default: 10m.",
        examples=["10m", {"tau": "10m", "shape": 1.5}],
    )


class Offline(StrictModel):
    """A period without network: sales continue and are sent when the network is back."""

    from_s: DurationS = Field(description="Start of the period, in run time.", examples=["60s"])
    for_s: PositiveDurationS = Field(
        description="Duration of the period; then the sales are sent in one burst.", examples=["45s"]
    )

    @property
    def until_s(self) -> float:
        """End of the period, in run time."""
        return self.from_s + self.for_s


def check_requests_per_page(retries: object, reloads: object) -> Iterator[KeyIssue]:
    """Each reload allows all retries again: their product is how often one customer may request one page."""
    if not isinstance(retries, Mapping) or not isinstance(reloads, Mapping):
        return
    attempts = retries.get("attempts")
    most = reloads.get("max", Reloads.model_fields["max_reloads"].default)
    if isinstance(attempts, int) and isinstance(most, int) and attempts * (most + 1) > MAX_REQUESTS_PER_PAGE:
        yield KeyIssue(
            ("reloads",),
            f"and retries allow {attempts} × {most + 1:,} = {attempts * (most + 1):,} requests for one page, "
            f"and more than {MAX_REQUESTS_PER_PAGE:,} are not allowed",
            way_out="lower reloads.max or retries.attempts",
            at="key",
        )
