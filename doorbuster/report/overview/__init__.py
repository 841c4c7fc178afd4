"""The result of a run on one screen: every output format takes its headline figures from here."""

from doorbuster.report.overview.build import NO_CHANGES, build_overview
from doorbuster.report.overview.cause import known_causes, lead_cause
from doorbuster.report.overview.values import (
    ChannelChange,
    ChannelRow,
    HeadlineFigure,
    NextStep,
    Overview,
)

__all__ = [
    "NO_CHANGES",
    "ChannelChange",
    "ChannelRow",
    "HeadlineFigure",
    "NextStep",
    "Overview",
    "build_overview",
    "known_causes",
    "lead_cause",
]
