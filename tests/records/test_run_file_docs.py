"""docs/reference/run-file.md says what the file holds: every table, every column, and examples that run."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.row_inserter import ERRORS_PER_SERIES, SLOWEST_PER_SERIES
from doorbuster.records.schema import APPLICATION_ID, SCHEMA_VERSION, TABLES
from doorbuster.records.writer import RunWriter

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "run-file.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    """Text about each table."""
    parts = re.split(r"^### `(\w+)`", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def columns() -> dict[str, list[str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in tables}


def test_the_page_describes_exactly_the_tables_there_are():
    assert sorted(sections()) == sorted(columns())


@pytest.mark.parametrize("table", sorted(columns()))
def test_the_page_describes_exactly_the_columns_of_a_table(table: str):
    rows = re.findall(r"^\| (`.*?) \|", sections()[table], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(columns()[table])


def test_the_page_names_every_metadata_field(make_meta):
    for key, _ in make_meta().to_rows():
        assert f"`{key}`" in sections()["meta"]


def test_the_page_states_version_and_limits():
    assert f"`PRAGMA application_id` is {APPLICATION_ID} " in PAGE
    assert f"`PRAGMA user_version` is {SCHEMA_VERSION}" in PAGE
    assert (SLOWEST_PER_SERIES, ERRORS_PER_SERIES) == (5, 3)
    assert "the slowest five of its series" in PAGE
    assert "the first three distinct errors" in PAGE


@pytest.fixture
def recorded(tmp_path: Path, make_meta, make_batch) -> Path:
    rng = np.random.default_rng(2)
    with RunWriter.create(tmp_path / "run", make_meta(), {"web": np.ones(30, int)}) as writer:
        for seq in range(30):
            requests = {
                (seq, step): rng.lognormal(11, 1, 40).astype(int).tolist() for step in ("pay", "search")
            }
            writer.write([make_batch(seq, requests)])
        writer.finish("finished")
    return tmp_path / "run"


def example(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def expected_lines(recorded: Path) -> list[str]:
    with Run.open(recorded) as run:
        found = run.histograms_by(lambda series: series.step)
    return [
        f"{step} {histogram.n} {histogram.quantile_us(0.95)}" for step, histogram in sorted(found.items())
    ]


def test_the_example_in_another_language_gives_our_quantiles(recorded: Path):
    for program in ("perl", "sqlite3", "sh"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    result = subprocess.run(
        ["sh", "-c", example("sh")], env={"RUN": str(recorded), "PATH": "/usr/bin:/bin"}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert result.stdout.splitlines() == expected_lines(recorded)


def test_the_python_example_runs(recorded: Path, capsys):
    exec(example("python").replace("reports/<run>", str(recorded)), {})
    title, *steps, estimate = capsys.readouterr().out.splitlines()
    assert title.startswith("A sale finished OutcomeTotals(planned=30")
    assert sorted(steps) == expected_lines(recorded)
    assert estimate.startswith("LatencyQuantile(p=0.95")


def test_the_formula_of_the_page_is_that_of_the_library():
    from doorbuster.records.histogram import BINS, highest_us, lowest_us

    for index in (0, 1023, 1024, 2047, 2048, 2049, 9999, BINS - 1):
        k = 0 if index < 2048 else index // 1024 - 1
        assert lowest_us([index])[0] == (index - 1024 * k) * 2**k
        assert highest_us([index])[0] == (index - 1024 * k + 1) * 2**k - 1


def test_metadata_survives_writing_and_reading(make_meta):
    assert RunMeta.from_rows(dict(make_meta().to_rows())) == make_meta()
