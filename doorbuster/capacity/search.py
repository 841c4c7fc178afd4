"""Search for the highest arrival rate that meets every threshold, with a confidence interval.

The search is a pure function. `next_step(history, settings)` reads the load steps judged so far and returns
either the next load step to run or the answer; `result_so_far` returns what is known at any moment. The
caller (the command line, a simulation) owns the clock, the shop and the generator.

Stages:
1. ramp      Multiply the rate by `growth` until the queue grows, the generator fails to deliver, or the
             maximum rate is reached (the answer is then "at least"). The throughput of a saturated shop
             predicts how steeply latencies rise before it.
2. bisect    Halve the bracket (geometrically) with short load steps until it is narrow or a line fits.
3. idle    Count the violations at 0.4 of the best guess, unless enough is known of a shop without queues.
   confirm, confirm-above, extend    Run long load steps on both sides of the best guess, at a distance where
   the level (`bound_distance`) differs from the bound by about 0.8: near enough for a straight line, far
   enough for a slope. A rate near the target is run again and pooled. Stop when the interval is narrow enough
   or the time budget is used up.
   A limit near what an idle shop needs (`idle_crossing`) needs wider distances, and "idle" steps for a third
   of the time.
   A failure well below a rate that passed before ends this stage: the shop still suffers from an earlier
   overload. It gets 30 s to recover to 80 % of the rate it had sustained; otherwise it did not recover.
4. overload-recovery    Overload the shop once, then send 80 % of the answer. A shop that met its thresholds
             at this rate before and does not after an overload did not recover (metastable failure).

Why a fitted line and not the last bracket: near capacity, slow requests come in clusters (about 60 at a time
at 77 % utilisation of M/M/1), so one load step of a minute does not decide; a bracket of such verdicts is
wrong far more often than it claims. All load steps near the bound together, each with its own error, give one
interval (`threshold_crossing`). Conclusive verdicts outside the window of the line limit it. A shop without
noise (fixed service times, a hard limit) gives no line: the interval is then the bracket itself, at most
twice `finest_ratio` wide.

Warm-up: each load step starts with an empty shop, and its first `warmup_s` are not judged. The warm-up must
be long compared with the relaxation time of the queue, 1 / (mu (1 - sqrt(rho))^2) for M/M/1 (0.7 s at
77 of 100 per s, 11 s at 94), and as long as a visit when customers pause between pages.

Rules of this module:
- No clock, no randomness, no output. The same history gives the same answer.
- A rate that the generator could not deliver says nothing about the shop.
- The answer states its evidence, and says "at least" when the shop did not reach its limit.

Sources: Finney (1978), "Statistical Method in Biological Assay" (dose and response);
Schmeiser (1982) (batch means); Henning and Hasselbring (2022), Empirical Software Engineering 27 (constant
rates per load level); Bronson et al. (2021), "Metastable failures in distributed systems", HotOS; RFC 2544
and its successors (search with trials of growing length).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from doorbuster.capacity.capacity_result import CapacityResult, capacity_result
from doorbuster.capacity.load_step import Kind, LoadStep, ProposedStep
from doorbuster.capacity.search_bracket import WELL_OBSERVED_S, SearchBracket
from doorbuster.capacity.threshold_line import UNLOADED_RATIO

NARROW_RATIO = 1.25  # below this width of the bracket, load steps are long
NEAR_CEILING = 1.1
SATURATING = 3.0  # times the lowest failing rate: the search for a growing queue ends here
FAR_LEVEL = 1.5  # rates further than this from the bound are not extended
LEVEL_STEP = 0.8  # target distance in level between the best guess and its neighbours
CLOSEST_RATIO, FARTHEST_RATIO = 0.01, 0.12
IDLE_RATIO = 0.4  # of the best guess: the rate that shows what an idle shop needs
BUSIEST_IDLE_RATIO = 0.58
IDLE_ALLOWED = 15.0  # violations that the threshold allows there, for a usable count
IDLE_CLOSEST_RATIO, IDLE_FARTHEST_RATIO = 0.05, 0.3
OVERLOAD_FACTOR = 1.6
RECOVERY_FACTOR = 0.8
MAX_RECOVERY_S = 30.0
CHECK_S = 10.0
SHORT_S = 10.0
SHORT_ALLOWED = 2.0  # violations that a threshold allows on a short step
MIN_CUSTOMERS = 2.0  # expected on a short load step at the lowest rate


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search; times in seconds, rates in customers per second.

    The search ends when the half-width of the interval is at most `wanted_ratio` of the answer and the line
    rests on at least `min_s` (stopping at the first narrow interval would select intervals that are narrow by
    chance). `budget_s` limits the total time, including warm-up and drain. `allowed_per_s`: violations per
    second that the most generous threshold allows at a usual rate without queues.
    """

    start_rate_per_s: float
    max_rate_per_s: float
    warmup_s: float = 3.0
    short_s: float = SHORT_S
    long_s: float = 75.0
    growth: float = 2.0
    wanted_ratio: float = 0.02
    finest_ratio: float = 0.01
    min_s: float = 300.0
    budget_s: float = 590.0
    overload_s: float = 5.0
    lowest_ratio: float = 1 / 16
    well_observed_s: float = WELL_OBSERVED_S
    allowed_per_s: float = math.inf

    def __post_init__(self) -> None:
        if not 0 < self.start_rate_per_s <= self.max_rate_per_s:
            raise ValueError(
                f"start_rate_per_s must be above 0 and at most max_rate_per_s"
                f" (got {self.start_rate_per_s} and {self.max_rate_per_s})"
            )
        if self.growth <= 1:
            raise ValueError(f"growth must be above 1 (got {self.growth})")

    @property
    def lowest_per_s(self) -> float:
        """The search ends below this rate: a short load step would have almost no customers."""
        return max(self.start_rate_per_s * self.lowest_ratio, MIN_CUSTOMERS / self.short_s)


