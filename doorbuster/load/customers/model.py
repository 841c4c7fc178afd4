"""What a customer is told on arrival: when and where, what for, and how such people behave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from doorbuster.scenario import Offline, Reloads, Retries, Rule
from doorbuster.storefronts import Storefront, Visit

if TYPE_CHECKING:
    from doorbuster.load.customers.retry_policy import RetryBudget
    from doorbuster.load.customers.session import StepSession

Sampler = Callable[[Random], float]  # seconds, drawn with these random numbers
VisitSampler = Callable[[str, Random], Visit]  # who comes under this name

STEP_LIMIT_S = 60.0  # what a till, an agent or a patient customer waits at most for one step


class Arrival(NamedTuple):
    """One intended visit; `intended_at` is a reading of `time.perf_counter`.

    `name` is unique within the run and the same in every run with this seed: "17" for the schedule's
    arrival 17, "phone-3-12" for the twelfth caller of seat 3.
    """

    name: str
    channel: str
    journey: str
    intended_at: float


@dataclass(frozen=True)
class CustomerProfile:
    """What all customers of one channel and journey have in common; made once per run.

    driver, session: the face the shop shows in this channel, and the client it is seen through.
    limit_s: what one attempt may take where nobody loses patience before.
    patience_with: for each device, where devices differ; else None.
    rules: step name -> content rules for it, where the scenario has any; else None.
    counts_visits: whether devices, accounts and addresses of their own are counted on arrival.
    answered: step name -> number of the series under which the recorder knows its successes.
    """

    channel: str
    journey: str
    wants_order: bool
    seated: bool
    driver: type[Storefront]
    session: type[StepSession]
    visit: VisitSampler
    patience: Sampler
    think: Sampler
    pages: Callable[[Random], int]
    room_patience: Sampler
    limit_s: float = STEP_LIMIT_S
    patience_with: Mapping[str, Sampler] | None = None
    reloads: Reloads | None = None
    retries: Retries | None = None
    budget: RetryBudget | None = None
    offline: Offline | None = None
    rules: Callable[[str], tuple[Rule, ...]] | None = None
    counts_visits: bool = False
    answered: dict[str, int] = field(default_factory=dict)


class VisitEnded(Exception):  # noqa: N818  a customer leaves; that is no error of ours
    """Ends a journey early; `outcome` and `cause` are the vocabulary of the run file.

    is_retryable: whether a machine would try again. retry_after_s: what the shop asked for.
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
