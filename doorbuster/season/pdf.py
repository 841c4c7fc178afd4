"""The page of a season as PDF: what a board reads on the first sheet, the sections as its appendix."""

from __future__ import annotations

from doorbuster import __version__
from doorbuster.report.overview import HeadlineFigure
from doorbuster.report.pdf import (
    PdfBlock,
    PdfDocument,
    PdfFigures,
    PdfHeading,
    PdfList,
    PdfText,
    PdfVerdict,
    render_pdf,
    section_blocks,
)
from doorbuster.report.section import Column, Table
from doorbuster.season.page import METHOD, SeasonPage, made_on, season_page
from doorbuster.season.season_status import SeasonStatus
from doorbuster.season.wording import SIGNS


def render_season_pdf(status: SeasonStatus) -> bytes:
    """The file.

    Raises: UsageError without the extra [pdf].
    """
    page = season_page(status)
    appendix: list[PdfBlock] = []
    for section in page.sections:
        appendix += section_blocks(section, tables=2)
    return render_pdf(
        PdfDocument(
            title=page.title,
            subtitle=made_on(status.today),
            board=_board(page),
            appendix=[*appendix, PdfHeading("How is this worked out?"), PdfList(METHOD)],
            footer=f"doorbuster {__version__} · {page.title}",
        )
    )


def _board(page: SeasonPage) -> list[PdfBlock]:
    figures = tuple(
        HeadlineFigure(fact.label, fact.label, text=fact.value, detail=fact.detail) for fact in page.facts
    )
    chart = next((chart for section in page.sections for chart in section.figures), None)
    return [
        PdfVerdict(page.badge, page.sentence, page.tone),
        PdfFigures(figures),
        PdfHeading("Indicators"),
        _indicators(page),
        *([PdfHeading("What to do next")] if page.steps else []),
        *(PdfText(f"{number}. {step}") for number, step in enumerate(page.steps, 1)),
        *([] if chart is None else [chart]),
    ]


def _indicators(page: SeasonPage) -> Table:
    rows = tuple(
        (f"{SIGNS[reading.colour]} {reading.colour}", label, reading.text, reading.detail, limit)
        for label, reading, limit in page.readings
    )
    heads = ("", "Indicator", "Now", "95 % interval", "Limit")
    return Table("", tuple(Column(head) for head in heads), rows)