def next_step(history: Sequence[LoadStep], settings: SearchSettings) -> ProposedStep | CapacityResult:
    """The next load step to run, or the answer when the remaining time allows no further step."""
    known = SearchBracket.of(history)
    if known.not_recovered:
        return _retest_recovery(known, settings) or capacity_result(known, settings.max_rate_per_s)
    step = _outer_step(known, settings) or _inner_step(known, settings) or _overload_recovery(known, settings)
    return step or capacity_result(known, settings.max_rate_per_s)


def result_so_far(history: Sequence[LoadStep], settings: SearchSettings) -> CapacityResult:
    """The answer from the steps so far, e.g. after an interruption."""
    return capacity_result(SearchBracket.of(history), settings.max_rate_per_s)


def _outer_step(known: SearchBracket, settings: SearchSettings) -> ProposedStep | None:
    """Before there is a bracket: the ramp up, or down when the first rate already fails."""
    if not known.history:
        return ProposedStep(
            "ramp", settings.start_rate_per_s, settings.warmup_s, settings.short_s, "first rate"
        )
    if known.lowest_failing is None:
        top = known.highest_passing.rate_per_s if known.highest_passing else 0.0
        if not known.evidence and known.undelivered_per_s == math.inf:
            top = known.history[-1].rate_per_s  # no customer arrived yet
        ceiling = min(settings.max_rate_per_s, known.undelivered_per_s)
        if ceiling == known.undelivered_per_s:
            rate = math.sqrt(top * ceiling) if top else ceiling / settings.growth
            if (top and ceiling / top < NEAR_CEILING) or rate < settings.lowest_per_s:
                return _certain_pass(known, settings) if top else None
            return _short(known, settings, "bracket", rate, "the generator cannot deliver more")
        if top >= ceiling:
            return _certain_pass(known, settings)
        return _short(
            known, settings, "ramp", min(ceiling, top * settings.growth), "all thresholds met so far"
        )
    if known.saturation_per_s is None and known.highest_passing is not None:
        # The saturated throughput predicts how steeply latencies rise near the limit.
        top = known.evidence[-1].rate_per_s
        rate = min(top * settings.growth, settings.max_rate_per_s)
        if top < SATURATING * known.lowest_failing.rate_per_s and top < rate < known.undelivered_per_s:
            return _short(known, settings, "ramp", rate, "find the saturated throughput")
    if known.highest_passing is None:
        rate = known.lowest_failing.rate_per_s / settings.growth
        if rate >= settings.lowest_per_s:
            return _short(known, settings, "ramp", rate, "rate too high")
        lowest = known.lowest_failing
        if not lowest.certainly_fails and lowest.seconds <= 3 * settings.long_s:
            return _long(known, settings, "confirm-above", lowest.rate_per_s, lowest.why)
    return None


