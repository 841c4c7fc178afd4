"""Turns the blocks of a PDF document into what reportlab lays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reportlab.lib.styles import ParagraphStyle
from reportlab.platypus import (
    CondPageBreak,
    KeepInFrame,
    KeepTogether,
    LongTable,
    PageBreak,
    Paragraph,
    Spacer,
    TableStyle,
)
from reportlab.platypus import Table as Grid

from doorbuster.output import one_line
from doorbuster.report.formatting import format_interval
from doorbuster.report.overview import HeadlineFigure
from doorbuster.report.pdf import styles
from doorbuster.report.pdf.blocks import (
    PdfBlock,
    PdfColumns,
    PdfDocument,
    PdfFigures,
    PdfHeading,
    PdfList,
    PdfText,
    PdfVerdict,
)
from doorbuster.report.pdf.chart import ChartFlowable
from doorbuster.report.pdf.fonts import BOLD, paragraph_markup, text_width
from doorbuster.report.pdf.page_layout import BOARD_HEIGHT_PT, CONTENT_PT
from doorbuster.report.section import Chart, Table
from doorbuster.report.section import Table as SectionTable
from doorbuster.report.shown_table import ShownCell, shown_table

MAX_ROWS = 16  # of a table
MAX_COLUMNS = 9
MAX_CELL = 60
_GAP_PT, _CELL_GAP_PT = 6.0, 8.5
_BOARD_CHART_PT, _CHART_PT = 185.0, 150.0
_SMALLEST_FIGURE_PT, _FIGURE_PT = 9.0, 17.0


def board_flowables(document: PdfDocument, appendix: Sequence[PdfBlock]) -> list[Any]:
    """The first page: title, blocks, and links to the headings of the appendix."""
    parts: list[Any] = [
        _paragraph(one_line(document.title, 160), styles.TITLE),
        _paragraph(document.subtitle, styles.SUBTITLE),
    ]
    for block in document.board:
        parts += _flow(block, CONTENT_PT, on_board=True)
    parts += _contents(appendix)
    return [KeepInFrame(CONTENT_PT, BOARD_HEIGHT_PT, parts, mode="shrink")]


def appendix_flowables(blocks: Sequence[PdfBlock]) -> list[Any]:
    """The pages after the first."""
    flowables: list[Any] = [PageBreak()] if blocks else []
    number = 0
    for place, block in enumerate(blocks):
        if isinstance(block, PdfHeading):
            flowables += [CondPageBreak(140), _Target(block.text, _anchor(number))]
            number += 1
        else:
            flowables += _flow(block, CONTENT_PT, on_board=False)
        flowables.append(_EndOfBlock(place))
    return flowables


class _EndOfBlock(Spacer):  # type: ignore[misc]  # reportlab has no types
    """Marks where a block of the appendix ends."""

    def __init__(self, block: int) -> None:
        super().__init__(0, 0)
        self.block = block


class _Target(Paragraph):  # type: ignore[misc]  # reportlab has no types
    """A heading of the appendix, to which the first page links."""

    def __init__(self, text: str, anchor: str) -> None:
        super().__init__(_markup(text, styles.SECTION), styles.SECTION)
        self.anchor = anchor
        self.outline_text = one_line(text, 100)


def _anchor(number: int) -> str:
    return f"part-{number}"


def _contents(appendix: Sequence[PdfBlock]) -> list[Any]:
    headings = [block for block in appendix if isinstance(block, PdfHeading)]
    if not headings:
        return []
    links = []
    for number, block in enumerate(headings):
        text = _markup(one_line(block.text, 90), styles.CONTENTS)
        links.append(Paragraph(f'<a href="#{_anchor(number)}">{text}</a>', styles.CONTENTS))
    half = -(-len(links) // 2)
    rows = [[links[at], links[at + half] if at + half < len(links) else ""] for at in range(half)]
    grid = Grid(rows, colWidths=[CONTENT_PT / 2] * 2, style=TableStyle(_NO_PADDING))
    return [_paragraph("Appendix", styles.HEADING), grid]


_NO_PADDING: list[Any] = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0), ("RIGHTPADDING", (0, 0), (-1, -1), 4),
    ("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
]  # fmt: skip


def _flow(block: PdfBlock, width: float, *, on_board: bool) -> list[Any]:
    match block:
        case PdfHeading():
            return [_paragraph(block.text, styles.HEADING)]
        case PdfText():
            look = styles.SMALL if block.small else styles.ANSWER if block.strong else styles.BODY
            return [_paragraph(block.text, look)]
        case PdfList():
            return [
                Paragraph(f"• {_markup(text, styles.BODY)}", _indented(styles.BODY)) for text in block.items
            ]
        case PdfVerdict():
            return _verdict(block, width)
        case PdfFigures():
            return _figures(block.figures, width)
        case PdfColumns():
            return _columns(block, width, on_board=on_board)
        case Chart():
            height = (
                _BOARD_CHART_PT if on_board else _CHART_PT if block.kind in ("lines", "stacked") else None
            )
            note = [_paragraph(block.note, styles.SMALL)] if block.note else []
            picture = ChartFlowable(block, height_pt=height)
            parts = [_paragraph(block.title, styles.CAPTION), picture, *note]
            return parts if on_board else [KeepTogether(parts)]
        case SectionTable():
            return _table(block, width)


def _paragraph(text: str, look: ParagraphStyle) -> Paragraph:
    return Paragraph(_markup(text, look), look)


def _markup(text: str, look: ParagraphStyle) -> str:
    return paragraph_markup(text, look.fontName)


def _indented(look: ParagraphStyle) -> ParagraphStyle:
    return ParagraphStyle("item", parent=look, leftIndent=8, firstLineIndent=-8)


def _verdict(block: PdfVerdict, width: float) -> list[Any]:
    colour, ground = styles.tone(block.status)
    badge = _paragraph(block.badge, ParagraphStyle("badge", parent=styles.HEADING, textColor=colour))
    box = [("BACKGROUND", (0, 0), (-1, -1), ground), ("LINEBEFORE", (0, 0), (0, -1), 4, colour)]
    padding = [
        ("LEFTPADDING", (0, 0), (-1, -1), 12), ("RIGHTPADDING", (0, 0), (-1, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 3), ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
    ]  # fmt: skip
    inside = [badge, _paragraph(block.sentence, styles.SENTENCE)]
    return [Grid([[inside]], colWidths=[width], style=TableStyle([*box, *padding])), Spacer(0, _GAP_PT)]


def _figures(figures: Sequence[HeadlineFigure], width: float) -> list[Any]:
    parts: list[Any] = []
    for start in range(0, len(figures), 4):
        row = figures[start : start + 4]
        column = width / max(len(row), 1)
        cells = [[_figure(figure, column - 16) for figure in row]]
        look = [
            ("BOX", (at, 0), (at, 0), 0.6, styles.RULE) for at in range(len(row))
        ]  # fmt: skip
        padding = [("LEFTPADDING", (0, 0), (-1, -1), 8), ("RIGHTPADDING", (0, 0), (-1, -1), 6),
                   ("TOPPADDING", (0, 0), (-1, -1), 5), ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
                   ("VALIGN", (0, 0), (-1, -1), "TOP")]  # fmt: skip
        parts += [
            Grid(cells, colWidths=[column] * len(row), style=TableStyle([*look, *padding])),
            Spacer(0, _GAP_PT),
        ]
    return parts


def _figure(figure: HeadlineFigure, width: float) -> list[Any]:
    value = one_line(figure.value_text, 40)
    size = _FIGURE_PT
    while size > _SMALLEST_FIGURE_PT and text_width(value, BOLD, size) > width:
        size -= 0.5
    colour = styles.tone("fail")[0] if figure.tone == "bad" else styles.TEXT
    parts = [
        _paragraph(one_line(figure.label, 60), styles.LABEL),
        _paragraph(value, styles.style(size, bold=True, colour=colour, leading=1.2)),
    ]
    interval = "" if figure.metric is None else format_interval(figure.metric)
    more = (text for text in (interval, figure.detail, figure.command) if text)
    return [*parts, *(_paragraph(text, styles.LABEL) for text in more)]


def _columns(block: PdfColumns, width: float, *, on_board: bool) -> list[Any]:
    inner = width / 2 - _GAP_PT
    cells = [
        [part for inside in side for part in _flow(inside, inner, on_board=on_board)]
        for side in (block.left, block.right)
    ]
    return [Spacer(0, _GAP_PT), Grid([cells], colWidths=[width / 2] * 2, style=TableStyle(_NO_PADDING))]


def _table(table: Table, width: float) -> list[Any]:
    """The table, cut to `MAX_ROWS` rows and `MAX_COLUMNS` columns, with a note on what is left out."""
    shown = shown_table(table)
    places = range(min(len(shown.heads), MAX_COLUMNS))
    names = [one_line(shown.heads[at], MAX_CELL) for at in places]
    heads = [
        _paragraph(name, styles.NUMBER_HEAD if shown.numeric[at] else styles.HEAD)
        for at, name in enumerate(names)
    ]
    rows = [
        [_cell_flow(row[at], styles.NUMBER if shown.numeric[at] else styles.CELL) for at in places]
        for row in shown.rows[:MAX_ROWS]
    ]
    cells = [[row[at] for at in places] for row in shown.rows[:MAX_ROWS]]
    widths = _widths([[ShownCell(name) for name in names], *cells], width)
    look: list[Any] = [
        *_NO_PADDING, ("LINEBELOW", (0, 0), (-1, -1), 0.4, styles.RULE),
        ("TOPPADDING", (0, 0), (-1, -1), 1.8), ("BOTTOMPADDING", (0, 0), (-1, -1), 2.2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 7), ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
    ]  # fmt: skip
    notes = [table.note] if table.note else []
    if len(table.rows) > MAX_ROWS:
        notes.append(f"{len(table.rows) - MAX_ROWS} more rows are in the HTML report.")
    if len(table.columns) > MAX_COLUMNS:
        notes.append(f"{len(table.columns) - MAX_COLUMNS} more columns are in the HTML report.")
    return [
        _paragraph(table.title, ParagraphStyle("table", parent=styles.CAPTION, keepWithNext=1)),
        LongTable([heads, *rows], colWidths=widths, repeatRows=1, style=TableStyle(look)),
        *([_paragraph(" ".join(notes), styles.SMALL)] if notes else []),
    ]


def _cell_flow(cell: ShownCell, look: ParagraphStyle) -> list[Any]:
    """A value and, below it, its interval."""
    small = ParagraphStyle("interval", parent=look, fontSize=6.3, leading=7.6, textColor=styles.SOFT)
    value = _paragraph(one_line(cell.value, MAX_CELL), look)
    return [value, _paragraph(cell.interval, small)] if cell.interval else [value]


def _widths(rows: Sequence[Sequence[ShownCell]], width: float) -> list[float]:
    """Column widths in proportion to their texts, but each at least as wide as its longest word."""
    columns = [
        [text for cell in column for text in (one_line(cell.value, MAX_CELL), cell.interval)]
        for column in zip(*rows, strict=True)
    ]
    font = styles.CELL.fontName
    words = [
        max(
            (text_width(word, font, styles.TABLE_PT) for text in column for word in text.split()), default=0.0
        )
        + _CELL_GAP_PT
        for column in columns
    ]
    whole = [
        max(text_width(text, font, styles.TABLE_PT) for text in column) + _CELL_GAP_PT for column in columns
    ]
    if sum(whole) <= width:
        spare = (width - sum(whole)) / len(whole)
        return [found + spare for found in whole]
    room = max(0.0, width - sum(words))
    wish = [full - word for full, word in zip(whole, words, strict=True)]
    share = room / sum(wish) if sum(wish) else 0.0
    found = [word + share * more for word, more in zip(words, wish, strict=True)]
    return [one * width / sum(found) for one in found]
