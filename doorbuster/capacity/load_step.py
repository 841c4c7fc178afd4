"""A load step of the capacity search: a constant arrival rate, its measurements and its verdict.

Rules of this module:
- pass: the whole 95 % interval of every threshold meets the bound. fail: one whole interval violates it, or
  the number of customers in the shop kept growing. Everything else is unsure and needs more time.
- A load step that the generator could not deliver is invalid: it says nothing about the shop.
- Load steps at the same rate are pooled second by second, not by their verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from doorbuster.capacity.bound_distance import BoundDistance, Count, LevelEstimate, evaluate, queue_grows
from doorbuster.units import format_duration

Kind = Literal["ramp", "bracket", "bisect", "extend", "confirm", "confirm-above", "idle", "overload-recovery"]
Status = Literal["pass", "fail", "unsure", "invalid"]

MIN_DELIVERED_RATIO = 0.99
SATURATED_RATIO = 0.8  # completed over offered
SAME_RATE_RATIO = 1e-6
MIN_VERDICT_S = 10
CLEAR_AFTER_S = 25
MIN_CERTAIN_VIOLATIONS = 8
_CLEARLY_BROKEN_LEVEL = math.log(2.0)
_CLEAR_LEVEL = 1.0


@dataclass(frozen=True, slots=True)
class ProposedStep:
    """A load step to run next: arrivals at `rate_per_s` for `warmup_s` (not judged), then for `hold_s`.

    "overload-recovery" first sends `overload_per_s` for `overload_s`; `warmup_s` is then the recovery time.
    """

    kind: Kind
    rate_per_s: float
    warmup_s: float
    hold_s: float
    why: str
    overload_per_s: float = 0.0
    overload_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """How long customers arrive."""
        return self.overload_s + self.warmup_s + self.hold_s


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredStep:
    """Measurements of one load step, from the end of its warm-up on.

    Args:
        seconds: whole seconds observed; fewer than proposed when it was ended early.
        in_system: requests (or customers) in the shop, sampled once a second, shape (seconds,).
        completed_per_s: throughput in the unit of the rate.
        delivered_ratio: started arrivals over planned arrivals.
        elapsed_s: total time, including warm-up and drain.
        generator_limit: why the generator could not deliver the rate; "" when it did.
        is_at_ceiling: the reason is the scenario's own ceiling, safety.max_rate.
        drained: every customer left the shop before the drain time ended.
    """

    proposal: ProposedStep
    seconds: int
    bound_distances: tuple[BoundDistance, ...]
    in_system: NDArray[np.float64]
    completed_per_s: float
    elapsed_s: float
    delivered_ratio: float = 1.0
    generator_limit: str = ""
    is_at_ceiling: bool = False
    drained: bool = True

    @property
    def arrivals_s(self) -> float:
        """How long customers arrived; shorter than proposed when the step was ended early."""
        return self.proposal.overload_s + self.proposal.warmup_s + self.seconds


@dataclass(frozen=True, slots=True, eq=False)
class LoadStep:
    """A measured load step with its verdict and the reason."""

    measured: MeasuredStep
    status: Status
    growing: bool
    estimates: tuple[LevelEstimate, ...]
    why: str

    @property
    def kind(self) -> Kind:
        return self.measured.proposal.kind

    @property
    def rate_per_s(self) -> float:
        return self.measured.proposal.rate_per_s

    @property
    def is_saturated(self) -> bool:
        """Whether the shop did not keep up: the queue grew, or too few customers left."""
        return self.growing or self.measured.completed_per_s < SATURATED_RATIO * self.rate_per_s

    @property
    def is_empty(self) -> bool:
        """Whether nothing was counted: such a step has no verdict, and never counts as a pass."""
        pairs = zip(self.estimates, self.measured.bound_distances, strict=True)
        tried = [estimate.n for estimate, bound_distance in pairs if not isinstance(bound_distance, Count)]
        return bool(tried) and not any(tried)


@dataclass(frozen=True, slots=True, eq=False)
class RateEvidence:
    """All load steps at one rate, pooled."""

    rate_per_s: float
    load_steps: tuple[LoadStep, ...]
    estimates: tuple[LevelEstimate, ...]
    growing: bool
    status: Status
    why: str

    @property
    def seconds(self) -> float:
        """Total observation time at this rate."""
        return float(sum(step.measured.seconds for step in self.load_steps))

    @property
    def certainly_fails(self) -> bool:
        """Whether the failure cannot be chance: the queue grew, or enough violations in enough time.

        One slow request of the first five is a failure at the 5 % level, which happens in many searches.
        """
        return self.status == "fail" and (self.growing or self.certainly_violates)

    @property
    def certainly_violates(self) -> bool:
        """Whether a threshold has too many violations for chance."""
        distances = self.load_steps[0].measured.bound_distances
        return any(
            found.low > _CLEARLY_BROKEN_LEVEL
            and (isinstance(one, Count) or found.violations(one.limit_ratio) >= MIN_CERTAIN_VIOLATIONS)
            for found, one in zip(self.estimates, distances, strict=True)
        )

    def certainly_passes(self, places: Sequence[int]) -> bool:
        """Whether these thresholds hold by the count of violations alone: an upper limit for clusters.

        D chi2(0.95; 2 (k / D + 1)) / 2 is the upper limit of a Poisson count k in clusters of D; 3 for none.
        """
        from scipy.special import chdtri

        distances = self.load_steps[0].measured.bound_distances
        for place in places:
            found, distance = self.estimates[place], distances[place]
            if isinstance(distance, Count):
                if found.low > 0 or not found.n:
                    return False
                continue
            limit = distance.limit_ratio
            observed = found.violations(limit)
            cluster = max(1.0, found.se**2 * observed) if observed and math.isfinite(found.se) else 1.0
            upper = cluster * float(chdtri(2 * (observed / cluster + 1), 0.05)) / 2
            if self.growing or upper > found.n * limit:
                return False
        return bool(places)

    @property
    def level(self) -> float:
        """The worst threshold's level, ln(observed / allowed); infinite when the queue grew."""
        if self.growing:
            return math.inf
        return max((-math.inf if r.level is None else r.level for r in self.estimates), default=-math.inf)


