"""What the trend of the headroom means for the date of the peak, in one sentence.

The headroom is the capacity over the peak demand; at 1 the reserve is gone. The trend is fitted to all
searches shown, across changes of level, because a slow decline looks like small steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from doorbuster.history.store import HistoryRun, MetricValues
from doorbuster.stats.trend import MIN_POINTS, Trend, fit_trend

_DAY_NS = 86_400 * 10**9
_FAR_DAYS = 5 * 365.0
_EPOCH = date(1970, 1, 1)


def headroom_trend(values: MetricValues, runs: Sequence[HistoryRun], peak: date | None) -> str:
    """The trend per 30 days, the date at which the reserve is gone, and the headroom at the peak."""
    days = [unix_days(runs[at]) for at in values.at]
    trend = fit_trend(days, values.value.tolist())
    if trend is None:
        return f"The trend of the headroom needs {MIN_POINTS} searches on different days."
    text = f"The headroom changes by {_monthly(trend)} per 30 days{_end(trend, days[-1])}"
    if peak is not None:
        day = float((peak - _EPOCH).days)
        at = trend.at(day)
        text += (
            f". On the day of the peak, {day_text(day)}, it is {at.value:.3g} times the demand "
            f"(95 % interval {at.low:.3g} to {at.high:.3g})"
        )
    return f"{text}."


def unix_days(run: HistoryRun) -> float:
    """The start of a run in days since 1970."""
    return run.started_at_unix_ns / _DAY_NS


def day_text(days: float) -> str:
    """ "12 November 2026"."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
    return f"{moment.day} {moment:%B %Y}"


def _end(trend: Trend, today: float) -> str:
    """When the reserve is gone, or why no date is given."""
    if not trend.is_certain:
        return ", so no trend is certain"
    gone = trend.reaches(1.0)
    assert gone is not None, "a certain trend reaches every value"
    assert gone.low is not None
    assert gone.high is not None
    if trend.slope.value > 0 or gone.value - today > _FAR_DAYS:
        return "; the reserve does not run out in the next five years"
    if gone.value < today:
        return f"; the reserve has been gone since {day_text(gone.value)}"
    interval = f"{day_text(gone.low)} to {day_text(min(gone.high, today + 4 * _FAR_DAYS))}"
    return f"; at this rate the reserve is gone by {day_text(gone.value)} (95 % interval {interval})"


def _monthly(trend: Trend) -> str:
    """The change per 30 days with its interval."""
    ends = (trend.slope.value, trend.slope.low or 0.0, trend.slope.high or 0.0)
    value, low, high = (f"{((1 + end) ** 30 - 1) * 100:+.3g} %".replace("-", "−") for end in ends)
    return f"{value} (95 % interval {low} to {high})"
