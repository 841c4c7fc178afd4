"""Draws a PDF document: A4, embedded fonts, selectable text, vector charts, page numbers, outline and links.

Rules of this module:
- The board fills one page: what is too high for it shrinks together.
- The appendix has at most `MAX_APPENDIX_PAGES`: blocks that do not fit are left out, and a line says so.
- The same document gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from doorbuster.errors import UsageError
from doorbuster.report.pdf.blocks import PdfBlock, PdfDocument, PdfHeading, PdfText

if TYPE_CHECKING:
    from doorbuster.report.pdf.page_layout import PagedTemplate

MAX_APPENDIX_PAGES = 5
_LEFT_OUT = PdfText("The rest is in the HTML report.", small=True)


def render_pdf(document: PdfDocument) -> bytes:
    """The file.

    Raises: UsageError without the extra [pdf].
    """
    try:
        import reportlab  # noqa: F401  only whether it is installed
    except ImportError as error:
        raise UsageError("PDF needs an extra: pip install 'doorbuster[pdf]'") from error
    blocks = list(document.appendix)
    template, data = _render(document, blocks)
    while template.page > 1 + MAX_APPENDIX_PAGES and blocks:
        fitting = sum(page <= 1 + MAX_APPENDIX_PAGES for page in template.page_of_block.values())
        kept = [block for block in blocks[: min(fitting, len(blocks) - 1)] if block is not _LEFT_OUT]
        if blocks[-1] is _LEFT_OUT and len(kept) == len(blocks) - 1:
            kept.pop()  # the line itself did not fit
        while kept and isinstance(kept[-1], PdfHeading):
            kept.pop()
        blocks = [*kept, _LEFT_OUT] if kept else []
        template, data = _render(document, blocks)
    return data


def _render(document: PdfDocument, appendix: Sequence[PdfBlock]) -> tuple[PagedTemplate, bytes]:
    from doorbuster.report.pdf.page_layout import build_template
    from doorbuster.report.pdf.render_blocks import appendix_flowables, board_flowables

    buffer = io.BytesIO()
    template = build_template(buffer, document)
    flowables = [*board_flowables(document, appendix), *appendix_flowables(appendix)]
    template.build(flowables, canvasmaker=template.canvas_maker)
    return template, buffer.getvalue()
