"""Judging a run: thresholds to judgements, judgements and the run's own health to one verdict. Pure."""

from __future__ import annotations

from doorbuster.gate.decide import decide, format_bound, format_margin
from doorbuster.gate.integrity import Flaw, flaws
from doorbuster.gate.judgement import (
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
from doorbuster.gate.verdict import judge, verdict
from doorbuster.gate.watch import AbortWatch

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
