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
)
from doorbuster.gate.validity import ValidityIssue, validity_issues

__all__ = [
    "EVERYONE",
    "AbortWatch",
    "ChannelRate",
    "CounterTotal",
    "HasMetrics",
<<<<<<< HEAD
    "LiveThreshold",
=======
    "KnownCauses",
>>>>>>> 0edb160 (Take every customer rate from one function, and name the worst channel and the cause in the verdict)
    "MetricEstimate",
    "NamedMetric",
    "NoData",
    "RateCounts",
    "SectionValue",
    "ThresholdResult",
    "TrendCounts",
    "ValidityIssue",
    "Verdict",
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
