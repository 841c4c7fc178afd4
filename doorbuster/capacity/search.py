"""The highest arrival rate that keeps every threshold: a search that knows how sure it is.

The search is a pure function. `next_step(history, settings)` reads the plateaus judged so far and returns
either the next plateau to run or the answer; `answer_so_far` states at any moment what is known. Whoever runs
plateaus (the command line, a simulation) owns clock, shop and generator.

How it goes:
1. ramp      the rate grows by `growth` until the queue grows (or the generator or the safety ceiling ends it:
             the answer is then "at least"). What the shop finishes then says how steep the way there is.
2. bisect    halves the bracket (geometrically) with short plateaus, until it is narrow or a line fits.
3. confirm, confirm-above, extend    long plateaus on both sides of the best guess, so far apart that the
             level (`indicator`) differs by about 0.8 either way: near enough for a straight line, far enough
             for a slope. A rate that is near the bound is visited again and pooled. This goes on until the
             interval is as narrow as wanted or the time is used up.
   A rate that breaks well below one that held before ends this at once: the shop still suffers from an
   earlier plateau. It gets half a minute to come back to 80 % of what it held; if it does not, that is the
   answer: did not recover.
4. from-above  one overload, then 80 % of the answer: a shop that was fine at this rate and is not fine after
             an overload did not recover (metastable).

Why it ends with a line and not with the last bracket: near capacity slow requests come in clusters (at 77 %
utilisation of M/M/1 about 60 at a time), so that no single plateau of a minute can be judged; a bracket made
of such verdicts is wrong far more often than it says. All plateaus near the bound together, each with an
error of its own, give one interval (`crossing`). Verdicts beyond doubt from outside the window of the
line bound it. A shop without noise (fixed service times, a hard limit) has no line: the interval is then the
bracket itself, no wider than twice `finest_ratio`.

Warm-up: each plateau starts from an empty shop and its first `settle_s` are not judged. Settling must be long
against the memory of the queue, 1 / (mu (1 - sqrt(rho))^2) for M/M/1: 0.7 s at 77 of 100 per s, 11 s at 94;
and as long as a customer's visit when customers think between pages.

Rules of this module:
- No clock, no randomness, no output. The same history gives the same answer.
- A rate that the generator could not deliver is no evidence against the shop.
- The answer always says what it rests on, and "at least" when the shop was not what gave in.

Sources: Finney (1978), "Statistical Method in Biological Assay" (dose and response);
Schmeiser (1982) (batch means); Henning and Hasselbring (2022), Empirical Software Engineering 27 (plateaus
per load level); Bronson et al. (2021), "Metastable failures in distributed systems", HotOS; RFC 2544 and its
successors (search with trials of growing length).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from doorbuster.capacity.answer import Capacity, answer
from doorbuster.capacity.evidence import SOLID_S, Standing
from doorbuster.capacity.load_step import Kind, Plateau, Proposal

NARROW_RATIO = 1.25  # a bracket this narrow is worked on with long plateaus
NEAR_CEILING = 1.1
SATURATING = 3.0  # times the lowest rate that broke a threshold: further up the queue is not looked for
FAR_LEVEL = 1.5  # a rate this far from the bound is not worth more time
LEVEL_STEP = 0.8  # wanted distance in level between the best guess and the plateaus beside it
CLOSEST_RATIO, FARTHEST_RATIO = 0.01, 0.12
OVERLOAD_FACTOR = 1.6
RECOVERY_FACTOR = 0.8
LONGEST_RECOVERY_S = 30.0
CHECK_S = 10.0
FEWEST_CUSTOMERS = 2.0  # expected on a short plateau at the lowest rate


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How to search; times in seconds, rates in customers per second.

    `wanted_ratio` is the half-width of the interval at which the search is content, as a share of the answer,
    once the line rests on `least_s` (stopping at the first narrow interval would prefer those that are narrow
    by luck); `budget_s` all the time it may take, with settling and draining.
    """

    start_per_s: float
    highest_per_s: float
    settle_s: float = 3.0
    short_s: float = 10.0
    long_s: float = 75.0
    growth: float = 2.0
    wanted_ratio: float = 0.02
    finest_ratio: float = 0.01
    least_s: float = 300.0
    budget_s: float = 590.0
    overload_s: float = 5.0
    lowest_ratio: float = 1 / 16
    solid_s: float = SOLID_S

    def __post_init__(self) -> None:
        if not 0 < self.start_per_s <= self.highest_per_s:
            raise ValueError(
                f"start_per_s must be above 0 and at most highest_per_s"
                f" (got {self.start_per_s} and {self.highest_per_s})"
            )
        if self.growth <= 1:
            raise ValueError(f"growth must be above 1 (got {self.growth})")

    @property
    def lowest_per_s(self) -> float:
        """Below this the search gives up: not even that much is kept, or a short plateau would be empty."""
        return max(self.start_per_s * self.lowest_ratio, FEWEST_CUSTOMERS / self.short_s)


