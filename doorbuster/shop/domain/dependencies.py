"""The services behind the shop (payment, stock, search, recommendations, reviews, mail) and their faults.

A fault makes one part slow, or fail for a share of its calls, for a while. Times of faults are relative to a
moment told with them, so that a run can plan them before it starts.

The designs differ in how they wait. In the in-house shop whoever needs a part waits for it on a database
worker, and what a page needs in order to be complete, the whole page needs. The replatformed shop waits
without holding anything, leaves out of a page what does not come within OPTIONAL_LIMIT_S, and sends its mail
later.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from doorbuster.shop.infrastructure.database import Session
from doorbuster.shop.refusals import PartFailed

PARTS = ("payment", "stock", "search", "recommendations", "reviews", "mail")
OPTIONAL_LIMIT_S = 0.1
# What the replatformed shop needs before it can do each kind of work.
NEEDED = {
    "basket_add": ("stock",),
    "place_order": ("stock", "payment"),
    "till_sale": ("stock", "payment"),
    "phone_order": ("stock", "payment"),
    "partner_order": ("stock",),
    "search": ("search",),
    "recommendations": ("recommendations",),
    "reviews": ("reviews",),
    "review": ("reviews",),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`part` takes `slow_s` longer and fails for `fail_ratio` of its calls, from `at_s` on for `for_s`."""

    part: str
    at_s: float = 0.0
    for_s: float = inf
    slow_s: float = 0.0
    fail_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one call of a part meets: how long it takes, and whether it comes to nothing."""

    takes_s: float
    fails: bool


EASE = Trouble(0.0, fails=False)


class Parts:
    """The state of all parts; safe to use from every thread."""

    def __init__(
        self,
        *,
        payment_time_s: float,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        self._payment_time_s = payment_time_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._faults: tuple[Fault, ...] = ()
        self._starts_at_unix_s = 0.0

    def set_faults(self, faults: tuple[Fault, ...], *, starts_at_unix_s: float) -> None:
        """Replace all faults; their times count from `starts_at_unix_s`."""
        self._starts_at_unix_s = starts_at_unix_s
        self._faults = faults

    @property
    def quiet(self) -> bool:
        """Whether no part can be slow or fail: nothing needs to be asked."""
        return not self._faults and self._payment_time_s == 0

    def trouble(self, part: str) -> Trouble:
        """What a call of `part` at this moment meets; faults at the same time add up."""
        takes_s = self._payment_time_s if part == "payment" else 0.0
        fails = False
        if self._faults:
            now_s = self._clock() - self._starts_at_unix_s
            for fault in self._faults:
                if fault.part == part and fault.at_s <= now_s < fault.at_s + fault.for_s:
                    takes_s += fault.slow_s
                    fails = fails or self._rng.random() < fault.fail_ratio
        return Trouble(takes_s, fails=fails) if takes_s or fails else EASE

    def now(self) -> dict[str, dict[str, float | bool]]:
        """What a call of each part would meet at this moment."""
        troubles = {part: self.trouble(part) for part in PARTS}
        return {part: {"slow_s": met.takes_s, "fails": met.fails} for part, met in troubles.items()}

    def wait(self, db: Session, part: str) -> None:
        """Call a part while holding a database worker; raises PartFailed."""
        if self.quiet:
            return
        trouble = self.trouble(part)
        db.pause(trouble.takes_s)
        if trouble.fails:
            raise PartFailed(part)

    async def need(self, kind: str) -> None:
        """Call what this kind of work needs, holding nothing; raises PartFailed."""
        for part in NEEDED.get(kind, ()):
            trouble = self.trouble(part)
            if trouble.takes_s:
                await asyncio.sleep(trouble.takes_s)
            if trouble.fails:
                raise PartFailed(part)

    async def missing(self, parts: tuple[str, ...]) -> frozenset[str]:
        """Which optional parts a page must do without: those that fail, or take longer than the limit."""
        troubles = {part: self.trouble(part) for part in parts}
        longest_s = max(trouble.takes_s for trouble in troubles.values())
        if longest_s:
            await asyncio.sleep(min(longest_s, OPTIONAL_LIMIT_S))
        return frozenset(
            part for part, trouble in troubles.items() if trouble.fails or trouble.takes_s > OPTIONAL_LIMIT_S
        )
