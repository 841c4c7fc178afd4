"""Evaluates the thresholds of a run and combines the results with its validity into one verdict. Pure."""

from __future__ import annotations

from doorbuster.gate.decide import decide, format_bound, format_margin
from doorbuster.gate.live_abort import AbortWatch
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
from doorbuster.gate.verdict import judge, verdict

__all__ = [
    "AbortWatch",
    "CounterTotal",
    "HasMetrics",
    "NamedMetric",
    "NoData",
    "RateCounts",
    "SectionValue",
    "ThresholdResult",
    "TrendCounts",
    "ValidityIssue",
    "Verdict",
    "decide",
    "format_bound",
    "format_margin",
    "judge",
    "validity_issues",
    "verdict",
]
