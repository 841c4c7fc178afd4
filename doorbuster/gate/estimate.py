"""Turns counts into one number with its interval, in the unit of the threshold.

Rules:
- No samples give NoData, never 0.
- Samples close in time are correlated: where their times are known, the interval widens with the scatter
  between time blocks, excluding planned ramps. With fewer than ten blocks, samples count as independent.
- A time is accurate to its histogram bin (0.1 %): a value in the bin of the bound counts as the bound.
- `too_few` explains why there are too few samples: the quantile needs more (p99: 299), or a single customer
  would change the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from doorbuster.gate.threshold_result import (
    US_PER_MS,
    CounterTotal,
    MetricData,
    NoData,
    RateCounts,
    SectionValue,
    TrendCounts,
)
from doorbuster.records.browser import CLS_STEPS
from doorbuster.records.histogram import bin_index
from doorbuster.scenario.thresholds.language import Threshold
from doorbuster.scenario.thresholds.metrics import METRICS, OBSERVED
from doorbuster.stats.censored import CensoredEstimate, censored_mean, censored_quantile, survival_curve
from doorbuster.stats.latency_quantiles import latency_quantiles
from doorbuster.stats.proportion import ProportionEstimate, clopper_pearson, timed_proportion
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count, format_counted, format_duration, format_ratio

_MEAN_NEEDS = 10
_RATE_NEEDS = 6


@dataclass(frozen=True, slots=True)
class MetricEstimate:
    """One observed number: `phrase` is the start of its sentence, without the full stop."""

    observed: float
    low: float | None
    high: float | None
    n: int
    at_least: bool
    phrase: str
    too_few: str = ""
    exact: bool = False


def estimate(threshold: Threshold, counts: MetricData) -> MetricEstimate | NoData:
    """The estimate of the quantity that the threshold bounds."""
    match counts:
        case NoData():
            return counts
        case TrendCounts():
            return _of_trend(threshold, counts)
        case RateCounts():
            return _of_rate(threshold, counts)
        case CounterTotal():
            return _of_count(threshold, counts)
        case SectionValue():
            return _of_value(threshold, counts)


def rate_interval(counts: RateCounts) -> ProportionEstimate:
    """The interval of a rate, the same in thresholds and headlines."""
    if counts.by_time:
        return timed_proportion(*zip(*counts.by_time, strict=True))
    return clopper_pearson(counts.k, counts.n)


def round_to_bucket(threshold: Threshold, value: float) -> float:
    """The bound when the value cannot be distinguished from it, else the value."""
    if math.isclose(value, threshold.bound, rel_tol=1e-9, abs_tol=1e-12):
        return threshold.bound
    definition = METRICS.get(threshold.metric)
    if definition is not None and definition.kind == "trend" and threshold.aggregation != "avg":
        steps = US_PER_MS if threshold.unit == "ms" else CLS_STEPS
        bins = bin_index([round(value * steps), round(threshold.bound * steps)])
        if bins[0] == bins[1]:
            return threshold.bound
    return value


def _of_trend(threshold: Threshold, counts: TrendCounts) -> MetricEstimate | NoData:
    if counts.answered.n + counts.abandoned.n == 0:
        return NoData("no requests were counted")
    definition = METRICS[threshold.metric]
    wording, sample = definition.wording, definition.sample
    match threshold.aggregation:
        case "avg":
            found = _mean(counts, sample)
        case "min":
            found = _edge(counts, 0.0)
        case "max":
            found = _edge(counts, 1.0)
        case _:
            found = _quantile(counts, (threshold.percentile or 0.0) / 100.0, sample)
    found = _in_unit(_widened(found, counts.bucket_error), US_PER_MS / counts.steps_per_unit)
    value = _shown(threshold, found.observed)
    least, most, up_to, beyond = "shortest", "longest", "within", "only after {} or later"
    if threshold.unit != "ms":
        least, most, up_to, beyond = "smallest", "largest", "of at most", "of {} or more"
    phrase = {
        "avg": f"the average {wording.noun} was {value}",
        "min": f"the {least} {wording.noun} was {value}",
        "max": f"the {most} {wording.noun} was {value}",
    }.get(threshold.aggregation) or f"{threshold.percentile:g} of 100 {wording.events} {up_to} {value}"
    if found.at_least:
        phrase = phrase.replace(f"{up_to} {value}", beyond.format(value)).replace(
            f"was {value}", f"was {value} or more"
        )
    interval = _interval(found, lambda value: _shown(threshold, value))
    samples = format_counted(found.n, sample)
    basis = f"{samples}, 95 % interval {interval}" if interval else samples
    gave_up = ""
    if counts.abandoned.n:
        fate = "never came" if definition.of_browsers else "were abandoned"
        gave_up = f"; {format_count(counts.abandoned.n)} of them {fate}"
    return replace(found, phrase=f"{phrase} ({basis}{gave_up})")


def _in_unit(found: MetricEstimate, factor: float) -> MetricEstimate:
    """The estimate of a metric that is not a time, of which histograms count other steps."""
    if factor == 1.0:
        return found
    low, high = (None if end is None else end * factor for end in (found.low, found.high))
    return replace(found, observed=found.observed * factor, low=low, high=high)


def _widened(found: MetricEstimate, bucket_error: float) -> MetricEstimate:
    """The estimate with the width of the buckets that its times were counted in."""
    if not bucket_error:
        return found
    low = found.observed if found.low is None and found.exact else found.low
    high = found.observed if found.high is None and found.exact else found.high
    return replace(
        found,
        low=None if low is None else low * (1 - bucket_error),
        high=None if high is None else high * (1 + bucket_error),
        exact=False,
    )


def _quantile(counts: TrendCounts, p: float, sample: str) -> MetricEstimate:
    if p in (0.0, 1.0):
        return _edge(counts, p)
    n = counts.answered.n + counts.abandoned.n
    needs = minimum_n(p)
    too_few = "" if n >= needs else f"this percentile needs {format_count(needs)} {sample}s, there were {n}"
    if counts.time_blocks and not too_few:
        (timed,) = latency_quantiles(counts.time_blocks, [p])
        if timed.value_us is not None and timed.effective_n > 0:
            ends = _ms(timed.low_us), _ms(timed.high_us)
            return MetricEstimate(timed.value_us / 1e3, *ends, n, timed.at_least, "")
    if counts.abandoned.n:
        return _from_us(censored_quantile(survival_curve(counts.answered, counts.abandoned), p), too_few)
    found = quantile_estimate(counts.answered, p)
    assert found.value_us is not None
    return MetricEstimate(found.value_us / 1e3, _ms(found.low_us), _ms(found.high_us), n, False, "", too_few)


def _mean(counts: TrendCounts, sample: str) -> MetricEstimate:
    found = _from_us(censored_mean(survival_curve(counts.answered, counts.abandoned)), "")
    if found.n >= _MEAN_NEEDS:
        return found
    too_few = f"an average needs {_MEAN_NEEDS} {sample}s, there were {found.n}"
    return replace(found, low=None, high=None, too_few=too_few)


def _edge(counts: TrendCounts, p: float) -> MetricEstimate:
    """Minimum or maximum of this run; it has no interval."""
    found = _from_us(censored_quantile(survival_curve(counts.answered, counts.abandoned), p), "")
    if p == 0.0:
        both = counts.answered.merge(counts.abandoned)
        shortest, answered = both.min_us or 0, counts.answered.min_us
        at_least = answered is None or shortest < answered
        found = replace(found, observed=shortest / 1e3, at_least=at_least)
    return replace(found, low=None, high=None, exact=True)


def _from_us(found: CensoredEstimate, too_few: str) -> MetricEstimate:
    assert found.value_us is not None
    return MetricEstimate(
        found.value_us / 1e3, _ms(found.low_us), _ms(found.high_us), found.n, found.at_least, "", too_few
    )


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1e3


def _of_rate(threshold: Threshold, counts: RateCounts) -> MetricEstimate | NoData:
    wording = METRICS[threshold.metric].wording
    if counts.n == 0:
        return NoData(f"there were no {wording.noun}")
    found = rate_interval(counts)
    interval = f"{format_ratio(found.low)} to {format_ratio(found.high)}"
    phrase = (
        f"{format_ratio(counts.k / counts.n)} of the {wording.noun} {wording.events} "
        f"({format_count(counts.k)} of {format_count(counts.n)}, 95 % interval {interval})"
    )
    too_few = _too_few_for_rate(threshold, counts)
    return MetricEstimate(
        counts.k / counts.n, found.low, found.high, counts.n, at_least=False, phrase=phrase, too_few=too_few
    )


def _too_few_for_rate(threshold: Threshold, counts: RateCounts) -> str:
    """Why there are too few samples for a rate, in two cases; "" when there are enough.

    Below six: five successes are compatible with a shop that fails every second customer (0.5^5 > 2.5 %).
    From six on: a bound that allows exceptions, but less than one in n, must not fail for one customer: with
    30 customers and "rate>=99%", one failure would decide. Bounds of 0 % and 100 % allow no exceptions.
    """
    n = counts.n
    if n < _RATE_NEEDS:
        return f"a rate needs at least {_RATE_NEEDS}, there were {n}"
    if threshold.relative:  # its bound is an estimate of its own, with an interval
        return ""
    less = threshold.operator in ("<", "<=")
    if threshold.operator in ("==", "!=") or threshold.bound == (0.0 if less else 1.0):
        return ""
    exception = 1.0 / n if less else 1.0 - 1.0 / n
    spoilt = counts.k > 0 if less else counts.k < n
    if not spoilt or threshold.holds(round_to_bucket(threshold, exception)):
        return ""
    room = threshold.bound if less else 1.0 - threshold.bound
    strict = threshold.operator in ("<", ">")
    needs = math.floor(1.0 / room + 1e-9) + 1 if strict else math.ceil(1.0 / room - 1e-9)
    return f"too few, a single customer or request would decide: this bound needs {needs:,}, there were {n:,}"


def _of_count(threshold: Threshold, counts: CounterTotal) -> MetricEstimate | NoData:
    wording = METRICS[threshold.metric].wording
    if counts.n == 0:
        return NoData(f"there were no {wording.noun or 'requests or customers'} to count")
    basis = f" (of {format_count(counts.n)} {wording.noun})" if wording.noun else ""
    phrase = f"{format_count(counts.count)} {wording.events}{basis}"
    if threshold.aggregation == "count":
        return MetricEstimate(
            float(counts.count), None, None, counts.n, at_least=False, phrase=phrase, exact=True
        )
    if counts.over_s <= 0:
        return NoData("the run has no duration, so there is no rate")
    rate = counts.count / counts.over_s
    phrase = f"{phrase} in {format_duration(counts.over_s)}, {rate:.4g}/s"
    return MetricEstimate(rate, None, None, counts.n, at_least=False, phrase=phrase, exact=True)


def _of_value(threshold: Threshold, counts: SectionValue) -> MetricEstimate:
    found = MetricEstimate(
        counts.value,
        counts.low,
        counts.high,
        counts.n or 0,
        counts.at_least,
        "",
        exact=counts.low is None and counts.high is None,
    )
    interval = _interval(found, lambda value: _shown(threshold, value))
    basis = f" ({counts.basis})" if counts.basis else f" (95 % interval {interval})" if interval else ""
    more = " or more" if counts.at_least else ""
    name = threshold.metric.removeprefix(OBSERVED)
    return replace(found, phrase=f"{name} was {_shown(threshold, counts.value)}{more}{basis}")


def _shown(threshold: Threshold, value: float) -> str:
    if threshold.unit == "ratio":
        return format_ratio(value)
    return format_duration(value / 1e3) if threshold.unit == "ms" else f"{value:.4g}"


def _interval(found: MetricEstimate, form: object) -> str:
    assert callable(form)
    if found.low is None and found.high is None:
        return ""
    low = "unknown" if found.low is None else form(found.low)
    high = "unknown" if found.high is None else form(found.high)
    return f"{low} to {high}"
