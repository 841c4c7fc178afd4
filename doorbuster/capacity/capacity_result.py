"""The result of a capacity search and its wording.

Rules of this module:
- The interval is that of the fitted line near the bound, limited by conclusive verdicts outside its window;
  without a line it is the bracket of conclusive verdicts. It is never narrower than `LOAD_STEP_RATIO`.
- A line whose rates are all on one side of the bound is an extrapolation (shops that fail abruptly have no
  violations on the other side): conclusive verdicts then replace its ends.
- A missing end is the nearest conclusive verdict of any length (`verdicts_around`).
- "at least" when the generator, the maximum rate or the time budget ended the search before the shop failed,
  or when the interval has no upper end. Without a lower end there is no capacity.
- When the limit is near what an idle shop needs (`idle_crossing`), a wide interval is only a range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from doorbuster.capacity.load_step import SAME_RATE_RATIO, LoadStep, RateEvidence
from doorbuster.capacity.search_bracket import IdleTrend, SearchBracket, ThresholdTrend
from doorbuster.capacity.threshold_crossing import WINDOW

UNRECOVERED_LEVEL = math.log(3.0)
WIDE_RATIO = 0.06
TELLING_RATIO = 0.25  # near idle, a wider interval is not called a capacity
LOAD_STEP_RATIO = 0.01  # smallest difference between two rates that the search tries

SearchMethod = Literal["line", "curve", "bracket", "none"]
Flag = Literal[
    "generator-bound", "ceiling", "unfinished", "below-range", "did not recover", "recovery not tested",
    "wide", "near idle", "non-stationary", "not drained", "line misfit",
]  # fmt: skip

MEANINGS: dict[str, str] = {
    "generator-bound": "The load generator reached its limit first. Add --workers to search further.",
    "ceiling": "The maximum rate ended the search. Raise --max-rate or safety.max_rate to search further.",
    "unfinished": "The time budget ended the search. Increase --budget to search further.",
    "did not recover": "After an overload the shop failed at a rate it had sustained before: metastable.",
    "recovery not tested": "Recovery from an overload was not tested.",
    "wide": "The interval is wide. Four times the --budget halves it.",
    "near idle": "The limit is near the response time of an idle shop, so load hardly changes the result. "
    "Raise the limit, or increase --budget.",
    "not drained": "Some load steps ended with customers still in the shop.",
    "line misfit": "The load steps disagree more than chance explains. Did the shop change?",
}  # the sentence covers "below-range"; every saturated shop is "non-stationary"


@dataclass(frozen=True, slots=True, eq=False)
class CapacityResult:
    """The answer: `rate_per_s` with its 95 % interval, the binding threshold and the evidence.

    `at_least`: the shop did not reach its limit, so there is no upper end. `rate_per_s` None: the lowest rate
    already failed, nothing is known, or the data do not tell a capacity; `estimate_per_s` is then the best
    guess, for the search only. `confirmed`: a load step at or below the answer did not fail.
    `recovered` None: not tested.
    """

    rate_per_s: float | None
    estimate_per_s: float | None
    low: float | None
    high: float | None
    at_least: bool
    binding: str
    method: SearchMethod
    confirmed: bool
    recovered: bool | None
    flags: tuple[Flag, ...]
    evidence: tuple[RateEvidence, ...]
    elapsed_s: float
    sentence: str

    @property
    def half_width_ratio(self) -> float:
        """Half the interval over the answer; infinite when an end is missing."""
        return _half_width_ratio(self.rate_per_s, self.low, self.high)


def capacity_result(known: SearchBracket, max_rate_per_s: float) -> CapacityResult:
    """The answer from the load steps so far; `max_rate_per_s` is the highest permitted rate."""
    lowest_failing, highest_passing = known.lowest_failing, known.highest_passing
    overloads = [step for step in known.history if step.kind == "overload-recovery"]
    recovered = _recovered(overloads[-1]) if overloads else None
    if known.not_recovered:
        recovered = False
    flags: list[Flag] = []
    if recovered is False:
        flags.append("did not recover")
    if any(not step.measured.drained for step in known.history):
        flags.append("not drained")
    if any(found.growing for found in known.evidence):
        flags.append("non-stationary")
    if lowest_failing is None:
        flags.append(_end_reason(known, max_rate_per_s))
        passed = [found.rate_per_s for found in known.evidence if found.status == "pass"]
        kept = max(passed, default=None)
        return _state(known, kept, kept, None, "none" if kept is None else "bracket", recovered, flags, "")
    if highest_passing is None:
        if not lowest_failing.certainly_fails:
            flags.append("near idle")
            return _state(known, None, None, None, "none", recovered, flags, _worst(lowest_failing))
        flags.append("below-range")
        return _state(
            known, None, None, lowest_failing.rate_per_s, "none", recovered, flags, _worst(lowest_failing)
        )
    if recovered is None:
        flags.append("recovery not tested")
    if known.binding_idle_trend is not None:
        return _near_idle(known, known.binding_idle_trend, recovered, flags)
    if known.binding_trend is not None:
        return _on_line(known, known.binding_trend, recovered, flags)
    low, high = known.bracket
    if known.not_recovered:  # no further step will follow: use the bracket of estimates
        low, high = low or highest_passing.rate_per_s, high or lowest_failing.rate_per_s
    rate = known.centre_per_s or math.sqrt(highest_passing.rate_per_s * lowest_failing.rate_per_s)
    below, above = known.verdicts_around(rate)
    low, high = low or below, high or above
    return _state(known, rate, low, high, "bracket", recovered, flags, _worst(lowest_failing))


def _on_line(
    known: SearchBracket, line: ThresholdTrend, recovered: bool | None, flags: list[Flag]
) -> CapacityResult:
    """The answer from the fitted lines; verdicts replace its ends where it has none or extrapolates."""
    lows = [found.crossing.low for found in known.trends if found.crossing.low is not None]
    highs = [found.crossing.high for found in known.trends if found.crossing.high is not None]
    outside = _outside(known, line.crossing.elasticity, line.crossing.rate_per_s)
    low, high = max(min(lows, default=0.0), outside[0]), min([*highs, outside[1]])
    if not low < high:
        flags.append("line misfit")
        low, high = min(lows, default=0.0), min(highs, default=math.inf)
    if not line.crossing.is_between:
        low, high = known.bracket[0] or low, known.bracket[1] or high
    rate = min(max(line.crossing.rate_per_s, low), high)
    below, above = known.verdicts_around(rate)
    low, high = low or below or 0.0, high if math.isfinite(high) else above or math.inf
    low, high = min(low, rate * (1 - LOAD_STEP_RATIO)), max(high, rate * (1 + LOAD_STEP_RATIO))
    ends = (low if low > 0 else None, high if math.isfinite(high) else None)
    return _state(known, rate, ends[0], ends[1], "line", recovered, flags, line.name)


def _near_idle(
    known: SearchBracket, trend: IdleTrend, recovered: bool | None, flags: list[Flag]
) -> CapacityResult:
    """The answer from a curve near idle: a capacity when its interval is narrow, else the range only."""
    found = trend.crossing
    near = {one.name for one in known.idle_trends}
    ends = [(one.crossing.low, one.crossing.high) for one in known.idle_trends]
    ends += [(one.crossing.low, one.crossing.high) for one in known.trends if one.name not in near]
    lows, highs = zip(*ends, strict=True)
    low = None if None in lows else min(low for low in lows if low is not None)
    high = min((high for high in highs if high is not None), default=None)
    below, above = known.verdicts_around(found.rate_per_s)
    low, high = low or below, high or above
    if _half_width_ratio(found.rate_per_s, low, high) > TELLING_RATIO and trend.is_seen:
        flags.append("near idle")
    elif low is not None and high is not None:
        low = min(low, found.rate_per_s * (1 - LOAD_STEP_RATIO))
        high = max(high, found.rate_per_s * (1 + LOAD_STEP_RATIO))
    return _state(known, found.rate_per_s, low, high, "curve", recovered, flags, trend.name)


def _end_reason(known: SearchBracket, max_rate_per_s: float) -> Flag:
    """Why the search ended without reaching the limit of the shop."""
    undelivered = [step for step in known.history if step.status == "invalid"]
    if undelivered:
        lowest = min(undelivered, key=lambda step: step.rate_per_s)
        return "ceiling" if lowest.measured.is_at_ceiling else "generator-bound"
    reached = known.evidence[-1].rate_per_s if known.evidence else 0.0
    return "ceiling" if reached >= max_rate_per_s * (1 - SAME_RATE_RATIO) else "unfinished"


def _outside(known: SearchBracket, elasticity: float, centre: float) -> tuple[float, float]:
    """Conclusive verdicts outside the window of the line; the fit already contains those inside."""
    reach = centre * math.log(WINDOW) / elasticity
    low, high = known.bracket
    low = low if low is not None and low < centre - reach else 0.0
    return low, high if high is not None and high > centre + reach else math.inf


def _recovered(step: LoadStep) -> bool | None:
    """After an overload: False when the queue still grows or a threshold is clearly at three times its limit.

    None when the step had no customers.
    """
    if step.is_empty:
        return None
    bad = any(r.level is not None and r.level > UNRECOVERED_LEVEL and r.low > 0 for r in step.estimates)
    return not (step.growing or bad)


def _worst(found: RateEvidence) -> str:
    levels = [(estimate.level, estimate.name) for estimate in found.estimates if estimate.level is not None]
    return max(levels, default=(0.0, ""))[1] or ("the queue grows" if found.growing else "")


def _state(
    known: SearchBracket,
    rate: float | None,
    low: float | None,
    high: float | None,
    method: SearchMethod,
    recovered: bool | None,
    flags: list[Flag],
    binding: str,
) -> CapacityResult:
    estimate, near_idle = rate, "near idle" in flags
    is_open = known.lowest_failing is None or (low is not None and high is None and not near_idle)
    at_least = is_open and rate is not None
    if at_least:
        rate = low
    elif near_idle or low is None or high is None:
        rate = None
        if estimate is not None and not near_idle:
            flags.append("unfinished")
    elif _half_width_ratio(rate, low, high) > WIDE_RATIO:
        flags.append("wide")
    below = [found for found in known.evidence if estimate is not None and found.rate_per_s <= estimate]
    return CapacityResult(
        rate_per_s=rate,
        estimate_per_s=estimate,
        low=low,
        high=high,
        at_least=at_least,
        binding=binding,
        method=method,
        confirmed=bool(below) and below[-1].status in ("pass", "unsure"),
        recovered=recovered,
        flags=tuple(flags),
        evidence=known.evidence,
        elapsed_s=known.elapsed_s,
        sentence=_sentence(known, estimate, low, high, binding, flags),
    )


def _sentence(
    known: SearchBracket,
    rate: float | None,
    low: float | None,
    high: float | None,
    binding: str,
    flags: list[Flag],
) -> str:
    if "near idle" in flags:
        lowest = known.lowest_failing.rate_per_s if known.lowest_failing is not None else 0.0
        where = f"may be below {lowest:.3g} customers/s" if rate is None else _range(low, high)
        return (
            f"The limit of {binding} is so near the response time of an idle shop that capacity cannot be "
            f"told within ± {100 * TELLING_RATIO:.0f} %; it {where}." + _recovery(flags)
        )
    if rate is None and known.lowest_failing is not None:
        return f"Even {known.lowest_failing.rate_per_s:.3g} customers/s violate the thresholds ({binding})."
    if rate is None:
        return "Capacity is unknown: no load step was long enough for a verdict."
    if known.lowest_failing is None:
        if "unfinished" in flags:
            return f"Capacity is at least {rate:.3g} customers/s; the search ended before the shop failed."
        limit = "the load generator" if "generator-bound" in flags else "the maximum rate"
        return f"Capacity is at least {rate:.3g} customers/s; {limit} ended the search, not the shop."
    if low is not None and high is not None:
        interval = f"95 % interval {low:.3g} to {high:.3g}"
        text = f"Capacity is {rate:.3g} customers/s ({interval}); {binding} fails first."
    elif low is not None:
        text = (
            f"Capacity is at least {low:.3g} customers/s (95 % confidence; upper end unknown, estimate "
            f"{rate:.3g}); {binding} fails first."
        )
    elif high is not None:
        text = (
            f"Capacity is at most {high:.3g} customers/s (95 % confidence; lower end unknown): no rate "
            f"passed for long enough. {binding} fails first."
        )
    else:
        text = (
            f"Capacity is unknown: no load step was long enough for an interval. {binding} seems to fail "
            f"first, near {rate:.3g} customers/s."
        )
    return text + _recovery(flags)


def _recovery(flags: list[Flag]) -> str:
    return " After an overload the shop did not recover: metastable." if "did not recover" in flags else ""


def _range(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"is between {low:.3g} and {high:.3g} customers/s (95 % interval)"
    if low is None and high is None:
        return "may be anywhere among the rates tried"
    return f"is at most {high:.3g} customers/s" if low is None else f"is at least {low:.3g} customers/s"


def _half_width_ratio(rate: float | None, low: float | None, high: float | None) -> float:
    if rate is None or low is None or high is None:
        return math.inf
    return (high - low) / (2 * rate)