def judge_step(measured: MeasuredStep) -> LoadStep:
    """Decide pass, fail, unsure or invalid, and state the reason."""
    estimates = tuple(
        evaluate([bound_distance], [measured.seconds]) for bound_distance in measured.bound_distances
    )
    growing = queue_grows(measured.in_system, measured.proposal.rate_per_s)
    if measured.generator_limit or measured.delivered_ratio < MIN_DELIVERED_RATIO:
        why = measured.generator_limit or (
            f"only {measured.delivered_ratio:.1%} of the arrivals were started in time"
        )
        whose = "the scenario's limit" if measured.is_at_ceiling else "generator limit"
        return LoadStep(measured, "invalid", growing, estimates, f"{whose}, not the shop: {why}")
    status, why = _verdict(estimates, growing=growing, seconds=measured.seconds)
    return LoadStep(measured, status, growing, estimates, why)


def end_early(measured: MeasuredStep) -> str:
    """Why a running load step may end now; "" when it must go on.

    Either the queue grows and a threshold is at more than twice its limit, or after `CLEAR_AFTER_S` the whole
    interval of a threshold is above 2.7 times its limit: more time would not change the verdict.
    """
    if measured.seconds < MIN_VERDICT_S:
        return ""
    growing = queue_grows(measured.in_system, measured.proposal.rate_per_s)
    if not growing and measured.seconds < CLEAR_AFTER_S:
        return ""
    for bound_distance in measured.bound_distances:
        found = evaluate([bound_distance], [measured.seconds], tails=False)
        if growing and found.level is not None and found.level > _CLEARLY_BROKEN_LEVEL:
            return f"the queue grows and {found.name} is already at {_factor(found.level)} times its limit"
        if measured.seconds >= CLEAR_AFTER_S and _CLEAR_LEVEL < found.low < math.inf:
            return f"{found.name} is at more than {_factor(found.low)} times its limit (95 % confidence)"
    return ""


def evidence_by_rate(history: Sequence[LoadStep], *, tails: bool = True) -> tuple[RateEvidence, ...]:
    """Load steps pooled by rate, lowest first, without recovery tests, invalid and empty steps."""
    groups: list[list[LoadStep]] = []
    judged = [step for step in history if step.status != "invalid" and not step.is_empty]
    usable = [step for step in judged if step.kind != "overload-recovery"]
    for step in sorted(usable, key=lambda step: step.rate_per_s):
        rate = groups[-1][0].rate_per_s if groups else math.nan
        if groups and step.rate_per_s <= rate * (1 + SAME_RATE_RATIO):
            groups[-1].append(step)
        else:
            groups.append([step])
    return tuple(_pool(group, tails=tails) for group in groups)


def _pool(group: list[LoadStep], *, tails: bool) -> RateEvidence:
    rate = group[0].rate_per_s
    if len(group) == 1 and tails:
        only = group[0]
        return RateEvidence(rate, (only,), only.estimates, only.growing, only.status, only.why)
    seconds = [step.measured.seconds for step in group]
    by_distance = zip(*(step.measured.bound_distances for step in group), strict=True)
    estimates = tuple(evaluate(parts, seconds, tails=tails) for parts in by_distance)
    grew = sum(step.measured.seconds for step in group if step.growing)
    growing = grew * 2 > sum(seconds)
    status, why = _verdict(estimates, growing=growing, seconds=sum(seconds))
    return RateEvidence(rate, tuple(group), estimates, growing, status, why)


def _verdict(estimates: Sequence[LevelEstimate], *, growing: bool, seconds: float) -> tuple[Status, str]:
    if growing:
        return "fail", "the number of customers in the shop kept growing: the rate exceeds its throughput"
    broken = [found for found in estimates if found.low > 0]
    if broken:
        worst = max(broken, key=lambda found: found.low)
        return "fail", f"{worst.name} at {_span(worst)} its limit"
    if not estimates or any(found.n == 0 for found in estimates):
        return "unsure", "a threshold has no observations"
    nearest = max(estimates, key=lambda found: found.high)
    if nearest.high <= 0:
        return "pass", f"{nearest.name} at {_span(nearest)} its limit"
    return "unsure", f"{nearest.name} at {_span(nearest)} its limit after {format_duration(seconds)}"


def _span(found: LevelEstimate) -> str:
    level = -math.inf if found.level is None else found.level
    return f"{_factor(level)} times ({_factor(found.low)} to {_factor(found.high)})"


def _factor(level: float) -> str:
    if level > math.log(1e4):
        return "over 10000"
    value = math.exp(level)
    if 0 < value < 0.001:
        return "under 0.001"
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"
