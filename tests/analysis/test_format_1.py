"""Run files of format 1 are analysed like new ones; what they did not record is not known, never zero."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from doorbuster.records.reader import Run
from doorbuster.records.schema import APPLICATION_ID, FILE_NAME
from doorbuster.report import analyse_run

ROOT = Path(__file__).parents[2]
FORMAT_1 = ROOT / "tests" / "records" / "format_1.sql"


@pytest.fixture(scope="module")
def old_and_new(build_peak, tmp_path_factory) -> tuple[Path, Path]:
    """The same peak as format 1 would hold it, and as it is."""
    new, old = build_peak() / FILE_NAME, tmp_path_factory.mktemp("old") / FILE_NAME
    with contextlib.closing(sqlite3.connect(old)) as db:
        db.executescript(FORMAT_1.read_text(encoding="utf-8"))
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        db.execute("ATTACH ? AS new", [str(new)])
        for table in tables:
            db.execute(f"INSERT INTO main.{table} SELECT * FROM new.{table}")
        db.commit()
    return old, new


def test_every_section_analyses_a_file_of_format_1(old_and_new):
    old, new = old_and_new
    with Run.open(old) as before, Run.open(new) as after:
        first, second = (analyse_run(run, [ROOT / "analysis"]) for run in (before, after))
    assert first.errors == ()
    assert [section.name for section in first.sections] == [section.name for section in second.sections]
    aside = {"parts", "server", "laws", "asked"}
    for one, other in zip(first.sections, second.sections, strict=True):
        if one.name not in aside:
            assert one == other


def test_what_format_1_did_not_record_is_unknown(old_and_new):
    with Run.open(old_and_new[0]) as run:
        sections = {section.name: section for section in analyse_run(run, [ROOT / "analysis"]).sections}
    assert sections["laws"].metrics["little_difference"].value is None
    assert sections["parts"].metrics["connect_share"].value is None
    assert "think times" not in [row[0] for table in sections["asked"].tables for row in table.rows]


def test_the_sample_report_is_still_analysed():
    with Run.open(ROOT / "reports" / "sample") as run:
        assert analyse_run(run, [ROOT / "analysis"]).errors == ()
