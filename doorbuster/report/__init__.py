"""Renders sections, threshold results and the verdict for people and programs; computes nothing itself."""

from __future__ import annotations

from doorbuster.report.analysis_loader import AnalysisResult, analyse_run, load_analysis
from doorbuster.report.overview import Overview, build_overview, known_causes
from doorbuster.report.render.terminal import print_section, summary_lines
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    CauseEvidence,
    Chart,
    Column,
    Fact,
    Metric,
    Section,
    Series,
    Table,
    in_order,
)
from doorbuster.report.write import write_report

__all__ = [
    "AnalysisResult",
    "Annotation",
    "CauseEvidence",
    "Chart",
    "Column",
    "Fact",
    "Metric",
    "Overview",
    "RunContext",
    "Section",
    "Series",
    "Table",
    "analyse_run",
    "build_overview",
    "in_order",
    "known_causes",
    "load_analysis",
    "print_section",
    "summary_lines",
    "write_report",
]
