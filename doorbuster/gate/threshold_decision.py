"""Evaluates one threshold against one estimate: pass, fail, warn or inconclusive, and a sentence.

Rules, in this order:
1. No data                                   -> inconclusive.
2. Only a lower bound is known ("at least")  -> decided when a higher value gives the same result, else
                                                inconclusive.
3. Too few samples                           -> decided when the whole 95 % interval is on one side of the
                                                bound (an unknown end reaches to infinity), else inconclusive.
4. Otherwise the estimate decides, as in k6; when the interval includes the bound, the sentence says that
   another run might decide otherwise.
A violated threshold of severity "warn" is a warning. docs/reference/report.md explains these rules.
"""

from __future__ import annotations

from doorbuster.gate.estimate import MetricEstimate, estimate, round_to_bucket
from doorbuster.gate.threshold_result import MetricData, NoData, ThresholdResult, ThresholdStatus
from doorbuster.scenario.thresholds.language import Threshold, Unit
from doorbuster.scenario.thresholds.metrics import OBSERVED
from doorbuster.units import format_count, format_duration, format_ratio

_REQUIRED = {
    "<": "below",
    "<=": "at most",
    ">": "above",
    ">=": "at least",
    "==": "exactly",
    "!=": "anything but",
}
_EXPECTED = {"true": "answered requests", "false": "failed and abandoned requests"}


def decide(threshold: Threshold, tally: MetricData) -> ThresholdResult:
    """The result of one threshold."""
    found = estimate(threshold, tally)
    if isinstance(found, NoData):
        required = f"{_REQUIRED[threshold.operator]} {format_bound(threshold, threshold.bound)}"
        return without_value(threshold, found.reason, required)
    value = round_to_bucket(threshold, found.observed)
    holds = threshold.holds(value)
    certain = _certain(threshold, found, holds=holds)
    status, remark = _status(threshold, found, holds=holds, certain=certain)
    margin = threshold_margin(threshold, value)
    sentence = _sentence(threshold, found, status, remark, margin)
    return ThresholdResult(
        threshold, status, found.observed, found.low, found.high, found.n, threshold.unit, margin,
        at_least=found.at_least, certain=certain and status != "inconclusive", sentence=sentence,
        remark=f"{_at_the_start(remark)}." if remark else "",
    )  # fmt: skip


NO_BASELINE = (
    "no baseline was named: accept good runs with `doorbuster baseline accept RUN`, then add --baseline main"
)


def without_baseline(threshold: Threshold) -> ThresholdResult:
    """The result of a threshold that refers to a baseline, when none was named."""
    return without_value(threshold, NO_BASELINE, relative_requirement(threshold))


def relative_requirement(threshold: Threshold) -> str:
    """ "below baseline*1.1"."""
    expression = threshold.expression
    return f"{_REQUIRED[threshold.operator]} {expression[expression.index('baseline') :].strip()}"


def without_value(threshold: Threshold, reason: str, required: str) -> ThresholdResult:
    """The result of a threshold that cannot be evaluated: inconclusive, with the reason."""
    sentence = f"{_beginning(threshold, reason)}. Required: {required}."
    return ThresholdResult(
        threshold, "inconclusive", None, None, None, 0, threshold.unit, None,
        at_least=False, certain=False, sentence=sentence,
    )  # fmt: skip


def format_bound(threshold: Threshold, value: float) -> str:
    """A value with the unit of the threshold."""
    return format_in_unit(threshold.unit, value)


def format_in_unit(unit: Unit, value: float) -> str:
    """A value in the unit of a bound."""
    match unit:
        case "ms":
            return format_duration(value / 1e3)
        case "ratio":
            return format_ratio(value)
        case "per_s":
            return f"{value:.4g}/s"
        case "value":
            return f"{value:.4g}"
        case _:
            return format_count(value)


def format_margin(threshold: Threshold, margin: float) -> str:
    """The distance to the bound with its sign: "+1.2 s", "−4.2 points"."""
    sign = "+" if margin >= 0 else "−"
    if threshold.unit == "ratio":
        points = f"{abs(margin) * 100:.3g}"
        return f"{sign}{points} point{'' if points == '1' else 's'}"
    return f"{sign}{format_bound(threshold, abs(margin))}"


