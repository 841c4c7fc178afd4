"""Apdex: one number for how many requests were fast enough.

    Apdex_T = (satisfied + tolerating / 2) / all
    satisfied: answered within T;  tolerating: answered within 4 T;  slower, failed and abandoned ones: 0

Rules of this module:
- T is always stated with the score, which means nothing without it.

Source: Apdex Alliance (2007), "Application Performance Index, Technical Specification", version 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from doorbuster.records.histogram import Histogram

TOLERATED = 4.0
USUAL_T_MS = 500.0


@dataclass(frozen=True, slots=True)
class Apdex:
    """The score 0..1 for T, None without requests."""

    score: float | None
    t_ms: float
    satisfied: int
    tolerating: int
    n: int


def apdex(answered: Histogram, *, others: int, t_ms: float) -> Apdex:
    """The score of answered requests and `others` that failed or were abandoned."""
    n = answered.n + others
    satisfied = answered.n - answered.count_above(round(t_ms * 1e3))
    tolerated = answered.n - answered.count_above(round(TOLERATED * t_ms * 1e3))
    tolerating = tolerated - satisfied
    score = (satisfied + tolerating / 2) / n if n else None
    return Apdex(score, t_ms, satisfied, tolerating, n)
