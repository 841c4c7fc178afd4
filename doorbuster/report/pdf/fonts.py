"""Fonts of PDF documents: Inter for Latin letters, DejaVu Sans for what Inter lacks; both are embedded."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from doorbuster.output import clean
from doorbuster.report.fonts import FOLDER

REGULAR, BOLD = "Inter", "Inter-SemiBold"
_FALLBACK = {REGULAR: "DejaVuSans", BOLD: "DejaVuSans-Bold"}
_MISSING = "\N{REPLACEMENT CHARACTER}"


@cache
def register_fonts() -> None:
    """Make the fonts known to the PDF library."""
    import matplotlib
    from reportlab.pdfbase.pdfmetrics import registerFont, registerFontFamily
    from reportlab.pdfbase.ttfonts import TTFont

    dejavu = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, file in (
        (REGULAR, FOLDER / "Inter-Regular.ttf"), (BOLD, FOLDER / "Inter-SemiBold.ttf"),
        (_FALLBACK[REGULAR], dejavu / "DejaVuSans.ttf"), (_FALLBACK[BOLD], dejavu / "DejaVuSans-Bold.ttf"),
    ):  # fmt: skip
        registerFont(TTFont(name, str(file)))
    registerFontFamily(REGULAR, normal=REGULAR, bold=BOLD, italic=REGULAR, boldItalic=BOLD)


def font_runs(text: str, font: str) -> list[tuple[str, str]]:
    """(font, part) of the text, so that every letter is in a font that has it."""
    letters = [(_font_of(letter, font), letter) for letter in clean(text)]
    letters = [(name, letter) if name else (_FALLBACK[font], _MISSING) for name, letter in letters]
    return [
        (name, "".join(letter for _, letter in run)) for name, run in groupby(letters, key=lambda one: one[0])
    ]


def paragraph_markup(text: str, font: str) -> str:
    """The text for a paragraph in this font: escaped, with its fallback fonts named."""
    return "".join(
        escape(part) if name == font else f'<font name="{name}">{escape(part)}</font>'
        for name, part in font_runs(" ".join(text.split()), font)
    )


def text_width(text: str, font: str, size: float) -> float:
    """The width of a line in points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return float(sum(stringWidth(part, name, size) for name, part in font_runs(text, font)))


@cache
def _known(font: str) -> frozenset[int]:
    from reportlab.pdfbase.pdfmetrics import getFont

    return frozenset(getFont(font).face.charToGlyph)


def _font_of(letter: str, font: str) -> str:
    return next((name for name in (font, _FALLBACK[font]) if ord(letter) in _known(name)), "")
