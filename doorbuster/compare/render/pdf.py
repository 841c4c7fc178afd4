"""A comparison as PDF: the answer and the deciding metrics on one page, charts and other metrics after it."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster import __version__
from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import MetricComparison, Tolerance
from doorbuster.compare.render.markdown import DECISION_SIGNS
from doorbuster.compare.render.terminal import conditions
from doorbuster.compare.wording import (
    both_tolerances,
    change_text,
    decision_text,
    headline,
    interval_text,
    value_text,
)
from doorbuster.report.formatting import started_at
from doorbuster.report.pdf import (
    PdfBlock,
    PdfDocument,
    PdfHeading,
    PdfList,
    PdfText,
    PdfVerdict,
    render_pdf,
)
from doorbuster.report.section import Chart, Column, Table
from doorbuster.units import format_counted

MAX_DECIDING = 16  # rows of a table
_STATUS = {"regression": "fail", "no regression": "pass"}
_COLUMNS = tuple(map(Column, ("Decision", "Metric", "Baseline", "Candidate", "Change", "95 % interval")))


def render_comparison_pdf(
    comparison: BuildComparison, charts: Sequence[Chart], tolerance: Tolerance
) -> bytes:
    """The file.

    Raises: UsageError without the extra [pdf].
    """
    deciding = [found for found in comparison.metrics if found.metric.key in comparison.gating]
    others = [found for found in comparison.metrics if found.metric.key not in comparison.gating]
    runs = (format_counted(len(arm), "run") for arm in (comparison.candidate, comparison.baseline))
    sentence = headline(comparison).partition(": ")[2]
    newest = comparison.candidate[-1].meta
    status = _STATUS.get(comparison.answer, "inconclusive")
    board: list[PdfBlock] = [
        PdfVerdict(comparison.answer.upper(), f"{sentence[:1].upper()}{sentence[1:]}", status)
    ]
    if stated := conditions(comparison):
        board += [PdfHeading("Conditions"), PdfList(tuple(stated))]
    board += [
        PdfText(f"Changes within {both_tolerances(tolerance)} do not matter.", small=True),
        _table(f"{len(deciding)} metrics decide, the worst first", deciding[:MAX_DECIDING]),
    ]
    appendix: list[PdfBlock] = (
        [PdfHeading("How did both builds behave over time?"), *charts] if charts else []
    )
    for start in range(0, len(others), MAX_DECIDING):
        part = others[start : start + MAX_DECIDING]
        title = f"Metrics {start + 1} to {start + len(part)} of {len(others)}"
        appendix += [PdfHeading("What else changed?")] if not start else []
        appendix.append(_table(title, part))
    return render_pdf(
        PdfDocument(
            title=newest.title,
            subtitle=f"{' against '.join(runs)} of the baseline · {started_at(newest)} · {newest.target_url}",
            board=board,
            appendix=appendix,
            footer=f"doorbuster {__version__} · comparison of run {newest.run_id}",
        )
    )


def _table(title: str, metrics: Sequence[MetricComparison]) -> Table:
    rows = tuple(
        (
            f"{DECISION_SIGNS[found.decision]} {decision_text(found)}", found.metric.key,
            value_text(found.metric, found.baseline), value_text(found.metric, found.candidate),
            change_text(found), interval_text(found),
        )
        for found in metrics
    )  # fmt: skip
    return Table(title, _COLUMNS, rows)