def next_step(history: Sequence[Plateau], settings: SearchSettings) -> Proposal | Capacity:
    """The next plateau to run, or the answer when nothing more is to be learnt in the time there is."""
    known = Standing.of(history)
    if known.is_haunted:
        return _after_haunting(known, settings) or answer(known, settings.highest_per_s)
    step = _outer_step(known, settings) or _inner_step(known, settings) or _from_above(known, settings)
    return step or answer(known, settings.highest_per_s)


def answer_so_far(history: Sequence[Plateau], settings: SearchSettings) -> Capacity:
    """What is known now: the answer when the search is interrupted."""
    return answer(Standing.of(history), settings.highest_per_s)


def _outer_step(known: Standing, settings: SearchSettings) -> Proposal | None:
    """Before there is a bracket: the ramp up, or down when the first rate already fails."""
    if not known.history:
        return Proposal("ramp", settings.start_per_s, settings.settle_s, settings.short_s, "the first rate")
    if known.over is None:
        top = known.under.rate_per_s if known.under else 0.0
        if not known.evidence and known.undelivered_per_s == math.inf:
            top = known.history[-1].rate_per_s  # nobody has come yet: higher
        ceiling = min(settings.highest_per_s, known.undelivered_per_s)
        if ceiling == known.undelivered_per_s:
            rate = math.sqrt(top * ceiling) if top else ceiling / settings.growth
            if (top and ceiling / top < NEAR_CEILING) or rate < settings.lowest_per_s:
                return _certain_pass(known, settings) if top else None
            return _short(known, settings, "bracket", rate, "the generator could not deliver more")
        if top >= ceiling:
            return _certain_pass(known, settings)
        return _short(known, settings, "ramp", min(ceiling, top * settings.growth), "all kept so far")
    if known.saturation_per_s is None and known.under is not None:
        # How much the shop can finish at all tells how steep the way to its limit is.
        top = known.evidence[-1].rate_per_s
        rate = min(top * settings.growth, settings.highest_per_s)
        if top < SATURATING * known.over.rate_per_s and top < rate < known.undelivered_per_s:
            return _short(known, settings, "ramp", rate, "where does the queue grow?")
    if known.under is None:
        rate = known.over.rate_per_s / settings.growth
        if rate >= settings.lowest_per_s:
            return _short(known, settings, "ramp", rate, "too much already")
    return None


def _certain_pass(known: Standing, settings: SearchSettings) -> Proposal | None:
    """The ceiling held as far as it was observed: make sure, up to a few long plateaus."""
    top = known.evidence[-1] if known.evidence else None
    if top is None or top.status == "pass" or top.seconds > 3 * settings.long_s:
        return None
    return _long(known, settings, "confirm", top.rate_per_s, top.why)


def _inner_step(known: Standing, settings: SearchSettings) -> Proposal | None:
    """Inside the bracket: halve it while it is wide, then work on both sides of the best guess."""
    over, under, centre = known.over, known.under, known.centre_per_s
    if over is None or under is None or centre is None:
        return None
    gap = over.rate_per_s / under.rate_per_s
    span = f"between {under.rate_per_s:.4g} and {over.rate_per_s:.4g} per s"
    if known.first_line is None and gap > NARROW_RATIO:
        return _short(known, settings, "bisect", math.sqrt(over.rate_per_s * under.rate_per_s), span)
    low, high = known.bracket
    if low is not None and high is not None and not _any_between(known):
        # Both ends are certain and nothing lies between: a shop that goes from perfect to broken at once.
        hold = settings.solid_s
        if high / low - 1 <= 2 * settings.finest_ratio:
            # A queue that grows by a thousandth of the arrivals shows only on a longer plateau.
            sure = any(f.rate_per_s == low and f.seconds >= settings.long_s for f in known.solid)
            return None if sure else _long(known, settings, "confirm", low, span)
        return _long(known, settings, "bisect", math.sqrt(low * high), span, hold_s=hold)
    found, line = answer(known, settings.highest_per_s), known.first_line
    rests_on_s = line.crossing.seconds if line is not None and found.method == "line" else 0.0
    if rests_on_s >= settings.least_s and found.half_width_ratio <= settings.wanted_ratio:
        return None
    return _refine(known, settings, centre)


