"""Colours, sizes and paragraph styles of PDF documents."""

from __future__ import annotations

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.styles import ParagraphStyle

from doorbuster.report.pdf.fonts import BOLD, REGULAR

TEXT, SOFT, RULE, PAPER = HexColor("#1b1f24"), HexColor("#545d68"), HexColor("#d9dde2"), HexColor("#ffffff")
LINK, NEUTRAL_GROUND = HexColor("#0b5cad"), HexColor("#f5f6f8")
TONES = {  # of a status: its colour and its background
    "pass": (HexColor("#0b6b4f"), HexColor("#e4f3ed")),
    "fail": (HexColor("#a3330a"), HexColor("#fbe9e1")),
    "": (LINK, NEUTRAL_GROUND),
}
UNSURE = (HexColor("#7a5200"), HexColor("#fdf2d7"))
FOOTER_PT, TABLE_PT = 7.5, 7.5


def tone(status: str) -> tuple[Color, Color]:
    """The colour and the background of a status."""
    return TONES.get(status, UNSURE)


def style(
    size: float, *, bold: bool = False, colour: Color = TEXT, before: float = 0.0, after: float = 0.0,
    leading: float = 1.32, right: bool = False,
) -> ParagraphStyle:  # fmt: skip
    """A paragraph of this size in points."""
    return ParagraphStyle(
        f"{size}{bold}{right}", fontName=BOLD if bold else REGULAR, fontSize=size, leading=size * leading,
        textColor=colour, spaceBefore=before, spaceAfter=after, alignment=TA_RIGHT if right else 0,
        splitLongWords=1,
    )  # fmt: skip


TITLE = style(14, bold=True, leading=1.2)
SUBTITLE = style(8.5, colour=SOFT, after=5)
HEADING = style(9, bold=True, colour=SOFT, before=6, after=1.5)
SECTION = style(12.5, bold=True, before=13, after=2.5)
ANSWER = style(9.5, before=1, after=2)
BODY = style(8.5, after=1.5)
SMALL = style(7.5, colour=SOFT, before=1.5, after=1.5)
SENTENCE = style(13, bold=True, leading=1.26)
LABEL = style(8, colour=SOFT)
CAPTION = style(8.5, bold=True, before=7, after=2)
CELL, HEAD = style(TABLE_PT, leading=1.22), style(TABLE_PT, colour=SOFT, leading=1.22)
NUMBER, NUMBER_HEAD = (
    style(TABLE_PT, leading=1.22, right=True),
    style(TABLE_PT, colour=SOFT, leading=1.22, right=True),
)
CONTENTS = style(8, colour=LINK)
