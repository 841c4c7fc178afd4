"""What the plateaus of a capacity search amount to: the bracket, the line near the bound, the best guess.

Rules of this module:
- Short plateaus find the neighbourhood. Only rates observed for `SOLID_S` or more are points of the line: in
  twelve seconds a busy queue may show none of its clusters of slow requests, and looks far too good.
- Which rates belong to the line is decided by their distance on the line, not by their own noisy level:
  keeping those that happen to look near would bend it.
- A shop that breaks at a rate well below one it held before still suffers from an overload: such plateaus say
  that it did not recover, and nothing about its capacity.
- A tail is trusted for all rates or for none.
- What is bad in an unhurried shop too (long services, a page that always fails) says nothing about load. It
  is taken off before the line is drawn, P' = (P - P0) / (limit - P0): with it the level is flat at first,
  then steep, and a straight line through it would cross too early. P0 is what the lowest rates show beyond
  what the line itself says of them.

Source: Abbott (1925), "A method of computing the effectiveness of an insecticide", Journal of Economic
Entomology 18; Finney (1971), "Probit Analysis", chapter 7 (natural mortality).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np

from doorbuster.capacity.crossing import WINDOW, Crossing, DosePoint, QueuePrior, find_crossing
from doorbuster.capacity.indicator import Latencies
from doorbuster.capacity.load_step import Measured, Plateau, RateEvidence, evidence_by_rate

SOLID_S = 25.0
USUAL_ELASTICITY = 12.0
TAIL_Z = 2.6  # 99 %: beyond this the plain count contradicts the tail
ELASTICITY_RANGE = (4.0, 150.0)
FARTHEST_GUESS = 0.15
UNHURRIED_RATIO = 0.6  # of the crossing: no queues yet
MOST_BASE_RATIO = 0.6
_IN_SIGHT = math.log(20.0)
_EDGE = math.log(WINDOW)
_FLATTEST = 0.7
HAUNTED_RATIO = 0.85  # of a rate that held: what breaks below it, breaks for another reason than the rate
_HOPELESS = math.log(2.5)


@dataclass(frozen=True)
class Line:
    """The line of one threshold."""

    name: str
    crossing: Crossing


@dataclass(frozen=True, eq=False)
class Standing:
    """The history and what follows from it."""

    history: tuple[Plateau, ...]
    evidence: tuple[RateEvidence, ...]

    @classmethod
    def of(cls, history: Sequence[Plateau]) -> Standing:
        """Pools the history by rate; without tails when the plain counts contradict them."""
        believed = [
            plateau for plateau, is_haunted in zip(history, haunted(history), strict=True) if not is_haunted
        ]
        evidence = evidence_by_rate(believed)
        if _tail_contradicted(evidence):
            evidence = evidence_by_rate(believed, tails=False)
        return cls(tuple(history), evidence)

    @cached_property
    def is_haunted(self) -> bool:
        """Whether the shop has not been seen to come back since it stopped holding what it had held."""
        return any(haunted(self.history)[-1:])

    @property
    def elapsed_s(self) -> float:
        """Time used so far."""
        return sum(plateau.measured.elapsed_s for plateau in self.history)

    @property
    def besides_s(self) -> float:
        """What a plateau costs besides its arrivals, as a rule: a generator to start, a shop to drain."""
        runs = [plateau.measured for plateau in self.history]
        return median(run.elapsed_s - run.lasted_s for run in runs) if runs else 0.0

    @property
    def undelivered_per_s(self) -> float:
        """The lowest rate that the generator could not deliver; infinite when it delivered all."""
        rates = [plateau.rate_per_s for plateau in self.history if plateau.status == "invalid"]
        return min(rates, default=math.inf)

    @cached_property
    def over(self) -> RateEvidence | None:
        """The lowest rate whose estimate breaks a threshold; solid rates speak first."""
        solid = [found for found in self.solid if found.level > 0]
        floor = max((found.rate_per_s for found in self.solid if found.level <= 0), default=0.0)
        short = [found for found in self.evidence if found.level > 0 and found.rate_per_s > floor]
        return min([*solid, *short], key=lambda found: found.rate_per_s, default=None)

    @cached_property
    def under(self) -> RateEvidence | None:
        """The highest rate below `over` whose estimate keeps all thresholds."""
        top = self.over.rate_per_s if self.over else math.inf
        below = [found for found in self.evidence if found.level <= 0 and found.rate_per_s < top]
        return below[-1] if below else None

    @cached_property
    def solid(self) -> tuple[RateEvidence, ...]:
        """Rates observed long enough to be a point of a line, or beyond doubt because the queue grew."""
        return tuple(found for found in self.evidence if found.seconds >= SOLID_S or found.growing)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The line of each threshold that has one."""
        names = [reading.name for reading in self.evidence[0].readings] if self.evidence else []
        found = ((name, self._line(place)) for place, name in enumerate(names))
        return tuple(Line(name, crossing) for name, crossing in found if crossing is not None)

    @cached_property
    def first_line(self) -> Line | None:
        """The line that is crossed first: the threshold that binds."""
        return min(self.lines, key=lambda line: line.crossing.rate_per_s, default=None)

    @cached_property
    def elasticity(self) -> float:
        """How fast the worst level rises with the logarithm of the rate, from whatever there is."""
        expected = self._expected_elasticity()
        if self.first_line is not None:
            # A slope that noise has flattened would send the next plateaus far away.
            found = max(self.first_line.crossing.elasticity, _FLATTEST * (expected or 0.0))
            return _clip(found, ELASTICITY_RANGE)
        if expected is not None:
            return _clip(expected, ELASTICITY_RANGE)
        seen = [(f.rate_per_s, f.level, f.seconds) for f in self.evidence if abs(f.level) < 2 * _IN_SIGHT]
        if len(seen) < 2:
            return USUAL_ELASTICITY
        weight = sum(seconds for _, _, seconds in seen)
        x = sum(math.log(rate) * seconds for rate, _, seconds in seen) / weight
        y = sum(level * seconds for _, level, seconds in seen) / weight
        covered = sum(seconds * (math.log(rate) - x) ** 2 for rate, _, seconds in seen)
        rise = sum(seconds * (math.log(rate) - x) * (level - y) for rate, level, seconds in seen) / covered
        return _clip(rise, ELASTICITY_RANGE) if rise > 0 else USUAL_ELASTICITY

    def _expected_elasticity(self) -> float | None:
        """What queueing theory expects between `under` and `over`; None before the queue was seen to grow."""
        if self.saturation_per_s is None or self.over is None or self.under is None:
            return None
        between = math.sqrt(self.over.rate_per_s * self.under.rate_per_s)
        priors = [self._prior(place) for place in range(len(self.over.readings))]
        return max(float(np.exp(prior.log_elasticity(np.array([between])))[0]) for prior in priors)

    @cached_property
    def centre_per_s(self) -> float | None:
        """The best guess of the capacity; None before there is a bracket."""
        if self.over is None or self.under is None:
            return None
        middle = math.sqrt(self.under.rate_per_s * self.over.rate_per_s)
        near = [f for f in self.solid if not f.growing and abs(f.level) < _IN_SIGHT]
        if self.first_line is not None:
            lowest, highest = near[0].rate_per_s, near[-1].rate_per_s
            guess = _clip(self.first_line.crossing.rate_per_s,
                          (lowest * (1 - FARTHEST_GUESS), highest * (1 + FARTHEST_GUESS)))  # fmt: skip
        elif near:
            weight = sum(found.seconds for found in near)
            rate = sum(found.rate_per_s * found.seconds for found in near) / weight
            level = sum(found.level * found.seconds for found in near) / weight
            guess = rate * math.exp(_clip(-level / self.elasticity, (-FARTHEST_GUESS, FARTHEST_GUESS)))
        else:
            return middle
        low, high = self.bracket
        return guess if (low or 0.0) < guess < (high or math.inf) else middle

    @cached_property
    def bracket(self) -> tuple[float | None, float | None]:
        """The highest solid rate that certainly passes, and the lowest above it that certainly fails.

        Certain also by the scatter seen at the other rates: a quiet stretch shows few slow requests and
        little scatter at once.
        """
        high = min((f.rate_per_s for f in self.solid if f.status == "fail" and self._beyond(f)), default=None)
        passes = [
            found.rate_per_s
            for found in self.solid
            if found.status == "pass" and self._beyond(found) and (high is None or found.rate_per_s < high)
        ]
        return max(passes, default=None), high

    def _beyond(self, found: RateEvidence) -> bool:
        """Whether the level is further from the bound than twice the scatter usual over as many seconds."""
        near = [f for f in self.solid if not f.growing and abs(f.level) < _IN_SIGHT]
        seen = sum(f.seconds for f in near)
        if found.growing or abs(found.level) > _IN_SIGHT or not seen:
            return True
        usual = (
            sum(max(r.se for r in f.readings if math.isfinite(r.se)) ** 2 * f.seconds**2 for f in near) / seen
        )
        return abs(found.level) > 2.0 * math.sqrt(usual / found.seconds)

    @cached_property
    def saturation_per_s(self) -> float | None:
        """What the shop finished while its queue grew; None when it was never seen to grow."""
        seconds = sum(measured.seconds for measured in self._saturated)
        return sum(m.completed_per_s * m.seconds for m in self._saturated) / seconds if seconds else None

    @cached_property
    def _saturated(self) -> tuple[Measured, ...]:
        return tuple(p.measured for p in self.history if p.growing and p.status == "fail")

    def _prior(self, place: int) -> QueuePrior:
        indicator = self.history[0].measured.indicators[place]
        if not isinstance(indicator, Latencies):
            return QueuePrior()
        finished = sum(m.completed_per_s * m.seconds for m in self._saturated)
        error = 1 / math.sqrt(finished) if finished else 0.0  # of a count of independent services
        return QueuePrior(self.saturation_per_s, indicator.limit_ratio, error, indicator.bound / 1e3)

    def _line(self, place: int) -> Crossing | None:
        points = self._points(place, 0.0)
        used = [point for point in points if abs(point.level) < _EDGE]
        if len(used) < 2:
            # Too steep for what was tried so far: the nearest rate on each side, as long as it is in sight.
            seen = [point for point in points if abs(point.level) < _IN_SIGHT]
            used = [*[p for p in seen if p.level <= 0][-1:], *[p for p in seen if p.level > 0][:1]]
        prior = self._prior(place)
        crossing = find_crossing(used, prior)
        for _ in range(4):
            if crossing is None:
                return None
            points = self._points(place, self._base(place, crossing))
            again = [point for point in points if abs(crossing.level_at(point.rate_per_s)) < _EDGE]
            closer = find_crossing(again, prior)
            if again == used or closer is None:
                break
            used, crossing = again, closer
        return crossing

    def _points(self, place: int, base: float) -> list[DosePoint]:
        """The solid rates, each without the share of what is allowed that has nothing to do with load."""
        found = []
        for at in self.solid:
            reading = at.readings[place]
            if at.growing or reading.level is None or not math.isfinite(reading.level):
                continue
            observed = math.exp(reading.level)
            if observed <= base:
                continue
            level = math.log((observed - base) / (1 - base))
            error = reading.se * observed / (observed - base)
            found.append(DosePoint(at.rate_per_s, level, error, reading.degrees_of_freedom, reading.seconds))
        return found

    def _base(self, place: int, line: Crossing) -> float:
        """What an unhurried shop shows already, as a share of what is allowed, beyond what the line explains.

        Long services, or pages that always fail, are there at any rate: the level is flat until queues come.
        """
        calm = [at for at in self.evidence if at.rate_per_s < UNHURRIED_RATIO * line.rate_per_s]
        seconds = sum(at.seconds for at in calm)
        if not seconds:
            return 0.0
        seen = (
            at.seconds * (math.exp(level) - math.exp(line.level_at(at.rate_per_s)))
            for at in calm
            if (level := at.readings[place].level) is not None
        )
        return _clip(sum(seen) / seconds, (0.0, MOST_BASE_RATIO))