def _any_between(known: Standing) -> bool:
    """Whether a line rests on a rate that is neither certain to hold nor certain to break."""
    low, high = known.bracket
    return known.first_line is not None and any(
        (low or 0.0) < found.rate_per_s < (high or math.inf) or abs(found.level) < FAR_LEVEL
        for found in known.solid
        if not found.growing
    )


def _refine(known: Standing, settings: SearchSettings, centre: float) -> Proposal | None:
    """The side of the best guess that was observed less, at a rate that is already known if one is near."""
    step = min(max(LEVEL_STEP / known.elasticity, CLOSEST_RATIO), FARTHEST_RATIO)
    sides = {
        side: [
            found
            for found in known.solid
            if not found.growing and 0 <= side * (found.rate_per_s / centre - 1) < 2.5 * step
        ]
        for side in (-1, 1)
    }
    spent = {side: sum(found.seconds for found in near) for side, near in sides.items()}
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
    beyond = [
        f.rate_per_s for f in known.solid if 0 < side * (f.rate_per_s - centre) < side * (target - centre)
    ]
    if beyond:  # a rate this near was already far from the bound: the next one lies between
        target = (centre + min(beyond, key=lambda rate: abs(rate - centre))) / 2
    target = min(target, settings.highest_per_s)
    if target >= known.undelivered_per_s:
        return None
    if side < 0:
        return _long(known, settings, "confirm", target, f"should hold if {centre:.4g} per s is right")
    return _long(known, settings, "confirm-above", target, f"should break if {centre:.4g} per s is right")


def _short(known: Standing, settings: SearchSettings, kind: Kind, rate: float, why: str) -> Proposal | None:
    return _within(known, settings, Proposal(kind, rate, settings.settle_s, settings.short_s, why))


def _long(
    known: Standing,
    settings: SearchSettings,
    kind: Kind,
    rate: float,
    why: str,
    *,
    hold_s: float | None = None,
) -> Proposal | None:
    hold = settings.long_s if hold_s is None else hold_s
    return _within(known, settings, Proposal(kind, rate, settings.settle_s, hold, why))


def _within(known: Standing, settings: SearchSettings, proposal: Proposal) -> Proposal | None:
    """The proposal, fitted into the time that is left; None when that is too short to learn anything."""
    reserve = settings.overload_s + LONGEST_RECOVERY_S + CHECK_S + 2 * known.besides_s
    left = settings.budget_s - known.elapsed_s - reserve - proposal.settle_s
    if left < min(proposal.hold_s, settings.solid_s):
        return None
    hold = min(proposal.hold_s, left)
    if proposal.hold_s >= settings.long_s and left - hold < settings.settle_s + settings.solid_s:
        hold = left  # what would be left over is too short for a plateau of its own
    return replace(proposal, hold_s=float(math.floor(hold)))


def _after_haunting(known: Standing, settings: SearchSettings) -> Proposal | None:
    """One longer time to recover in, at a rate that the shop had held, before it is said that it does not."""
    held = max((found.rate_per_s for found in known.evidence if found.status == "pass"), default=0.0)
    if known.history[-1].kind == "from-above" or not held:
        return None
    back = RECOVERY_FACTOR * held
    if known.elapsed_s + LONGEST_RECOVERY_S + CHECK_S > settings.budget_s:
        return None
    why = f"it held {held:.4g} per s before: does it come back to {back:.4g} per s?"
    return Proposal("from-above", back, LONGEST_RECOVERY_S, CHECK_S, why)


def _from_above(known: Standing, settings: SearchSettings) -> Proposal | None:
    """One overload, once there is an answer and the shop was seen to have a limit."""
    found = answer(known, settings.highest_per_s)
    if found.rate_per_s is None or found.at_least or found.recovered is not None or known.under is None:
        return None
    rate = found.rate_per_s
    back = RECOVERY_FACTOR * min(rate, found.low or known.under.rate_per_s)  # it was fine there before
    grew = min((at.rate_per_s for at in known.evidence if at.growing), default=0.0)
    overload = min(max(OVERLOAD_FACTOR * rate, grew), 3 * rate, settings.highest_per_s)
    if overload >= known.undelivered_per_s or overload <= rate:
        return None
    recovery = min(1.5 * settings.overload_s * (overload - rate) / (rate - back), LONGEST_RECOVERY_S)
    recovery = max(settings.settle_s, math.ceil(recovery))
    if known.elapsed_s + settings.overload_s + recovery + CHECK_S > settings.budget_s:
        return None
    why = f"does it come back to {back:.4g} per s after {overload:.4g} per s?"
    return Proposal("from-above", back, recovery, CHECK_S, why, overload, settings.overload_s)
