"""PDF documents from blocks: one page for the board, and an appendix (extra `[pdf]`).

    document = PdfDocument("Title", "13.3 customers/s · 2 December 2004", board=[...], appendix=[...])
    path.write_bytes(render_pdf(document))

Blocks are plain values (see blocks.py): headings, texts, a verdict, figures, tables and charts of sections.
"""

from doorbuster.report.pdf.blocks import (
    PdfBlock,
    PdfDocument,
    PdfFigures,
    PdfHeading,
    PdfList,
    PdfText,
    PdfVerdict,
    section_blocks,
)
from doorbuster.report.pdf.render import MAX_APPENDIX_PAGES, render_pdf
from doorbuster.report.pdf.run_document import run_document

__all__ = [
    "MAX_APPENDIX_PAGES",
    "PdfBlock",
    "PdfDocument",
    "PdfFigures",
    "PdfHeading",
    "PdfList",
    "PdfText",
    "PdfVerdict",
    "render_pdf",
    "run_document",
    "section_blocks",
]
