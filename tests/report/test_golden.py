"""The wording of every output format, compared with committed files.

reports/sample holds the report of the committed run, and sample_terminal.txt its sections in the terminal.
After an intended change of wording, write them again with `make sample` and read the difference.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from doorbuster.cli import doorbuster as program

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "reports" / "sample"
NUMBER = re.compile(r"-?\d+\.\d{6,}(?:e-?\d+)?")


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    done = CliRunner().invoke(program, ["report", str(SAMPLE), "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


class Words(HTMLParser):
    """The text of a page, a line for each piece, without scripts and their data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.feed(page)

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:
            self.lines += [data.strip()] if data.strip() else []


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_the_words_of_the_page(written):
    assert Words(text(SAMPLE / "index.html")).lines == Words(text(written / "index.html")).lines


@pytest.mark.parametrize("name", ["summary.md", "junit.xml"])
def test_the_summary_and_the_junit_file(written, name):
    assert text(SAMPLE / name) == text(written / name)


def test_the_json_file(written):
    """Numbers may differ in the last digits between versions of numpy."""
    expected, actual = (
        json.loads(NUMBER.sub(lambda found: f"{float(found[0]):.9g}", text(folder / "summary.json")))
        for folder in (SAMPLE, written)
    )
    assert expected == actual


def test_the_sections_in_the_terminal():
    done = CliRunner().invoke(program, ["analyse", str(SAMPLE), "--all"], env={"COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    lines = [line.rstrip() for line in done.output.splitlines()]
    assert text(Path(__file__).with_name("sample_terminal.txt")).splitlines() == lines
