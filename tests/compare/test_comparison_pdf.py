"""The PDF of a comparison: the answer on the first page, the rest after it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pypdfium2
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


def test_a_comparison_is_written_as_pdf_on_request(tmp_path):
    other = shutil.copytree(SAMPLE, tmp_path / "other")
    args = [
        "compare",
        str(SAMPLE),
        str(other),
        "--out",
        str(tmp_path / "out"),
        "--despite",
        "a copy",
        "--pdf",
    ]
    done = CliRunner().invoke(program, args)
    assert "pdf   " in done.output, done.output
    pdf = pypdfium2.PdfDocument(tmp_path / "out" / "compare.pdf")
    assert len(pdf) <= 6
    first, *further = (" ".join(page.get_textpage().get_text_range().split()) for page in pdf)
    assert "metrics decide, the worst first" in first
    assert "can_order rate" in first
    assert any("What else changed?" in page for page in further)


def test_the_pdf_of_rehearsed_builds_is_refused():
    done = CliRunner().invoke(program, ["compare", "--run", "smoke", "--a", "replatformed", "--a-a", "--pdf"])
    assert "--pdf is for recorded runs" in str(done.output) + str(done.exception)