def _status(
    threshold: Threshold, found: MetricEstimate, *, holds: bool, certain: bool
) -> tuple[ThresholdStatus, str]:
    broken: ThresholdStatus = "warn" if threshold.severity == "warn" else "fail"
    plain: ThresholdStatus = "pass" if holds else broken
    if found.at_least and not _more_changes_nothing(threshold, holds=holds):
        return "inconclusive", "too many customers left before the response to know the true value"
    if found.too_few:
        return (plain, "") if certain else ("inconclusive", found.too_few)
    return plain, "" if certain else _not_certain(threshold, found, holds=holds)


def _not_certain(threshold: Threshold, found: MetricEstimate, *, holds: bool) -> str:
    """States the end of the interval across the bound, with enough digits to tell it from the bound."""
    ends = [end for end in (found.low, found.high) if end is not None]
    across = next((end for end in ends if threshold.holds(round_to_bucket(threshold, end)) != holds), None)
    if across is None:
        return "not certain: the interval has no end on that side, so another run may decide otherwise"
    text = format_bound(threshold, across)
    if text == format_bound(threshold, threshold.bound):
        text = f"{across * 100:.5g} %" if threshold.unit == "ratio" else f"{across:.6g}"
    return f"not certain: the interval reaches to {text}, so another run may decide otherwise"


def _more_changes_nothing(threshold: Threshold, *, holds: bool) -> bool:
    """Whether every value above the observed one gives the same result."""
    match threshold.operator:
        case "<" | "<=":
            return not holds
        case ">" | ">=":
            return holds
        case _:
            return False


def _certain(threshold: Threshold, found: MetricEstimate, *, holds: bool) -> bool:
    """Whether every value of the interval gives the same result as the estimate."""
    if found.exact:
        return True
    if threshold.operator in ("==", "!="):
        return found.low is not None and found.low == found.high
    if found.low is None or found.high is None:
        # One known end is enough when it is the end nearer to the bound.
        above_is_good = threshold.operator in (">", ">=")
        needed = found.low if above_is_good == holds else found.high
        return needed is not None and threshold.holds(round_to_bucket(threshold, needed)) == holds
    return all(threshold.holds(round_to_bucket(threshold, end)) == holds for end in (found.low, found.high))


def threshold_margin(threshold: Threshold, value: float) -> float:
    """The distance of a value from the bound, positive when the threshold holds."""
    match threshold.operator:
        case "<" | "<=":
            return threshold.bound - value
        case ">" | ">=":
            return value - threshold.bound
        case "==":
            return -abs(value - threshold.bound)
        case _:
            return abs(value - threshold.bound)


def _sentence(
    threshold: Threshold, found: MetricEstimate, status: ThresholdStatus, remark: str, margin: float
) -> str:
    start = _beginning(threshold, found.phrase)
    required = f"Required: {_REQUIRED[threshold.operator]} {format_bound(threshold, threshold.bound)}"
    if status in ("fail", "warn") and margin < 0:
        required += f"; missed by {format_margin(threshold, margin)[1:]}"
    return f"{start}. {required}.{f' {_at_the_start(remark)}.' if remark else ''}"


def _where(threshold: Threshold) -> str:
    """The tags as the start of a sentence: "step checkout, channel web: "."""
    chosen = ", ".join(
        _EXPECTED[tag.value] if tag.name == "expected_response" else f"{tag.name} {tag.value}"
        for tag in threshold.tags
    )
    return f"{chosen}: " if chosen else ""


def _beginning(threshold: Threshold, phrase: str) -> str:
    """The start of a sentence: where, and what. A name of a metric at its start stays as it is written."""
    where, name = _where(threshold), threshold.metric.removeprefix(OBSERVED)
    return phrase if not where and phrase.startswith(f"{name} ") else _at_the_start(where + phrase)


def _at_the_start(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
