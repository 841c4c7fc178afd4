"""A plateau of the capacity search: what was asked, what was measured, how it is judged.

Rules of this module:
- pass: every threshold's whole 95 % interval keeps the promise. fail: one whole interval breaks it, or the
  number in the shop was growing for good. Everything else is unsure, and wants more time.
- A plateau that the generator could not deliver is invalid: it says nothing about the shop.
- Plateaus at the same rate are one longer plateau: their blocks of time are pooled, not their verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbuster.capacity.indicator import Count, Indicator, Reading, queue_grows, read
from doorbuster.units import format_duration

Kind = Literal["ramp", "bracket", "bisect", "extend", "confirm", "confirm-above", "from-above"]
Status = Literal["pass", "fail", "unsure", "invalid"]

LEAST_DELIVERED_RATIO = 0.99
SAME_RATE_RATIO = 1e-6
SHORTEST_VERDICT_S = 10
CLEAR_AFTER_S = 25
_HOPELESS_LEVEL = math.log(2.0)
_CLEAR_LEVEL = 1.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """A plateau to run next: arrivals at `rate_per_s` for `settle_s` (not judged), then for `hold_s`.

    "from-above" first sends `overload_per_s` for `overload_s`; then `settle_s` is the time to recover in.
    """

    kind: Kind
    rate_per_s: float
    settle_s: float
    hold_s: float
    why: str
    overload_per_s: float = 0.0
    overload_s: float = 0.0

    @property
    def lasts_s(self) -> float:
        """How long customers arrive."""
        return self.overload_s + self.settle_s + self.hold_s


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one plateau gave, from the end of settling on.

    Args:
        seconds: whole seconds observed; fewer than asked when it was ended early.
        in_system: requests (or customers) in the shop, once a second, shape (seconds,).
        completed_per_s: customers (in the unit of the rate) that the shop finished per second.
        delivered_ratio: arrivals that were started in time, of those planned.
        elapsed_s: everything it cost, with settling and draining.
        generator_limit: why the generator could not deliver; "" when it could.
        drained: the shop was empty again before the patience for it ran out.
    """

    proposal: Proposal
    seconds: int
    indicators: tuple[Indicator, ...]
    in_system: NDArray[np.float64]
    completed_per_s: float
    elapsed_s: float
    delivered_ratio: float = 1.0
    generator_limit: str = ""
    drained: bool = True

    @property
    def lasted_s(self) -> float:
        """How long customers arrived; shorter than was proposed when it was ended early."""
        return self.proposal.overload_s + self.proposal.settle_s + self.seconds


@dataclass(frozen=True, slots=True, eq=False)
class Plateau:
    """A measured plateau with its verdict, and why."""

    measured: Measured
    status: Status
    growing: bool
    readings: tuple[Reading, ...]
    why: str

    @property
    def kind(self) -> Kind:
        return self.measured.proposal.kind

    @property
    def rate_per_s(self) -> float:
        return self.measured.proposal.rate_per_s

    @property
    def is_empty(self) -> bool:
        """Whether nobody came who was counted: it says nothing, and surely not that the shop held."""
        pairs = zip(self.readings, self.measured.indicators, strict=True)
        tried = [reading.n for reading, indicator in pairs if not isinstance(indicator, Count)]
        return bool(tried) and not any(tried)


@dataclass(frozen=True, slots=True, eq=False)
class RateEvidence:
    """Everything known about one rate: the plateaus there, pooled."""

    rate_per_s: float
    plateaus: tuple[Plateau, ...]
    readings: tuple[Reading, ...]
    growing: bool
    status: Status
    why: str

    @property
    def seconds(self) -> float:
        """How long this rate was observed."""
        return float(sum(plateau.measured.seconds for plateau in self.plateaus))

    @property
    def level(self) -> float:
        """The worst threshold's level, ln(observed / allowed); infinite when the queue grew."""
        if self.growing:
            return math.inf
        return max((-math.inf if r.level is None else r.level for r in self.readings), default=-math.inf)