def haunted(history: Sequence[Plateau]) -> list[bool]:
    """Which plateaus met a shop that still suffered from an earlier one.

    It shows when a rate certainly breaks a threshold although a rate well above it held before. From the last
    plateau that held, only the first failure is then believed, until a plateau holds again.
    """
    found = [False] * len(history)
    for place, plateau in enumerate(history):
        held = [at for at in range(place) if history[at].status == "pass"]
        if not held or not _certainly_broken(plateau):
            continue
        highest = max(history[at].rate_per_s for at in held if not found[at])
        if plateau.rate_per_s > HAUNTED_RATIO * highest:
            continue
        failures = [at for at in range(held[-1] + 1, place + 1) if history[at].status == "fail"]
        for at in range(failures[0] + 1, place + 1):
            found[at] = True
    return found


def _certainly_broken(plateau: Plateau) -> bool:
    return plateau.status == "fail" and (
        plateau.growing or any(reading.low > _HOPELESS for reading in plateau.readings)
    )


def _tail_contradicted(evidence: Iterable[RateEvidence]) -> bool:
    """Whether, over all rates near the bound, the plain count and the tail tell different stories."""
    scores: dict[str, list[float]] = {}
    for found in evidence:
        if found.seconds < SOLID_S:
            continue
        for reading in found.readings:
            if reading.check_z and reading.level is not None and abs(reading.level) < _EDGE:
                scores.setdefault(reading.name, []).append(reading.check_z)
    return any(abs(sum(z)) / math.sqrt(len(z)) > TAIL_Z for z in scores.values())


def _clip(value: float, limits: tuple[float, float]) -> float:
    return min(max(value, limits[0]), limits[1])
