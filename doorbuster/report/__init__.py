"""From sections, results and a verdict to what people and programs read. Works nothing out itself."""

from __future__ import annotations

from doorbuster.report.loader import Analysed, analyse_run, load_analysis
from doorbuster.report.render.terminal import print_section
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Annotation, Chart, Column, Metric, Section, Series, Table
from doorbuster.report.write import write_report

__all__ = [
    "Analysed",
    "Annotation",
    "Chart",
    "Column",
    "Metric",
    "RunContext",
    "Section",
    "Series",
    "Table",
    "analyse_run",
    "load_analysis",
    "print_section",
    "write_report",
]