def judge_plateau(measured: Measured) -> Plateau:
    """Pass, fail, unsure or invalid, with the reason in words."""
    readings = tuple(read([indicator], [measured.seconds]) for indicator in measured.indicators)
    growing = queue_grows(measured.in_system, measured.proposal.rate_per_s)
    if measured.generator_limit or measured.delivered_ratio < LEAST_DELIVERED_RATIO:
        why = measured.generator_limit or (
            f"only {measured.delivered_ratio:.1%} of the arrivals could be started in time"
        )
        return Plateau(measured, "invalid", growing, readings, f"not the shop's doing: {why}")
    status, why = _verdict(readings, growing=growing, seconds=measured.seconds)
    return Plateau(measured, status, growing, readings, why)


def end_early(measured: Measured) -> str:
    """Why a plateau that is still running need not be finished; "" when it must be.

    A queue that grows for good with a threshold already broken twice over, or `CLEAR_AFTER_S` after which a
    threshold is certainly broken nearly three times over: more time would only make that more certain.
    """
    if measured.seconds < SHORTEST_VERDICT_S:
        return ""
    growing = queue_grows(measured.in_system, measured.proposal.rate_per_s)
    if not growing and measured.seconds < CLEAR_AFTER_S:
        return ""
    for indicator in measured.indicators:
        found = read([indicator], [measured.seconds], tails=False)
        if growing and found.level is not None and found.level > _HOPELESS_LEVEL:
            return (
                f"the queue grows and {found.name} is already at {_factor(found.level)} times what is allowed"
            )
        if measured.seconds >= CLEAR_AFTER_S and _CLEAR_LEVEL < found.low < math.inf:
            return f"{found.name} is certainly at more than {_factor(found.low)} times what is allowed"
    return ""


def evidence_by_rate(history: Sequence[Plateau], *, tails: bool = True) -> tuple[RateEvidence, ...]:
    """The judged plateaus pooled by rate, lowest first; from above, invalid and empty ones are left out."""
    groups: list[list[Plateau]] = []
    usable = [p for p in history if p.status != "invalid" and p.kind != "from-above" and not p.is_empty]
    for plateau in sorted(usable, key=lambda plateau: plateau.rate_per_s):
        rate = groups[-1][0].rate_per_s if groups else math.nan
        if groups and plateau.rate_per_s <= rate * (1 + SAME_RATE_RATIO):
            groups[-1].append(plateau)
        else:
            groups.append([plateau])
    return tuple(_pool(group, tails=tails) for group in groups)


def _pool(group: list[Plateau], *, tails: bool) -> RateEvidence:
    rate = group[0].rate_per_s
    if len(group) == 1 and tails:
        only = group[0]
        return RateEvidence(rate, (only,), only.readings, only.growing, only.status, only.why)
    seconds = [plateau.measured.seconds for plateau in group]
    by_indicator = zip(*(plateau.measured.indicators for plateau in group), strict=True)
    readings = tuple(read(parts, seconds, tails=tails) for parts in by_indicator)
    grew = sum(plateau.measured.seconds for plateau in group if plateau.growing)
    growing = grew * 2 > sum(seconds)
    status, why = _verdict(readings, growing=growing, seconds=sum(seconds))
    return RateEvidence(rate, tuple(group), readings, growing, status, why)


def _verdict(readings: Sequence[Reading], *, growing: bool, seconds: float) -> tuple[Status, str]:
    if growing:
        return "fail", "the number in the shop was still growing: this is more than it can work off"
    broken = [found for found in readings if found.low > 0]
    if broken:
        worst = max(broken, key=lambda found: found.low)
        return "fail", f"{worst.name} at {_span(worst)} what is allowed"
    if not readings or any(found.n == 0 for found in readings):
        return "unsure", "nothing was counted for a threshold"
    nearest = max(readings, key=lambda found: found.high)
    if nearest.high <= 0:
        return "pass", f"{nearest.name} at {_span(nearest)} what is allowed"
    return "unsure", f"{nearest.name} at {_span(nearest)} what is allowed after {format_duration(seconds)}"


def _span(found: Reading) -> str:
    level = -math.inf if found.level is None else found.level
    return f"{_factor(level)} times ({_factor(found.low)} to {_factor(found.high)})"


def _factor(level: float) -> str:
    if level > math.log(1e4):
        return "over 10000"
    value = math.exp(level)
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