def _certain_pass(known: SearchBracket, settings: SearchSettings) -> ProposedStep | None:
    """The maximum rate seems to pass: confirm it with up to three long load steps."""
    top = known.evidence[-1] if known.evidence else None
    if top is None or top.status == "pass" or top.seconds > 3 * settings.long_s:
        return None
    return _long(known, settings, "confirm", top.rate_per_s, top.why)


def _inner_step(known: SearchBracket, settings: SearchSettings) -> ProposedStep | None:
    """Inside the bracket: halve it while it is wide, then measure both sides of the best guess."""
    lowest_failing, highest_passing, centre = known.lowest_failing, known.highest_passing, known.centre_per_s
    if lowest_failing is None or highest_passing is None or centre is None:
        return None
    gap = lowest_failing.rate_per_s / highest_passing.rate_per_s
    span = f"between {highest_passing.rate_per_s:.4g} and {lowest_failing.rate_per_s:.4g} per s"
    if known.binding_trend is None and gap > NARROW_RATIO:
        return _short(
            known, settings, "bisect", math.sqrt(lowest_failing.rate_per_s * highest_passing.rate_per_s), span
        )
    low, high = known.bracket
    if low is not None and high is not None and not _any_between(known):
        # Both ends are conclusive with nothing between them: the shop fails abruptly.
        hold = settings.well_observed_s
        if high / low - 1 <= 2 * settings.finest_ratio:
            return _confirm_ends(known, settings, low, high, span)
        return _long(known, settings, "bisect", math.sqrt(low * high), span, hold_s=hold)
    if (step := _idle_step(known, settings, centre)) is not None:
        return step
    if known.binding_idle_trend is not None:
        crossing = known.binding_idle_trend.crossing
        narrow = crossing.half_width_ratio <= settings.wanted_ratio
        return None if narrow and crossing.seconds >= settings.min_s else _refine(known, settings, centre)
    found, line = capacity_result(known, settings.max_rate_per_s), known.binding_trend
    rests_on_s = line.crossing.seconds if line is not None and found.method == "line" else 0.0
    if rests_on_s >= settings.min_s and found.half_width_ratio <= settings.wanted_ratio:
        return None
    return _refine(known, settings, centre)


def _confirm_ends(
    known: SearchBracket, settings: SearchSettings, low: float, high: float, span: str
) -> ProposedStep | None:
    """A longer step at an end of a narrow bracket: it reveals a queue that grows by 0.1 % of the arrivals.

    The upper end needs one when its queue grew without a violation: a shop that sheds ends such growth.
    """
    brief = {at.rate_per_s: at for at in known.well_observed if at.seconds < settings.long_s}
    if low in brief:
        return _long(known, settings, "confirm", low, span)
    if high in brief and brief[high].growing and not brief[high].certainly_violates:
        return _long(known, settings, "confirm-above", high, span)
    return None


