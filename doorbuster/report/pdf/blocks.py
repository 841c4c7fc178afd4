"""What a PDF document consists of, independent of the library that draws it.

Every text may be foreign: it is cleaned and shown literally.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from doorbuster.report.overview import HeadlineFigure
from doorbuster.report.section import Chart, Section, Table


@dataclass(frozen=True, slots=True)
class PdfHeading:
    """A heading; of the appendix, it also stands in the outline and among the contents of the first page."""

    text: str


@dataclass(frozen=True, slots=True)
class PdfText:
    """A paragraph; `small` for notes, `strong` for an answer."""

    text: str
    small: bool = False
    strong: bool = False


@dataclass(frozen=True, slots=True)
class PdfList:
    """Short paragraphs with bullets."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PdfVerdict:
    """The result in one sentence below a badge. status: that of a verdict; "" for a neutral box."""

    badge: str
    sentence: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class PdfFigures:
    """Large figures side by side, at most four in a row."""

    figures: tuple[HeadlineFigure, ...]


@dataclass(frozen=True, slots=True)
class PdfColumns:
    """Two groups of blocks side by side."""

    left: tuple[PdfBlock, ...]
    right: tuple[PdfBlock, ...]


PdfBlock = PdfHeading | PdfText | PdfList | PdfVerdict | PdfFigures | PdfColumns | Table | Chart


@dataclass(frozen=True, slots=True)
class PdfDocument:
    """A document: `board` fills the first page, `appendix` at most five more, `footer` stands on each."""

    title: str
    subtitle: str
    board: Sequence[PdfBlock]
    appendix: Sequence[PdfBlock] = ()
    footer: str = ""


def section_blocks(section: Section, *, charts: int = 1, tables: int = 1) -> list[PdfBlock]:
    """The question, answer and findings of a section, with its first charts and tables."""
    blocks: list[PdfBlock] = [PdfHeading(section.question), PdfText(section.sentence, strong=True)]
    if section.findings:
        blocks.append(PdfList(tuple(section.findings)))
    return [*blocks, *section.figures[:charts], *section.tables[:tables]]
