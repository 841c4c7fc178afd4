"""The pages of a PDF document: size, margins, header of the first page, footer, page numbers, outline."""

from __future__ import annotations

from functools import partial
from typing import Any, BinaryIO

from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate

from doorbuster.output import one_line
from doorbuster.report.pdf.blocks import PdfDocument
from doorbuster.report.pdf.fonts import REGULAR, font_runs, register_fonts, text_width
from doorbuster.report.pdf.styles import FOOTER_PT, SOFT

WIDTH_PT, HEIGHT_PT = A4
MARGIN_PT, FOOT_PT = 15 * mm, 16 * mm
CONTENT_PT = WIDTH_PT - 2 * MARGIN_PT
BOARD_HEIGHT_PT = HEIGHT_PT - MARGIN_PT - FOOT_PT


class NumberedCanvas(Canvas):  # type: ignore[misc]  # reportlab has no types
    """Writes the footer of every page when the number of pages is known."""

    def __init__(self, *args: Any, footer: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self._footer = footer
        self._states: list[dict[str, Any]] = []

    def showPage(self) -> None:  # noqa: N802  reportlab's name
        """Keep the page for later."""
        self._states.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        """Write all pages with their footers."""
        states = self._states
        for number, state in enumerate(states, start=1):
            self.__dict__.update(state)
            self._write_footer(f"Page {number} of {len(states)}")
            super().showPage()
        super().save()

    def _write_footer(self, number: str) -> None:
        y = FOOT_PT - 6 * mm
        width = text_width(number, REGULAR, FOOTER_PT)
        self._write(WIDTH_PT - MARGIN_PT - width, y, number)
        self._write(MARGIN_PT, y, self._footer)

    def _write(self, x: float, y: float, line: str) -> None:
        text = self.beginText(x, y)
        text.setFillColor(SOFT)
        for name, part in font_runs(line, REGULAR):
            text.setFont(name, FOOTER_PT)
            text.textOut(part)
        self.drawText(text)


class PagedTemplate(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    """One frame a page; headings of the appendix become targets of links and entries of the outline."""

    canvas_maker: Any
    page_of_block: dict[int, int]

    def afterFlowable(self, flowable: Any) -> None:  # noqa: N802  reportlab's name
        """Remember where a heading of the appendix stands, and on which page each block ends."""
        block = getattr(flowable, "block", None)
        if block is not None:
            self.page_of_block[block] = self.page
        anchor = getattr(flowable, "anchor", "")
        if anchor:
            self.canv.bookmarkPage(anchor)
            self.canv.addOutlineEntry(flowable.outline_text, anchor, 0)


def build_template(file: BinaryIO, document: PdfDocument) -> PagedTemplate:
    """An empty document with these pages."""
    register_fonts()
    title = one_line(document.title, 160)
    template = PagedTemplate(
        file, pagesize=A4, leftMargin=MARGIN_PT, rightMargin=MARGIN_PT, topMargin=MARGIN_PT,
        bottomMargin=FOOT_PT, title=title, subject=one_line(document.subtitle, 200), author="doorbuster",
        creator="doorbuster", lang="en-GB", invariant=1, pageCompression=1,
    )  # fmt: skip
    frame = Frame(
        MARGIN_PT,
        FOOT_PT,
        CONTENT_PT,
        BOARD_HEIGHT_PT,
        leftPadding=0,
        rightPadding=0,
        topPadding=0,
        bottomPadding=0,
    )
    template.addPageTemplates([PageTemplate(id="page", frames=[frame])])
    template.page_of_block = {}
    template.canvas_maker = partial(NumberedCanvas, footer=one_line(document.footer, 100))
    return template
