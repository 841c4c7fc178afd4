"""Judging a run: thresholds to judgements, judgements and the run's own health to one verdict. Pure."""

from __future__ import annotations

from doorbuster.gate.decide import decide, format_bound, format_margin
from doorbuster.gate.live_abort import AbortWatch
from doorbuster.gate.threshold_result import (
    CountTally,
    HasMetrics,
    Judgement,
    NamedMetric,
    RateTally,
    TrendTally,
    Unknown,
    ValueTally,
    Verdict,
)
from doorbuster.gate.validity import Flaw, flaws
from doorbuster.gate.verdict import judge, verdict

__all__ = [
    "AbortWatch",
    "CountTally",
    "Flaw",
    "HasMetrics",
    "Judgement",
    "NamedMetric",
    "RateTally",
    "TrendTally",
    "Unknown",
    "ValueTally",
    "Verdict",
    "decide",
    "flaws",
    "format_bound",
    "format_margin",
    "judge",
    "verdict",
]
