"""Run files that were damaged or made to mislead: refused on opening, in one sentence."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from doorbuster.errors import RecordError
from doorbuster.records.reader import Run
from doorbuster.records.schema import TABLES
from doorbuster.records.validation import RULES

SAMPLE = Path(__file__).parent.parent.parent / "reports" / "sample" / "run.sqlite"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


@pytest.fixture
def changed(tmp_path):
    """A function from SQL statements to a copy of the sample that they changed."""

    def change(*statements: str) -> Path:
        path = tmp_path / "run.sqlite"
        shutil.copyfile(SAMPLE, path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
            for statement in statements:
                db.execute(statement)
        return path

    return change


def test_the_sample_and_its_rules_are_complete():
    Run.open(SAMPLE).close()
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        for table, rules in RULES.items():
            columns = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
            assert columns - rules.keys() <= {"id", "worker", "series", "ledger_order"}, table


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE requests SET second = 1e15", "requests.second has a value that no run has (got"),
        ("UPDATE requests SET n = -1", "requests.n has"),
        ("UPDATE requests SET n = 'many'", "requests.n has"),
        ("UPDATE requests SET response = x'0102'", "requests.response has"),
        ("UPDATE customers SET outcome = 'happy'", "customers.outcome has"),
        ("UPDATE orders SET lines = '[1]'", "orders.lines has"),
        ("UPDATE orders SET lines = '[[\"a\", \"b\", 1]]'", "orders.lines has"),
        ("UPDATE orders SET intended_s = 9e999", "orders.intended_s has"),
        ("UPDATE plan SET second = second + 315360000", "plan.second has"),
        ("UPDATE requests SET series = 99999", "requests.series refers to row 99999 of series"),
        ("DELETE FROM workers", "of workers, which is missing"),
        ("DELETE FROM writer", "the table writer must have one row"),
        ("UPDATE meta SET value = '1e999' WHERE key = 'duration_s'", "duration_s has a value"),
        ("UPDATE meta SET value = '{' WHERE key = 'machine'", "meta has a value that no run has"),
        ("UPDATE meta SET value = '7' WHERE key = 'title'", "title has a value that no run has"),
        ("DROP TABLE health", "the table health is not the one of this format"),
        ("ALTER TABLE health ADD COLUMN more", "the table health is not the one of this format"),
        ("CREATE VIEW v AS SELECT 1", "a run file has no view 'v'"),
        ("CREATE TRIGGER t AFTER INSERT ON plan BEGIN SELECT 1; END", "a run file has no trigger 't'"),
    ],
)  # fmt: skip
def test_what_no_run_has_is_refused_in_one_sentence(changed, statement, said):
    with pytest.raises(RecordError) as caught:
        Run.open(changed(statement))
    assert said in str(caught.value)
    assert str(caught.value).endswith("; copy it again from where it was recorded")
    assert "\n" not in str(caught.value)


def test_a_table_that_computes_without_end_is_never_read(changed):
    columns = "i AS channel, i AS second, i AS n"
    path = changed("DROP TABLE plan", f"CREATE VIEW plan AS {ENDLESS.format(columns)}")
    started = time.monotonic()
    with pytest.raises(RecordError, match="a run file has no view 'plan'"):
        Run.open(path)
    assert time.monotonic() - started < 5


def test_a_small_file_cannot_ask_for_gigabytes(changed):
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    path = changed(f"INSERT INTO plan {numbers} SELECT 'c' || i, 5000000, 1 FROM n")
    with pytest.raises(RecordError, match=r"are more than a file of .* bytes can hold"):
        Run.open(path)


def test_many_resources_over_many_seconds_are_no_way_around_it(changed):
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    late = "INSERT INTO plan VALUES ('web', 5000000, 1)"
    many = (
        f"INSERT INTO observed_series {numbers} SELECT i, 's', 'utilisation', '{{\"r\": ' || i || '}}' FROM n"
    )
    with pytest.raises(RecordError, match=r"are more than a file of .* bytes can hold"):
        Run.open(changed(late, many))


@pytest.mark.parametrize("labels", ["", "[]", "{", "3"])
def test_labels_of_an_observed_series_are_an_object(changed, labels):
    with pytest.raises(RecordError, match=r"observed_series\.labels has a value that no run has"):
        Run.open(changed(f"INSERT INTO observed_series VALUES (1, 's', 'n', '{labels}')"))


def test_an_observed_value_has_its_series(changed):
    with pytest.raises(RecordError, match="refers to row 7 of observed_series, which is missing"):
        Run.open(changed("INSERT INTO observed VALUES (7, 1, 0.5)"))


def test_a_page_that_is_used_twice_is_found(tmp_path):
    path = tmp_path / "run.sqlite"
    data = bytearray(SAMPLE.read_bytes())
    data[20 * 4096 : 30 * 4096] = data[40 * 4096 : 50 * 4096]
    path.write_bytes(data)
    with pytest.raises(RecordError, match=r"the file is damaged|is damaged or cut off"):
        Run.open(path)


def test_a_histogram_with_a_bin_that_does_not_exist_is_refused(changed):
    path = changed("UPDATE requests SET response = x'ffff01000000', service = x'ffff01000000'",
                   "DELETE FROM request_rollups")  # fmt: skip
    with Run.open(path) as run, pytest.raises(RecordError, match="a histogram of the run file is damaged"):
        run.histogram()