def _idle_step(known: SearchBracket, settings: SearchSettings, centre: float) -> ProposedStep | None:
    """A step without queues: what an idle shop needs is not known yet, or no rate has certainly passed.

    With few requests per second the rate is raised, as far as there are still no queues.
    """
    passed, _ = known.verdicts_around(centre)
    needed_s = 0.0
    for place in known.violated_places:
        calm = known.calm_points(place, centre)
        allowed_s = known.allowed_per_customer(place) * IDLE_RATIO * centre
        missing = IDLE_ALLOWED - sum(at.allowed for at in calm)
        if allowed_s and (passed is None or sum(at.seconds for at in calm) < settings.well_observed_s):
            needed_s = max(needed_s, missing / allowed_s)
    if needed_s <= 0:
        return None
    rate = min(IDLE_RATIO * max(1.0, needed_s / settings.long_s), BUSIEST_IDLE_RATIO) * centre
    calm_rates = [at.rate_per_s for at in known.evidence if IDLE_RATIO * centre <= at.rate_per_s <= rate]
    rate = max(calm_rates, default=rate)
    hold_s = min(max(math.ceil(needed_s), settings.well_observed_s), settings.long_s)
    if rate * hold_s < MIN_CUSTOMERS:
        return None
    return _long(known, settings, "idle", rate, "what does an idle shop need?", hold_s=hold_s,
                 keeps_reserve=passed is not None)  # fmt: skip


def _any_between(known: SearchBracket) -> bool:
    """Whether the line has rates on both sides of the bound, one of them neither a clear pass nor failure."""
    low, high = known.bracket
    trend = known.binding_trend
    return (
        trend is not None
        and trend.crossing.is_between
        and any(
            (low or 0.0) < found.rate_per_s < (high or math.inf) or abs(found.level) < FAR_LEVEL
            for found in known.well_observed
            if not found.growing
        )
    )


def _refine(known: SearchBracket, settings: SearchSettings, centre: float) -> ProposedStep | None:
    """A long step on the less observed side of the best guess; repeats a known rate when one is near."""
    near_idle = known.binding_idle_trend
    if near_idle is None:
        step = min(max(LEVEL_STEP / known.elasticity, CLOSEST_RATIO), FARTHEST_RATIO)
    else:
        step = min(max(1 / near_idle.crossing.curvature, IDLE_CLOSEST_RATIO), IDLE_FARTHEST_RATIO)
    sides = {
        side: [
            found
            for found in known.well_observed
            if not found.growing and 0 <= side * (found.rate_per_s / centre - 1) < 2.5 * step
        ]
        for side in (-1, 1)
    }
    spent = {side: sum(found.seconds for found in near) for side, near in sides.items()}
    if near_idle is not None:
        idle = [found for found in known.evidence if found.rate_per_s < UNLOADED_RATIO * centre]
        rate = IDLE_RATIO * centre
        if sum(found.seconds for found in idle) < min(spent.values()) and rate >= settings.lowest_per_s:
            again = min(idle, key=lambda found: abs(found.rate_per_s - rate), default=None)
            rate = again.rate_per_s if again is not None and again.rate_per_s > rate / 2 else rate
            return _long(known, settings, "idle", rate, "what does an idle shop need?")
    side = min((-1, 1), key=lambda side: spent[side])
    target = centre * (1 + side * step)
    near = [
        found
        for found in sides[side]
        if 0.3 * step < abs(found.rate_per_s / centre - 1) < 2 * step and abs(found.level) < FAR_LEVEL
    ]
    if near:
        again = min(near, key=lambda found: abs(found.rate_per_s - target))
        return _long(known, settings, "extend", again.rate_per_s, again.why)
    rates = [found.rate_per_s for found in known.well_observed]
    beyond = [rate for rate in rates if 0 < side * (rate - centre) < side * (target - centre)]
    if beyond:  # this near rate is already far from the bound: try between
        target = (centre + min(beyond, key=lambda rate: abs(rate - centre))) / 2
    target = min(target, settings.max_rate_per_s)
    if target >= known.undelivered_per_s:
        return None
    if side < 0:
        return _long(known, settings, "confirm", target, f"expected to pass if {centre:.4g} per s is right")
    return _long(known, settings, "confirm-above", target, f"expected to fail if {centre:.4g} per s is right")


