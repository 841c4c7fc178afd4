"""Evaluates thresholds on observed values of the target, recorded or live.

Rules:
- A threshold on several series must hold for each: the one furthest on the wrong side counts, and is named.
- A bound in percent is a share of the metric's limit, where `observe.limits` states one; else the metric
  itself must be a share. A full resource may be read as a little more than full.
- Values that are missing never help: a threshold holds only if its source could be read nearly all the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from doorbuster.gate.accumulate import Selector
from doorbuster.gate.threshold_result import MetricData, NoData, SectionValue
from doorbuster.records.observed_reader import ObservedSeries
from doorbuster.scenario.observation.observe import Limit, SeriesSelector
from doorbuster.scenario.thresholds.language import Threshold, Unit
from doorbuster.scenario.thresholds.metrics import OBSERVED
from doorbuster.units import format_counted, format_ratio

MIN_COVERAGE_RATIO = 0.9
UP = "up"
UTILISATION = "utilisation"  # a share by definition
MAX_SHARE = 1.2  # of a share that is read as the increase of a counter, whose interval is not exact
_NAMES = {"avg": "average", "min": "lowest", "max": "highest", "med": "median", "last": "last"}
_ABOVE = ("<", "<=", "==", "!=")  # of these, the highest series is the furthest on the wrong side


class Readings(NamedTuple):
    """Selected readings of one series: `values[i]` in the unit of a bound, at second `seconds[i]`."""

    series: ObservedSeries
    seconds: NDArray[np.int64]
    values: NDArray[np.float64]


class _SeriesValue(NamedTuple):
    value: float
    n: int
    series: ObservedSeries


def observed_data(
    threshold: Threshold,
    select: Selector,
    series: Sequence[ObservedSeries],
    limits: Mapping[str, Limit],
    *,
    length_s: float,
) -> MetricData:
    """The value of one threshold.

    Args: limits: `observe.limits` of the scenario. length_s: of the run so far.
    """
    readings = observed_readings(threshold, select, series, limits)
    if isinstance(readings, NoData):
        return readings
    found = [_SeriesValue(_aggregate(threshold, one.values), one.values.size, one.series) for one in readings]
    worst = (max if threshold.operator in _ABOVE else min)(found, key=lambda one: one.value)
    if threshold.operator == "==":
        worst = max(found, key=lambda one: abs(one.value - threshold.bound))
    coverage = observed_coverage(worst.series.source, select, series, length_s)
    if threshold.holds(worst.value) and coverage < MIN_COVERAGE_RATIO:
        return NoData(
            f"{threshold.metric} was recorded in {format_ratio(coverage)} of the seconds only, because its "
            f"source {worst.series.source} could not always be read"
        )
    return SectionValue(
        worst.value, None, None, worst.n, at_least=False, unit="", basis=_basis(threshold, worst, len(found))
    )


def observed_readings(
    threshold: Threshold, select: Selector, series: Sequence[ObservedSeries], limits: Mapping[str, Limit]
) -> list[Readings] | NoData:
    """The selected readings of every series that the threshold names, one series at least."""
    name = threshold.metric.removeprefix(OBSERVED)
    labels = {tag: value for tag, value in select.tags.items() if tag != "phase"}
    found: list[Readings] = []
    for one in series:
        if not one.matches(name, labels) or not (inside := _inside(one, select)).any():
            continue
        values = values_in_unit(threshold.metric, threshold.unit, one, limits.get(name), series)
        if isinstance(values, NoData):
            return values
        found.append(Readings(one, one.seconds[inside], values[inside]))
    return found or NoData(_why_none(name, labels, series))


def _inside(series: ObservedSeries, select: Selector) -> NDArray[np.bool_]:
    """Which values belong to the run, or to the chosen phase of it."""
    first, end = select.seconds or (0, np.iinfo(np.int64).max)
    inside: NDArray[np.bool_] = (series.seconds >= first) & (series.seconds < end)
    return inside


def values_in_unit(
    metric: str, unit: Unit, one: ObservedSeries, limit: Limit | None, series: Iterable[ObservedSeries]
) -> NDArray[np.float64] | NoData:
    """The values of a series in the unit of a bound.

    Args: metric: its name in messages. series: those that may state the limit.
    """
    if unit == "ms":
        factor = _ms_factor(one.name)
        if factor is None:
            return NoData(f"{metric} is not a time, but its bound is: its name has no unit of time")
        return one.values * factor
    if unit != "ratio":
        return one.values
    if limit is not None:
        most = _limit_at(one, limit, series)
        if most is None:
            return NoData(f"the limit of {metric} was not observed")
        return one.values / most
    if one.name != UTILISATION and one.values.max() > MAX_SHARE:
        return NoData(
            f"{metric} is not a share, since it reached {one.values.max():.4g}; state its limit: "
            f"observe: {{limits: {{{one.name}: ...}}}}"
        )
    return one.values


def _ms_factor(name: str) -> float | None:
    """Milliseconds per unit of a metric whose name ends with its unit, as Prometheus recommends."""
    base = name.removesuffix("_mean").removesuffix("_sum")
    if base.endswith(("_seconds", "_s", "_seconds_total")):
        return 1e3
    return 1.0 if base.endswith(("_milliseconds", "_ms")) else None


def _limit_at(
    one: ObservedSeries, limit: Limit, series: Iterable[ObservedSeries]
) -> NDArray[np.float64] | float | None:
    """The limit at each value: a number, or the latest value of the metric that states it."""
    if not isinstance(limit, SeriesSelector):
        return float(limit)
    stated = [other for other in series if other.matches(limit.name, limit.labels)]
    if not stated:
        return None
    same = next((other for other in stated if other.labels == one.labels), stated[0])
    at = np.clip(np.searchsorted(same.seconds, one.seconds, side="right") - 1, 0, None)
    values: NDArray[np.float64] = same.values[at]
    return np.where(values > 0, values, np.nan) if (values > 0).all() else None


def _aggregate(threshold: Threshold, values: NDArray[np.float64]) -> float:
    match threshold.aggregation:
        case "avg":
            return float(values.mean())
        case "min":
            return float(values.min())
        case "max":
            return float(values.max())
        case "last":
            return float(values[-1])
        case _:
            return float(np.quantile(values, (threshold.percentile or 0.0) / 100.0, method="higher"))


def observed_coverage(
    source: str, select: Selector, series: Iterable[ObservedSeries], length_s: float
) -> float:
    """The share of its turns in which a source could be read; turns are as far apart as is usual for it."""
    up = next((one for one in series if one.name == UP and one.source == source), None)
    if up is None or not up.seconds.size:
        return 0.0
    every_s = max(float(np.median(np.diff(up.seconds))) if up.seconds.size > 1 else 1.0, 1.0)
    first, end = select.seconds_within(int(length_s))
    inside = (up.seconds >= first) & (up.seconds < max(end, first + 1))
    expected = max((end - first) / every_s - 1.0, 1.0)  # the first turn may be missing: its source starts
    return min(float((up.values[inside] > 0).sum()) / expected, 1.0)


def _basis(threshold: Threshold, worst: _SeriesValue, n_series: int) -> str:
    kind = _NAMES.get(threshold.aggregation, f"p{threshold.percentile or 0:g}")
    readings = format_counted(worst.n, "reading")
    of = f", the worst of {n_series} series: {worst.series.title}" if n_series > 1 else ""
    return f"{kind} of {readings} by source {worst.series.source}{of}"


def _why_none(name: str, labels: Mapping[str, str], series: Sequence[ObservedSeries]) -> str:
    if not series:
        return "nothing was observed at the target"
    own = sorted({one.title for one in series if one.name == name})
    if own and labels:
        return f"no observed {name} had these labels in that time; there were {', '.join(own[:5])}"
    names = sorted({one.name for one in series if one.name != UP})
    shown = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"{name} was not observed; observed were {shown or 'no metrics'}"
