"""The PDF document of a run: the manager's screen, and the sections in short as its appendix."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster import __version__
from doorbuster.gate import ThresholdResult
from doorbuster.records.metadata import RunMeta
from doorbuster.report.formatting import NOT_KNOWN
from doorbuster.report.overview import ChannelRow, Overview
from doorbuster.report.pdf.blocks import (
    PdfBlock,
    PdfColumns,
    PdfDocument,
    PdfFigures,
    PdfHeading,
    PdfText,
    PdfVerdict,
    section_blocks,
)
from doorbuster.report.render.html import SIGNS, threshold_row
from doorbuster.report.section import Cell, Column, Section, Table, in_order


def run_document(
    meta: RunMeta, overview: Overview, results: Sequence[ThresholdResult], sections: Sequence[Section]
) -> PdfDocument:
    """The document of a judged run."""
    return PdfDocument(
        title=overview.title,
        subtitle=" · ".join(overview.about),
        board=_board(overview),
        appendix=_appendix(results, sections),
        footer=f"doorbuster {__version__} · run {meta.run_id}",
    )


def _board(overview: Overview) -> list[PdfBlock]:
    neutral = bool(overview.question)
    badge = overview.question or f"{SIGNS[overview.status]} {overview.status.upper()}"
    blocks: list[PdfBlock] = [
        PdfVerdict(badge, overview.sentence, "" if neutral else overview.status),
        PdfFigures(overview.figures),
    ]
    if overview.chart is not None:
        blocks.append(overview.chart)
    if overview.channels:
        blocks.append(_channels(overview.channels, overview.baseline))
    reasons = "Notes" if overview.status == "pass" else "Why"
    left: list[PdfBlock] = [PdfHeading(reasons)] if overview.why else []
    left += [PdfText(text) for text in overview.why]
    if overview.fix_first:
        left += [PdfHeading("What to fix first"), PdfText(overview.fix_first)]
    right: list[PdfBlock] = [PdfHeading("Next")] if overview.next_steps else []
    for step in overview.next_steps:
        right.append(PdfText(step.text))
        right += [PdfText(step.command, strong=True)] if step.command else []
    right += [PdfHeading("Confidence")] if overview.confidence else []
    right += [PdfText(text) for text in overview.confidence]
    return [*blocks, PdfColumns(tuple(left), tuple(right))]


def _channels(rows: Sequence[ChannelRow], baseline: str) -> Table:
    columns = [
        Column("Channel"), Column("Wanted to"), Column("Wanted", "count"), Column("Got it", "count"),
        Column("Lost", "count"), Column("Could (95 % interval)"), Column("Sales lost"),
    ]  # fmt: skip
    columns += [Column(f"Against {baseline}")] if baseline else []
    lines: list[tuple[Cell, ...]] = []
    for row in rows:
        cells: list[Cell] = [row.channel, row.wants, row.wanted, row.got, row.lost, row.could, row.lost_sales]
        cells += [row.change.text if row.change else NOT_KNOWN] if baseline else []
        lines.append(tuple(cells))
    return Table("Channels", tuple(columns), tuple(lines))


def _appendix(results: Sequence[ThresholdResult], sections: Sequence[Section]) -> list[PdfBlock]:
    blocks: list[PdfBlock] = []
    if results:
        blocks += [PdfHeading("Which thresholds were met?"), _thresholds(results)]
    for section in in_order(sections):
        blocks += section_blocks(section)
    return blocks


def _thresholds(results: Sequence[ThresholdResult]) -> Table:
    columns = (
        Column("Result"), Column("Threshold"), Column("Observed"), Column("95 % interval"),
        Column("n", "count"), Column("Margin"),
    )  # fmt: skip
    lines: list[tuple[Cell, ...]] = []
    for result in results:
        row = threshold_row(result)
        sign = f"{SIGNS[result.status]} {result.status}"
        lines.append((sign, f"{row.name}: {row.rule}", row.observed, row.interval, result.n, row.margin))
    return Table("Thresholds", columns, tuple(lines))
