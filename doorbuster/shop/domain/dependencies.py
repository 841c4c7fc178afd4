"""The services behind the shop (payment, stock, search, recommendations, reviews, mail) and their faults.

A fault slows one dependency down, or fails a share of its calls, for a limited time. Fault times are relative
to a start time sent with them, so that a run can schedule them before it starts.

The designs differ in how they wait. The in-house shop calls a dependency while it holds a database worker,
and a page fails when any of its dependencies fails. The replatformed shop holds no worker while it waits,
omits the optional dependencies that take longer than OPTIONAL_LIMIT_S, and sends mail after the response.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from doorbuster.shop.http_errors import DependencyFailed
from doorbuster.shop.infrastructure.busy_time import ServiceSlots
from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop_settings import DEPENDENCIES

OPTIONAL_LIMIT_S = 0.1
# What the replatformed shop needs before it can do each kind of work.
DEPENDENCIES_OF = {
    "basket_add": ("stock",),
    "place_order": ("stock", "payment"),
    "pos_sale": ("stock", "payment"),
    "phone_order": ("stock", "payment"),
    "partner_order": ("stock",),
    "search": ("search",),
    "recommendations": ("recommendations",),
    "reviews": ("reviews",),
    "review": ("reviews",),
}


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """From `at_s` on for `for_s`, `dependency` takes `slow_s` longer and `fail_ratio` of its calls fail."""

    dependency: str
    at_s: float = 0.0
    for_s: float = inf
    slow_s: float = 0.0
    fail_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How long one call of a dependency takes, and whether it fails."""

    takes_s: float
    fails: bool


HEALTHY = CallOutcome(0.0, fails=False)


class Dependencies:
    """The state of all dependencies; safe to use from every thread."""

    def __init__(
        self,
        *,
        payment_time_s: float,
        payment_slots: int | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._payment_time_s = payment_time_s
        self.services = {name: ServiceSlots(None) for name in DEPENDENCIES}
        self.services["payment"] = ServiceSlots(payment_slots)
        self._clock = clock
        self._rng = rng or random.Random()
        self._faults: tuple[InjectedFault, ...] = ()
        self._starts_at_unix_s = 0.0

    def set_faults(self, faults: tuple[InjectedFault, ...], *, starts_at_unix_s: float) -> None:
        """Replace all faults; their times count from `starts_at_unix_s`."""
        self._starts_at_unix_s = starts_at_unix_s
        self._faults = faults

    @property
    def all_healthy(self) -> bool:
        """Whether no dependency can be slow or fail at any time, so that calls need no check."""
        return not self._faults and self._payment_time_s == 0

    def call_outcome(self, dependency: str) -> CallOutcome:
        """The outcome of a call of `dependency` now; simultaneous faults add up."""
        takes_s = self._payment_time_s if dependency == "payment" else 0.0
        fails = False
        if self._faults:
            now_s = self._clock() - self._starts_at_unix_s
            for fault in self._faults:
                if fault.dependency == dependency and fault.at_s <= now_s < fault.at_s + fault.for_s:
                    takes_s += fault.slow_s
                    fails = fails or self._rng.random() < fault.fail_ratio
        return CallOutcome(takes_s, fails=fails) if takes_s or fails else HEALTHY

    def now(self) -> dict[str, dict[str, float | bool]]:
        """The outcome that a call of each dependency would have now."""
        outcomes = {dependency: self.call_outcome(dependency) for dependency in DEPENDENCIES}
        return {
            dependency: {"slow_s": met.takes_s, "fails": met.fails} for dependency, met in outcomes.items()
        }

    def wait(self, db: Session, dependency: str) -> None:
        """Call a dependency while holding a database worker; raises DependencyFailed."""
        if self.all_healthy:
            return
        outcome = self.call_outcome(dependency)
        db.pause(self._delay_s(dependency, outcome))
        if outcome.fails:
            raise DependencyFailed(dependency)

    async def need(self, kind: str) -> None:
        """Call what this kind of work needs, holding nothing; raises DependencyFailed."""
        for dependency in DEPENDENCIES_OF.get(kind, ()):
            outcome = self.call_outcome(dependency)
            if delay_s := self._delay_s(dependency, outcome):
                await asyncio.sleep(delay_s)
            if outcome.fails:
                raise DependencyFailed(dependency)

    async def missing(self, dependencies: tuple[str, ...]) -> frozenset[str]:
        """The optional dependencies to omit from a page: those that fail, or take longer than the limit."""
        outcomes = {dependency: self.call_outcome(dependency) for dependency in dependencies}
        for dependency, outcome in outcomes.items():
            self._delay_s(dependency, outcome)
        longest_s = max(outcome.takes_s for outcome in outcomes.values())
        if longest_s:
            await asyncio.sleep(min(longest_s, OPTIONAL_LIMIT_S))
        return frozenset(
            dependency
            for dependency, outcome in outcomes.items()
            if outcome.fails or outcome.takes_s > OPTIONAL_LIMIT_S
        )

    def _delay_s(self, dependency: str, outcome: CallOutcome) -> float:
        """Count a call, and how long the caller waits for its result."""
        service = self.services[dependency]
        service.errors += outcome.fails
        return service.call(outcome.takes_s)
