"""How the channels of a run changed against its baseline, for the first screen of the report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doorbuster.compare.baseline_values import BaselineValues
    from doorbuster.records.reader import Run
    from doorbuster.report.overview import ChannelChange
    from doorbuster.report.overview.values import Tone
    from doorbuster.scenario import Threshold
    from doorbuster.stats.difference import ValueWithInterval

METRICS = ("can_order", "can_browse")
TOO_WIDE = 0.4  # an interval of more than 40 percentage points
_TONES: dict[str, Tone] = {"worse": "bad", "better": "good"}


def channel_thresholds(paths: Sequence[Path]) -> tuple[Threshold, ...]:
    """The rates by which channels are compared: who could order and browse, in each channel of these runs."""
    from doorbuster.records.reader import Run

    channels: set[str] = set()
    for path in paths:
        with Run.open(path) as run:
            channels |= {row.channel for row in run.customers(run.grain_s)}
    return tuple(_rate_of(metric, channel) for channel in sorted(channels) for metric in METRICS)


def channel_changes(run: Run, baseline: BaselineValues | None) -> dict[str, ChannelChange]:
    """By channel, the change of the share who could order, or browse where nobody orders, with its interval.

    Empty without a baseline, or with one that may not be compared.
    """
    from doorbuster.compare.baseline_values import run_threshold_metrics
    from doorbuster.compare.metric_comparison import compare_metric
    from doorbuster.report.overview import ChannelChange

    if baseline is None or baseline.issues:
        return {}
    changes: dict[str, ChannelChange] = {}
    thresholds = channel_thresholds([run.path])
    for threshold, candidate in zip(
        thresholds, run_threshold_metrics(run, thresholds, lambda _run, _names: ()), strict=True
    ):
        (channel,) = (tag.value for tag in threshold.tags)
        theirs = [one for one in baseline.metrics.get(candidate.key, ()) if one.value is not None]
        if channel in changes or candidate.value is None or not theirs:
            continue
        found = compare_metric(theirs, [candidate])
        tone: Tone = _TONES.get(found.decision, "plain")
        changes[channel] = ChannelChange(_points(found.difference), tone)
    return changes


def _points(change: ValueWithInterval | None) -> str:
    """ "−12.4 pp (−18.2 to −6.6)" in percentage points; "–" if unknown, or too wide to say anything."""
    if change is None:
        return "–"
    if (
        change.low is not None
        and change.high is not None
        and change.low <= 0 <= change.high
        and change.high - change.low > TOO_WIDE
    ):
        return "too few to tell"
    low, high = ("?" if end is None else f"{100 * end:+.1f}" for end in (change.low, change.high))
    return f"{100 * change.value:+.1f} pp ({low} to {high})".replace("-", "−")


def _rate_of(metric: str, channel: str) -> Threshold:
    """A threshold on a rate of one channel, whose bound does not matter."""
    from doorbuster.scenario.thresholds.language import Tag, read_thresholds

    (threshold,) = read_thresholds({metric: "rate>=0"})
    return threshold.model_copy(update={"tags": (Tag("channel", channel),)})
