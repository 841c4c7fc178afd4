"""Evaluates the thresholds of a run and combines the results with its validity into one verdict. Pure."""

from __future__ import annotations

from doorbuster.gate.customer_rate import EVERYONE, ChannelRate, customer_rate, worst_channel
from doorbuster.gate.estimate import MetricEstimate, estimate
from doorbuster.gate.live_abort import AbortWatch, LiveThreshold, is_known_live
from doorbuster.gate.run_verdict import KnownCauses, judge, verdict
from doorbuster.gate.threshold_decision import decide, format_bound, format_margin
from doorbuster.gate.threshold_result import (
    CounterTotal,
    HasMetrics,
    NamedMetric,
    NoData,
    RateCounts,
    SectionValue,
    ThresholdResult,
    TrendCounts,
    Verdict,
    VerdictStatus,
)
from doorbuster.gate.validity import ValidityIssue, validity_issues

__all__ = [
    "EVERYONE",
    "AbortWatch",
    "ChannelRate",
    "CounterTotal",
    "HasMetrics",
    "KnownCauses",
    "LiveThreshold",
    "MetricEstimate",
    "NamedMetric",
    "NoData",
    "RateCounts",
    "SectionValue",
    "ThresholdResult",
    "TrendCounts",
    "ValidityIssue",
    "Verdict",
    "VerdictStatus",
    "customer_rate",
    "decide",
    "estimate",
    "format_bound",
    "format_margin",
    "is_known_live",
    "judge",
    "validity_issues",
    "verdict",
    "worst_channel",
]
