"""Evidence of a capacity search: bracket, fitted line near the bound, best guess.

Rules of this module:
- Short load steps only locate the region. Points of the line need at least `WELL_OBSERVED_S`: within twelve
  seconds a busy queue may show no cluster of slow requests and look far too good.
- The tail estimate is used for all rates or for none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median

import numpy as np

from doorbuster.capacity.bound_distance import Count, Latencies, Ratio
from doorbuster.capacity.idle_crossing import CountPoint, IdleCrossing, find_idle_crossing
from doorbuster.capacity.load_step import LoadStep, MeasuredStep, RateEvidence, evidence_by_rate
from doorbuster.capacity.threshold_crossing import Crossing, QueuePrior
from doorbuster.capacity.threshold_line import EDGE, IN_SIGHT, UNLOADED_RATIO, fit_line
from doorbuster.capacity.unrecovered_steps import not_recovered_steps

WELL_OBSERVED_S = 25.0
WARMUPS_OBSERVED = 3.0  # a rate observed for so many warm-ups may pass without a slow request
USUAL_ELASTICITY = 12.0
TAIL_Z = 2.6  # 99 %: above this the count contradicts the tail estimate
ELASTICITY_RANGE = (4.0, 150.0)
MAX_GUESS_RATIO = 0.15
NEAR_IDLE_RATIO = 0.35  # idle violations over allowed ones, upper limit: from here on the line is not used
IDLE_SEEN_RATIO, MIN_SEEN = 0.1, 3.0  # lower limit of the idle part, or violations: fewer may be chance
MIN_ALLOWED = 3.0  # fewer allowed violations: seeing none says little
FLAT_ELASTICITY = 2.0  # a line this flat does not show where queues begin
_FLATTEST = 0.7


@dataclass(frozen=True)
class ThresholdTrend:
    """The fitted line of one threshold."""

    name: str
    crossing: Crossing


@dataclass(frozen=True)
class IdleTrend:
    """The fitted curve of one threshold whose limit may be near what an idle shop needs.

    `is_seen`: the violations of the idle shop are a large part of the allowed ones. Otherwise there were too
    few requests to exclude that.
    """

    name: str
    crossing: IdleCrossing
    is_seen: bool


@dataclass(frozen=True, eq=False)
class SearchBracket:
    """The judged load steps and what follows from them."""

    history: tuple[LoadStep, ...]
    evidence: tuple[RateEvidence, ...]
    _crossings: dict[int, IdleCrossing | None] = field(default_factory=dict)

    @classmethod
    def of(cls, history: Sequence[LoadStep]) -> SearchBracket:
        """Pool the history by rate; without tail estimates when the counts contradict them."""
        excluded = not_recovered_steps(history)
        believed = [step for step, is_excluded in zip(history, excluded, strict=True) if not is_excluded]
        evidence = evidence_by_rate(believed)
        if _tail_contradicted(evidence):
            evidence = evidence_by_rate(believed, tails=False)
        return cls(tuple(history), evidence)

    @cached_property
    def not_recovered(self) -> bool:
        """Whether the shop has failed, and not yet recovered, at a rate well below one that passed before."""
        return any(not_recovered_steps(self.history)[-1:])

    def __str__(self) -> str:
        """The bracket so far, e.g. "passes at 20/s, fails at 40/s"."""
        parts = [
            f"{verb} at {found.rate_per_s:.4g}/s"
            for verb, found in (("passes", self.highest_passing), ("fails", self.lowest_failing))
            if found is not None
        ]
        return ", ".join(parts) or "no verdict yet"

    @property
    def elapsed_s(self) -> float:
        """Time used so far."""
        return sum(step.measured.elapsed_s for step in self.history)

    @property
    def overhead_s(self) -> float:
        """Median time a load step needs besides its arrivals: starting the generator, draining the shop."""
        runs = [step.measured for step in self.history]
        return median(run.elapsed_s - run.arrivals_s for run in runs) if runs else 0.0

    @property
    def undelivered_per_s(self) -> float:
        """The lowest rate that the generator could not deliver; infinite when it delivered all."""
        rates = [step.rate_per_s for step in self.history if step.status == "invalid"]
        return min(rates, default=math.inf)

    @cached_property
    def lowest_failing(self) -> RateEvidence | None:
        """The lowest rate whose estimate violates a threshold; well observed rates take precedence."""
        well_observed = [found for found in self.well_observed if found.level > 0]
        floor = max((found.rate_per_s for found in self.well_observed if found.level <= 0), default=0.0)
        short = [found for found in self.evidence if found.level > 0 and found.rate_per_s > floor]
        return min([*well_observed, *short], key=lambda found: found.rate_per_s, default=None)

    @cached_property
    def highest_passing(self) -> RateEvidence | None:
        """The highest rate below `lowest_failing` whose estimate meets all thresholds."""
        top = self.lowest_failing.rate_per_s if self.lowest_failing else math.inf
        below = [found for found in self.evidence if found.level <= 0 and found.rate_per_s < top]
        return below[-1] if below else None

    @cached_property
    def well_observed(self) -> tuple[RateEvidence, ...]:
        """Rates observed long enough for a point of the line, or conclusive because the queue grew.

        Rates of idle steps are left out: far below the line, they would flatten it.
        """
        long_enough = [found for found in self.evidence if found.seconds >= WELL_OBSERVED_S or found.growing]
        return tuple(at for at in long_enough if all(step.kind != "idle" for step in at.load_steps))

    @cached_property
    def trends(self) -> tuple[ThresholdTrend, ...]:
        """The fitted line of each threshold, where there are enough points."""
        names = [estimate.name for estimate in self.evidence[0].estimates] if self.evidence else []
        found = (
            (name, fit_line(place, self.evidence, self.well_observed, self._prior(place)))
            for place, name in enumerate(names)
        )
        return tuple(ThresholdTrend(name, crossing) for name, crossing in found if crossing is not None)

    @cached_property
    def binding_trend(self) -> ThresholdTrend | None:
        """The line that reaches its bound at the lowest rate: the binding threshold."""
        return min(self.trends, key=lambda line: line.crossing.rate_per_s, default=None)

    @cached_property
    def idle_trends(self) -> tuple[IdleTrend, ...]:
        """The fitted curve of each threshold whose limit is near what an idle shop needs."""
        names = [estimate.name for estimate in self.evidence[0].estimates] if self.evidence else []
        near = [(name, place) for place, name in enumerate(names) if self._is_near_idle(place)]
        found = ((name, place, self._idle_crossing(place)) for name, place in near)
        return tuple(
            IdleTrend(name, crossing, self._is_idle_part_seen(place, crossing))
            for name, place, crossing in found
            if crossing is not None
        )

    def _is_idle_part_seen(self, place: int, crossing: IdleCrossing) -> bool:
        calm = self.calm_points(place, crossing.rate_per_s)
        observed = sum(at.observed for at in calm)
        often = observed >= max(MIN_SEEN, NEAR_IDLE_RATIO * sum(at.allowed for at in calm))
        return often or crossing.idle_low >= IDLE_SEEN_RATIO

    @cached_property
    def binding_idle_trend(self) -> IdleTrend | None:
        """The curve near idle that reaches its bound first; None when a line reaches its bound before."""
        first = min(self.idle_trends, key=lambda trend: trend.crossing.rate_per_s, default=None)
        near = {trend.name for trend in self.idle_trends}
        lines = [line.crossing.rate_per_s for line in self.trends if line.name not in near]
        return first if first is None or first.crossing.rate_per_s <= min(lines, default=math.inf) else None

    @cached_property
    def _counted(self) -> tuple[RateEvidence, ...]:
        excluded = not_recovered_steps(self.history)
        believed = [step for step, out in zip(self.history, excluded, strict=True) if not out]
        return evidence_by_rate(believed, tails=False)

    def _count_points(self, place: int) -> list[CountPoint]:
        bound_distance = self.history[0].measured.bound_distances[place]
        if isinstance(bound_distance, Count) or self._is_level(place):
            return []
        limit = bound_distance.limit_ratio
        found = []
        for at in self._counted:
            estimate = at.estimates[place]
            allowed = estimate.n * limit
            if at.growing or not allowed:
                continue
            observed = estimate.violations(limit)
            known = observed and math.isfinite(estimate.se)
            dispersion = max(1.0, estimate.se**2 * observed) if known else 1.0
            found.append(
                CountPoint(
                    at.rate_per_s, allowed, observed, dispersion, estimate.degrees_of_freedom, at.seconds
                )
            )
        return found

    def allowed_per_customer(self, place: int) -> float:
        """Violations that the threshold allows per customer; 0 for events that must not happen."""
        points = self._count_points(place)
        came = sum(at.rate_per_s * at.seconds for at in points)
        return sum(at.allowed for at in points) / came if came else 0.0

    @cached_property
    def most_allowed_per_customer(self) -> float:
        """`allowed_per_customer` of the threshold that has most."""
        places = range(len(self.evidence[0].estimates)) if self.evidence else ()
        return max((self.allowed_per_customer(place) for place in places), default=0.0)

    def _is_level(self, place: int) -> bool:
        bound_distance = self.history[0].measured.bound_distances[place]
        return isinstance(bound_distance, Ratio) and bound_distance.is_level

    def _is_near_idle(self, place: int) -> bool:
        """Whether idle violations may be a large part of the allowed ones, or the line is too flat."""
        if self._is_level(place):
            return False
        line = next((trend.crossing for trend in self.trends if trend.name == self._name(place)), None)
        if line is not None and line.elasticity < FLAT_ELASTICITY:
            return True
        calm = self.calm_points(place, line.rate_per_s if line is not None else self._middle_per_s)
        if sum(at.allowed for at in calm) >= MIN_ALLOWED and not any(at.observed for at in calm):
            return False
        crossing = self._idle_crossing(place)
        return crossing is not None and crossing.idle_high >= NEAR_IDLE_RATIO

    def calm_points(self, place: int, centre_per_s: float) -> list[CountPoint]:
        """What was counted at rates far enough below a crossing to have no queues."""
        return [at for at in self._count_points(place) if at.rate_per_s < UNLOADED_RATIO * centre_per_s]

    def _idle_crossing(self, place: int) -> IdleCrossing | None:
        if place not in self._crossings:
            self._crossings[place] = self._fit_idle_crossing(place)
        return self._crossings[place]

    def _fit_idle_crossing(self, place: int) -> IdleCrossing | None:
        points = self._count_points(place)
        grew = min((at.rate_per_s for at in self._counted if at.growing), default=math.inf)
        top = min(grew, max((at.rate_per_s for at in points), default=0.0))
        return find_idle_crossing(points, top_per_s=top) if top else None

    def _name(self, place: int) -> str:
        return self.evidence[0].estimates[place].name

    @property
    def _middle_per_s(self) -> float:
        if self.lowest_failing is None or self.highest_passing is None:
            return 0.0
        return math.sqrt(self.highest_passing.rate_per_s * self.lowest_failing.rate_per_s)

    @cached_property
    def elasticity(self) -> float:
        """Rise of the worst level per logarithm of the rate, from the best source available."""
        expected = self._expected_elasticity()
        if self.binding_trend is not None:
            # A slope flattened by noise would move the next load steps too far away.
            found = max(self.binding_trend.crossing.elasticity, _FLATTEST * (expected or 0.0))
            return _clip(found, ELASTICITY_RANGE)
        if expected is not None:
            return _clip(expected, ELASTICITY_RANGE)
        seen = [(f.rate_per_s, f.level, f.seconds) for f in self.evidence if abs(f.level) < 2 * IN_SIGHT]
        if len(seen) < 2:
            return USUAL_ELASTICITY
        weight = sum(seconds for _, _, seconds in seen)
        x = sum(math.log(rate) * seconds for rate, _, seconds in seen) / weight
        y = sum(level * seconds for _, level, seconds in seen) / weight
        covered = sum(seconds * (math.log(rate) - x) ** 2 for rate, _, seconds in seen)
        rise = sum(seconds * (math.log(rate) - x) * (level - y) for rate, level, seconds in seen) / covered
        return _clip(rise, ELASTICITY_RANGE) if rise > 0 else USUAL_ELASTICITY

    def _expected_elasticity(self) -> float | None:
        """The elasticity queueing theory predicts inside the bracket; None before the queue grew."""
        if self.saturation_per_s is None or self.lowest_failing is None or self.highest_passing is None:
            return None
        between = math.sqrt(self.lowest_failing.rate_per_s * self.highest_passing.rate_per_s)
        priors = [self._prior(place) for place in range(len(self.lowest_failing.estimates))]
        return max(float(np.exp(prior.log_elasticity(np.array([between])))[0]) for prior in priors)

    @cached_property
    def centre_per_s(self) -> float | None:
        """The best guess of the capacity; None before there is a bracket."""
        if self.lowest_failing is None or self.highest_passing is None:
            return None
        middle = self._middle_per_s
        if self.binding_idle_trend is not None:
            crossing = self.binding_idle_trend.crossing
            if not self.binding_idle_trend.is_seen:  # the curve may be anything
                ends = (self.highest_passing.rate_per_s, self.lowest_failing.rate_per_s)
                return _clip(crossing.rate_per_s, ends)
            tried = [at.rate_per_s for at in self.evidence if not at.growing]
            return _clip(crossing.rate_per_s, (min(tried), max(tried)))
        near = [f for f in self.well_observed if not f.growing and abs(f.level) < IN_SIGHT]
        if self.binding_trend is not None:
            lowest, highest = near[0].rate_per_s, near[-1].rate_per_s
            guess = _clip(self.binding_trend.crossing.rate_per_s,
                          (lowest * (1 - MAX_GUESS_RATIO), highest * (1 + MAX_GUESS_RATIO)))  # fmt: skip
        elif near:
            weight = sum(found.seconds for found in near)
            rate = sum(found.rate_per_s * found.seconds for found in near) / weight
            level = sum(found.level * found.seconds for found in near) / weight
            guess = rate * math.exp(_clip(-level / self.elasticity, (-MAX_GUESS_RATIO, MAX_GUESS_RATIO)))
        else:
            return middle
        low, high = self.bracket
        return guess if (low or 0.0) < guess < (high or math.inf) else middle

    @cached_property
    def bracket(self) -> tuple[float | None, float | None]:
        """The highest rate that conclusively passes, and the lowest one that conclusively fails.

        Conclusive also by the scatter of the other rates: a quiet period shows few slow requests and little
        scatter at the same time.
        """
        sure = [found for found in self.well_observed if self._beyond(found)]
        high = min((found.rate_per_s for found in sure if found.status == "fail"), default=None)
        passes = [
            found.rate_per_s
            for found in sure
            if found.status == "pass" and (high is None or found.rate_per_s < high)
        ]
        return max(passes, default=None), high

    def verdicts_around(self, rate_per_s: float) -> tuple[float | None, float | None]:
        """The nearest rate below that certainly passes, and the nearest above that certainly fails.

        They are further away than an end of the line or of `bracket`, and replace a missing one. Short steps
        count where they cannot miss a queue: below `UNLOADED_RATIO`, and when they fail. Thresholds without a
        single violation at any rate do not bind, however few observations they have.
        """
        places = self.violated_places
        passed = [
            at.rate_per_s
            for at in self.evidence
            if at.rate_per_s < rate_per_s
            and (at.rate_per_s < UNLOADED_RATIO * rate_per_s or _outlasts_queues(at))
            and at.certainly_passes(places)
        ]
        failed = [at.rate_per_s for at in self.evidence if at.certainly_fails and at.rate_per_s > rate_per_s]
        return max(passed, default=None), min(failed, default=None)

    @cached_property
    def violated_places(self) -> tuple[int, ...]:
        """The thresholds that had a violation at any rate."""
        by_threshold = zip(*(at.estimates for at in self.evidence), strict=True)
        return tuple(
            place for place, rates in enumerate(by_threshold) if any(at.level is not None for at in rates)
        )

    def _beyond(self, found: RateEvidence) -> bool:
        """Whether the level differs from the bound by more than twice the usual scatter."""
        near = [f for f in self.well_observed if not f.growing and abs(f.level) < IN_SIGHT]
        seen = sum(f.seconds for f in near)
        if found.growing or abs(found.level) > IN_SIGHT or not seen:
            return True
        usual = (
            sum(max(r.se for r in f.estimates if math.isfinite(r.se)) ** 2 * f.seconds**2 for f in near)
            / seen
        )
        return abs(found.level) > 2.0 * math.sqrt(usual / found.seconds)

    @cached_property
    def saturation_per_s(self) -> float | None:
        """Throughput of the saturated shop; None when it always kept up."""
        seconds = sum(measured.seconds for measured in self._saturated)
        return sum(m.completed_per_s * m.seconds for m in self._saturated) / seconds if seconds else None

    @cached_property
    def _saturated(self) -> tuple[MeasuredStep, ...]:
        return tuple(step.measured for step in self.history if step.status == "fail" and step.is_saturated)

    def _prior(self, place: int) -> QueuePrior:
        bound_distance = self.history[0].measured.bound_distances[place]
        if not isinstance(bound_distance, Latencies):
            return QueuePrior()
        finished = sum(m.completed_per_s * m.seconds for m in self._saturated)
        error = 1 / math.sqrt(finished) if finished else 0.0  # Poisson error of the count
        return QueuePrior(
            self.saturation_per_s, bound_distance.limit_ratio, error, bound_distance.bound / 1e3
        )


def _outlasts_queues(at: RateEvidence) -> bool:
    """Whether a rate was observed much longer than the shop's queues last; the warm-up guesses that."""
    warmup_s = max(step.measured.proposal.warmup_s for step in at.load_steps)
    return at.seconds >= max(WELL_OBSERVED_S, WARMUPS_OBSERVED * warmup_s)


def _tail_contradicted(evidence: Iterable[RateEvidence]) -> bool:
    """Whether count and tail estimate disagree over all rates near the bound."""
    scores: dict[str, list[float]] = {}
    for found in evidence:
        if found.seconds < WELL_OBSERVED_S:
            continue
        for estimate in found.estimates:
            if estimate.check_z and estimate.level is not None and abs(estimate.level) < EDGE:
                scores.setdefault(estimate.name, []).append(estimate.check_z)
    return any(abs(sum(z)) / math.sqrt(len(z)) > TAIL_Z for z in scores.values())


def _clip(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])
