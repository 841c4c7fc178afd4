"""PDF reports: pages, text boxes, links, fonts and vectors, as a reader's program sees them."""

from __future__ import annotations

import ctypes
import json
import re
import sys
from itertools import combinations
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program
from doorbuster.errors import UsageError
from doorbuster.report.overview import HeadlineFigure
from doorbuster.report.pdf import (
    MAX_APPENDIX_PAGES,
    PdfDocument,
    PdfFigures,
    PdfHeading,
    PdfList,
    PdfText,
    PdfVerdict,
    render_pdf,
)
from doorbuster.report.section import Chart, Column, Series, Table

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"
WIDTH_PT, HEIGHT_PT, EDGE_PT = 595.3, 841.9, 20.0
HOSTILE = (
    "</para><img src='http://192.0.2.1/x'/> <a href='javascript:x'>a</a> & \u202e\x00\x1b[31m \u4e2d\u6587 Ωж"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> bytes:
    """The PDF of the sample run, written by the command."""
    folder = tmp_path_factory.mktemp("pdf")
    done = CliRunner().invoke(program, ["report", str(SAMPLE), "--out", str(folder), "--pdf"])
    assert done.exit_code == 0, done.output
    assert f"pdf:     {folder / 'report.pdf'}" in done.output
    return (folder / "report.pdf").read_bytes()


@pytest.fixture(scope="module")
def pdf(data) -> pypdfium2.PdfDocument:
    return pypdfium2.PdfDocument(data)


def texts(pdf: pypdfium2.PdfDocument) -> list[str]:
    return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in pdf]


def boxes(page) -> list[tuple[float, float, float, float, str]]:
    """(left, bottom, right, top, text) of each piece of text."""
    textpage = page.get_textpage()
    found = []
    for at in range(textpage.count_rects()):
        left, bottom, right, top = textpage.get_rect(at)
        text = textpage.get_text_bounded(left, bottom, right, top)
        if text.strip():
            found.append((left, bottom, right, top, text))
    return found


def overlap(one, other) -> float:
    """The common area as a share of the smaller box."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))


def assert_readable(pdf: pypdfium2.PdfDocument) -> None:
    """No text is cut off by the edge of its page, and none covers another."""
    for number, page in enumerate(pdf, start=1):
        found = boxes(page)
        assert found
        for left, bottom, right, top, text in found:
            assert left >= EDGE_PT, (number, text)
            assert right <= WIDTH_PT - EDGE_PT, (number, text)
            assert bottom >= EDGE_PT, (number, text)
            assert top <= HEIGHT_PT - EDGE_PT, (number, text)
        covered = [
            (number, one[4], other[4]) for one, other in combinations(found, 2) if overlap(one, other) > 0.15
        ]
        assert covered == []


def test_the_board_has_one_page_and_the_appendix_at_most_five(pdf):
    pages = texts(pdf)
    assert 2 <= len(pages) <= 1 + MAX_APPENDIX_PAGES
    assert pdf.get_metadata_dict()["Title"] == "M&S, 2 December 2004: the one-day Christmas sale"
    board = " ".join(pages[0].split())
    assert "FAIL" in board
    for text in (
        "Could order, web",
        "Sales lost",
        "Broke for arrivals from",
        "Capacity",
        "What to fix first",
        "Confidence",
    ):
        assert text in board
    assert [re.search(r"Page \d of \d", page)[0] for page in pages] == [
        f"Page {number} of {len(pages)}" for number in range(1, len(pages) + 1)
    ]


def test_no_text_is_cut_off_or_covered(pdf):
    assert_readable(pdf)


def test_links_of_the_first_page_lead_to_the_headings_of_the_appendix(pdf):
    page = pdf[0]
    targets = []
    position, link = ctypes.c_int(0), pdfium.FPDF_LINK()
    while pdfium.FPDFLink_Enumerate(page.raw, ctypes.byref(position), ctypes.byref(link)):
        dest = pdfium.FPDFLink_GetDest(pdf.raw, link)
        assert dest, "a link without a target"
        targets.append(pdfium.FPDFDest_GetDestPageIndex(pdf.raw, dest))
        assert len(targets) < 100
    outline = [(entry.get_title(), entry.get_dest().get_index()) for entry in pdf.get_toc()]
    assert targets == [page for _, page in outline]
    questions = [one["question"] for one in json.loads((SAMPLE / "summary.json").read_text())["sections"]]
    assert [title for title, _ in outline] == ["Which thresholds were met?", *questions][: len(outline)]
    pages = texts(pdf)
    for title, at in outline:
        assert " ".join(title.split()) in " ".join(pages[at].split())


def test_fonts_are_embedded_and_charts_are_vectors(data, pdf):
    assert b"/Subtype /Image" not in data
    for page in pdf:
        for found in page.get_objects():
            assert found.type != pdfium.FPDF_PAGEOBJ_IMAGE
    names = re.findall(rb"/FontName /([A-Z]{6}\+[\w-]+)", data)
    assert {name.split(b"+")[1] for name in names} >= {b"Inter-Regular", b"Inter-SemiBold"}
    assert len(re.findall(rb"/FontFile2", data)) == len(names)
    assert len(re.findall(rb"/Type /Font\b", data)) >= len(names)


def test_hostile_text_is_shown_literally_and_links_nowhere():
    figure = HeadlineFigure(HOSTILE, HOSTILE, text=HOSTILE, detail=HOSTILE, command=HOSTILE)
    chart = Chart(
        "lines", HOSTILE, HOSTILE, HOSTILE, (0.0, 1.0), (Series(HOSTILE, (1.0, 2.0)),), note=HOSTILE
    )
    table = Table(HOSTILE, (Column(HOSTILE), Column(HOSTILE)), ((HOSTILE, 1), (HOSTILE, None)), HOSTILE)
    blocks = [PdfHeading(HOSTILE), PdfText(HOSTILE), PdfList((HOSTILE,)), chart, table]
    hostile = PdfDocument(
        HOSTILE, HOSTILE, [PdfVerdict(HOSTILE, HOSTILE, "fail"), PdfFigures((figure,) * 5)], blocks, HOSTILE
    )
    data = render_pdf(hostile)
    assert render_pdf(hostile) == data
    assert b"/URI" not in data
    assert b"/JavaScript" not in data
    found = " ".join(texts(pypdfium2.PdfDocument(data)))
    assert "<img src='http://192.0.2.1/x'/>" in " ".join(found.split())
    assert "Ωж" in found
    assert not re.search("[\x00\x1b\u202e]", found)


def test_a_long_appendix_ends_after_five_pages_and_says_so():
    blocks = [part for n in range(30) for part in (PdfHeading(f"Part {n}"), PdfText("word " * 300))]
    pdf = pypdfium2.PdfDocument(render_pdf(PdfDocument("Long", "", [PdfText("The board.")], blocks)))
    pages = texts(pdf)
    assert len(pages) == 1 + MAX_APPENDIX_PAGES
    assert "The rest is in the HTML report." in pages[-1]
    assert "The rest" not in "".join(pages[:-1])


def test_a_board_that_is_too_high_shrinks_to_one_page():
    board = [PdfVerdict("✗ FAIL", "Sentence. " * 30, "fail"), *(PdfText("word " * 120) for _ in range(14))]
    pdf = pypdfium2.PdfDocument(render_pdf(PdfDocument("High", "subtitle", board)))
    assert len(pdf) == 1
    assert_readable(pdf)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "reportlab", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'doorbuster[pdf]'")):
        render_pdf(PdfDocument("Title", "", [PdfText("The board.")]))
