"""The answer of a capacity search, and the sentence that states it.

Rules of this module:
- The interval is that of the line near the bound, cut by verdicts beyond doubt outside its window; without a
  line it is the bracket of certain verdicts. It is never narrower than the step between two plateaus.
- "at least" when the generator or the safety ceiling ended the search and not the shop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from doorbuster.capacity.crossing import WINDOW
from doorbuster.capacity.evidence import Standing
from doorbuster.capacity.load_step import SAME_RATE_RATIO, Plateau, RateEvidence

UNRECOVERED_LEVEL = math.log(3.0)
WIDE_RATIO = 0.06
PLATEAU_STEP = 0.01  # rates closer than this were not tried apart: no line is believed further

Flag = Literal[
    "generator-bound", "ceiling", "unfinished", "below-range", "did not recover", "recovery not tested",
    "wide", "non-stationary", "not drained", "line misfit",
]  # fmt: skip

MEANINGS: dict[str, str] = {
    "generator-bound": "The load generator ended the search, not the shop: give it more workers to go on.",
    "ceiling": "The highest rate allowed ended the search: raise --highest or safety.max_rate to go on.",
    "unfinished": "The search ended before the shop gave in: more time finds its limit.",
    "did not recover": "After an overload the shop was not fine at a rate it had held before: metastable.",
    "recovery not tested": "Whether the shop recovers from an overload was not tested.",
    "wide": "The interval is wide: four times the --budget halves it.",
    "not drained": "The shop was not empty at the end of some plateau.",
    "line misfit": "The plateaus contradict each other beyond chance: was it the same shop?",
}  # "below-range" is what the sentence says; "non-stationary" is every shop beyond its limit


@dataclass(frozen=True, slots=True, eq=False)
class Capacity:
    """The answer: `rate_per_s` with its 95 % interval, what binds, and what it rests on.

    `at_least`: the shop did not give in, so there is no upper end. `rate_per_s` None: not even the lowest
    rate kept the thresholds, or nothing is known. `method` is "line", "bracket" or "none". `confirmed`: a
    plateau at or below the answer was judged and did not fail; `failed_above`: one above it did, or its
    estimate lay beyond the bound. `recovered` None: not tested.
    """

    rate_per_s: float | None
    low: float | None
    high: float | None
    at_least: bool
    binding: str
    method: Literal["line", "bracket", "none"]
    confirmed: bool
    failed_above: bool
    recovered: bool | None
    flags: tuple[Flag, ...]
    evidence: tuple[RateEvidence, ...]
    elapsed_s: float
    sentence: str

    @property
    def half_width_ratio(self) -> float:
        """Half the interval over the answer; infinite when an end is missing."""
        return _half_width_ratio(self.rate_per_s, self.low, self.high)


def answer(known: Standing, highest_per_s: float) -> Capacity:
    """What the plateaus so far say; `highest_per_s` is the highest rate allowed."""
    over, under = known.over, known.under
    above = [plateau for plateau in known.history if plateau.kind == "from-above"]
    recovered = _recovered(above[-1]) if above else None
    if known.is_haunted:
        recovered = False
    flags: list[Flag] = []
    if recovered is False:
        flags.append("did not recover")
    if any(not plateau.measured.drained for plateau in known.history):
        flags.append("not drained")
    if any(found.growing for found in known.evidence):
        flags.append("non-stationary")
    if over is None:
        flags.append(_ended_by(known, highest_per_s))
        passed = [found.rate_per_s for found in known.evidence if found.status == "pass"]
        kept = max(passed, default=None)
        return _state(known, kept, kept, None, "none" if kept is None else "bracket", recovered, flags, "")
    if under is None:
        flags.append("below-range")
        return _state(known, None, None, over.rate_per_s, "none", recovered, flags, _worst(over))
    if recovered is None:
        flags.append("recovery not tested")
    line = known.first_line
    if line is None:
        low, high = known.bracket
        if known.is_haunted:  # nothing more will be learnt: what held and what broke is the bracket
            low, high = low or under.rate_per_s, high or over.rate_per_s
        rate = known.centre_per_s or math.sqrt(under.rate_per_s * over.rate_per_s)
        return _state(known, rate, low, high, "bracket", recovered, flags, _worst(over))
    lows = [found.crossing.low for found in known.lines if found.crossing.low is not None]
    highs = [found.crossing.high for found in known.lines if found.crossing.high is not None]
    outside = _outside(known, line.crossing.elasticity, line.crossing.rate_per_s)
    low, high = max(min(lows, default=0.0), outside[0]), min([*highs, outside[1]])
    if not low < high:
        flags.append("line misfit")
        low, high = min(lows, default=0.0), min(highs, default=math.inf)
    rate = min(max(line.crossing.rate_per_s, low), high)
    low, high = min(low, rate * (1 - PLATEAU_STEP)), max(high, rate * (1 + PLATEAU_STEP))
    ends = (low if low > 0 else None, high if math.isfinite(high) else None)
    return _state(known, rate, ends[0], ends[1], "line", recovered, flags, line.name)


def _ended_by(known: Standing, highest_per_s: float) -> Flag:
    """What kept the search from finding the limit of the shop."""
    if known.undelivered_per_s < math.inf:
        return "generator-bound"
    reached = known.evidence[-1].rate_per_s if known.evidence else 0.0
    return "ceiling" if reached >= highest_per_s * (1 - SAME_RATE_RATIO) else "unfinished"


def _outside(known: Standing, elasticity: float, centre: float) -> tuple[float, float]:
    """Certain verdicts beyond the window of the line; those inside are already in it."""
    reach = centre * math.log(WINDOW) / elasticity
    low, high = known.bracket
    low = low if low is not None and low < centre - reach else 0.0
    return low, high if high is not None and high > centre + reach else math.inf


def _recovered(plateau: Plateau) -> bool | None:
    """After an overload: not recovered when it grows still, or certainly fails by a factor of three.

    None when nobody came by whom it could be told.
    """
    if plateau.is_empty:
        return None
    bad = any(r.level is not None and r.level > UNRECOVERED_LEVEL and r.low > 0 for r in plateau.readings)
    return not (plateau.growing or bad)


def _worst(found: RateEvidence) -> str:
    levels = [(reading.level, reading.name) for reading in found.readings if reading.level is not None]
    return max(levels, default=(0.0, ""))[1] or ("the queue grows" if found.growing else "")


def _state(
    known: Standing,
    rate: float | None,
    low: float | None,
    high: float | None,
    method: Literal["line", "bracket", "none"],
    recovered: bool | None,
    flags: list[Flag],
    binding: str,
) -> Capacity:
    at_least = known.over is None and rate is not None
    has_interval = rate is not None and not at_least and (low is not None or high is not None)
    if has_interval and _half_width_ratio(rate, low, high) > WIDE_RATIO:
        flags.append("wide")
    below = [found for found in known.evidence if rate is not None and found.rate_per_s <= rate]
    above = [found for found in known.evidence if rate is not None and found.rate_per_s > rate]
    return Capacity(
        rate_per_s=rate,
        low=low,
        high=high,
        at_least=at_least,
        binding=binding,
        method=method,
        confirmed=bool(below) and below[-1].status in ("pass", "unsure"),
        failed_above=bool(above) and (above[0].status == "fail" or above[0].level > 0),
        recovered=recovered,
        flags=tuple(flags),
        evidence=known.evidence,
        elapsed_s=known.elapsed_s,
        sentence=_sentence(known, rate, low, high, binding, flags),
    )


def _sentence(
    known: Standing,
    rate: float | None,
    low: float | None,
    high: float | None,
    binding: str,
    flags: list[Flag],
) -> str:
    if rate is None and known.over is not None:
        return f"Not even {known.over.rate_per_s:.4g} customers/s keep the thresholds ({binding})."
    if rate is None:
        return "Nothing is known yet: no plateau was long enough to be judged."
    if known.over is None:
        if "unfinished" in flags:
            return f"Capacity is at least {rate:.4g} customers/s; the search ended before the shop gave in."
        limit = "the generator" if "generator-bound" in flags else "the highest rate allowed"
        return f"Capacity is at least {rate:.4g} customers/s; {limit} ended the search, not the shop."
    if low is None and high is None:
        text = (
            f"Capacity may be near {rate:.4g} customers/s (no rate was held long enough for an interval); "
            f"{binding} seems to break first."
        )
    else:
        interval = f"95 % interval {_ends(low, high)}"
        text = f"Capacity is {rate:.4g} customers/s ({interval}); {binding} breaks first."
    return text + (" After an overload it did not recover: metastable." if "did not recover" in flags else "")


def _half_width_ratio(rate: float | None, low: float | None, high: float | None) -> float:
    if rate is None or low is None or high is None:
        return math.inf
    return (high - low) / (2 * rate)


def _ends(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {high:.4g}, its lower end unknown"
    return f"from {low:.4g}, its upper end unknown" if high is None else f"{low:.4g} to {high:.4g}"