def _short(
    known: SearchBracket, settings: SearchSettings, kind: Kind, rate: float, why: str
) -> ProposedStep | None:
    """A short step; longer where few requests per second would leave every verdict open."""
    allowed_s = known.most_allowed_per_customer * rate
    wanted_s = math.ceil(SHORT_ALLOWED / allowed_s) if allowed_s else settings.short_s
    hold_s = min(max(wanted_s, settings.short_s), settings.well_observed_s)
    return _fit_into_budget(known, settings, ProposedStep(kind, rate, settings.warmup_s, hold_s, why))


def _long(
    known: SearchBracket,
    settings: SearchSettings,
    kind: Kind,
    rate: float,
    why: str,
    *,
    hold_s: float | None = None,
    keeps_reserve: bool = True,
) -> ProposedStep | None:
    hold = settings.long_s if hold_s is None else hold_s
    proposal = ProposedStep(kind, rate, settings.warmup_s, hold, why)
    return _fit_into_budget(known, settings, proposal, keeps_reserve=keeps_reserve)


def _fit_into_budget(
    known: SearchBracket, settings: SearchSettings, proposal: ProposedStep, *, keeps_reserve: bool = True
) -> ProposedStep | None:
    """The proposal, fitted into the time that is left; None when that is too short to learn anything.

    The reserve is for the recovery test. An answer without a lower end needs the time more.
    """
    reserve = settings.overload_s + MAX_RECOVERY_S + CHECK_S + 2 * known.overhead_s
    reserve = reserve if keeps_reserve else known.overhead_s
    left = settings.budget_s - known.elapsed_s - reserve - proposal.warmup_s
    if left < min(proposal.hold_s, settings.well_observed_s):
        return None
    hold = min(proposal.hold_s, left)
    if proposal.hold_s >= settings.long_s and left - hold < settings.warmup_s + settings.well_observed_s:
        hold = left  # the rest would be too short for another load step
    return replace(proposal, hold_s=float(math.floor(hold)))


def _retest_recovery(known: SearchBracket, settings: SearchSettings) -> ProposedStep | None:
    """One longer recovery time at a rate that passed before, ahead of the answer "did not recover"."""
    held = max((found.rate_per_s for found in known.evidence if found.status == "pass"), default=0.0)
    if known.history[-1].kind == "overload-recovery" or not held:
        return None
    back = RECOVERY_FACTOR * held
    if known.elapsed_s + MAX_RECOVERY_S + CHECK_S > settings.budget_s:
        return None
    why = f"it sustained {held:.4g} per s before: does it recover to {back:.4g} per s?"
    return ProposedStep("overload-recovery", back, MAX_RECOVERY_S, CHECK_S, why)


def _overload_recovery(known: SearchBracket, settings: SearchSettings) -> ProposedStep | None:
    """One overload, once there is an answer and the limit of the shop was reached."""
    found = capacity_result(known, settings.max_rate_per_s)
    if (
        found.estimate_per_s is None
        or found.at_least
        or found.recovered is not None
        or known.highest_passing is None
    ):
        return None
    rate = found.estimate_per_s
    back = RECOVERY_FACTOR * min(rate, max(found.low or 0.0, known.highest_passing.rate_per_s))
    grew = min((at.rate_per_s for at in known.evidence if at.growing), default=0.0)
    overload = min(max(OVERLOAD_FACTOR * rate, grew), 3 * rate, settings.max_rate_per_s)
    if overload >= known.undelivered_per_s or overload <= rate:
        return None
    recovery = min(1.5 * settings.overload_s * (overload - rate) / (rate - back), MAX_RECOVERY_S)
    recovery = max(settings.warmup_s, math.ceil(recovery))
    if known.elapsed_s + settings.overload_s + recovery + CHECK_S > settings.budget_s:
        return None
    why = f"does it recover to {back:.4g} per s after {overload:.4g} per s?"
    return ProposedStep("overload-recovery", back, recovery, CHECK_S, why, overload, settings.overload_s)
