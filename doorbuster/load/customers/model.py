"""Values that describe a customer: the arrival, and the profile of a channel and journey."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from doorbuster.load.customers.retry_budget import RetryBudget
from doorbuster.scenario import ContentRule, Offline, Reloads, Retries, VisitChain
from doorbuster.storefronts import Storefront, Visit

Sampler = Callable[[Random], float]  # seconds, drawn with these random numbers
VisitSampler = Callable[[str, Random], Visit]  # from the name of the arrival

STEP_LIMIT_S = 60.0  # longest wait of a customer without a patience limit, and of any machine


class Arrival(NamedTuple):
    """One intended visit; `intended_at` is a reading of `time.perf_counter`.

    `name` is unique within the run and the same in every run with this seed: "17" for the schedule's
    arrival 17, "phone-3-12" for the twelfth customer of closed-loop user 3.
    """

    name: str
    channel: str
    journey: str
    intended_at: float


@dataclass(frozen=True)
class CustomerProfile:
    """What all customers of one channel and journey have in common; made once per run.

    is_closed: whether the channel is a closed workload (`seats`).
    driver: the storefront as it looks in this channel. open_session: see `customers.session`.
    limit_s: time limit of one attempt, for customers whose patience lasts longer.
    patience_by_device: None if it is the same on every device.
    chain: the pages of the journey, instead of a method of that name.
    rules: content rules of a step; None if the scenario has none.
    paces_steps: whether each step waits for the ceiling on requests, because its protocol's client does not.
    loads_assets: whether the static assets of pages are fetched.
    counts_visits: whether devices, sign-ins and cache-busting visits are counted.
    series_of_step: step name -> number of the series in which its successes are recorded.
    """

    channel: str
    journey: str
    wants_order: bool
    is_closed: bool
    driver: type[Storefront]
    open_session: Callable[..., Any]
    visit: VisitSampler
    patience: Sampler
    think: Sampler
    pages: Callable[[Random], int]
    room_patience: Sampler
    limit_s: float = STEP_LIMIT_S
    patience_by_device: Mapping[str, Sampler] | None = None
    reloads: Reloads | None = None
    retries: Retries | None = None
    budget: RetryBudget | None = None
    offline: Offline | None = None
    chain: VisitChain | None = None
    rules: Callable[[str], tuple[ContentRule, ...]] | None = None
    paces_steps: bool = False
    loads_assets: bool = False
    counts_visits: bool = False
    series_of_step: dict[str, int] = field(default_factory=dict)


class VisitEnded(Exception):  # noqa: N818  a customer leaves; that is not an error of the library
    """Ends a journey early; `outcome` and `cause` are values of `records.outcome`.

    is_retryable: whether a machine would retry. retry_after_s: the delay that the shop asked for.
    """

    def __init__(
        self, outcome: str, step: str, cause: str, *, is_retryable: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(f"{outcome} at {step}: {cause}")
        self.outcome = outcome
        self.step = step
        self.cause = cause
        self.is_retryable = is_retryable
        self.retry_after_s = retry_after_s
