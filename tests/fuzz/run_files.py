"""Run files: the sample's with bytes or rows changed; each is judged and analysed, or refused in one sentence."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from doorbuster.cli.run_workflow import analysis_scripts, judge_run, recorded_run_scenario
from doorbuster.errors import RecordError
from doorbuster.live.monitor import replay
from doorbuster.records.reader import Run
from doorbuster.report import summary_lines
from doorbuster.report.render.json import render_json
from doorbuster.report.render.junit import render_junit
from doorbuster.report.render.markdown import render_markdown
from tests.fuzz.mutations import mutated_bytes, odd_value

SAMPLE = Path(__file__).parent.parent.parent / "reports" / "sample" / "run.sqlite"


def case(rng: Random, folder: Path) -> str:
    path = folder / "run.sqlite"
    for old in folder.glob("run.sqlite*"):
        old.unlink()
    if rng.random() < 0.35:
        path.write_bytes(mutated_bytes(rng, SAMPLE.read_bytes()))
    else:
        shutil.copyfile(SAMPLE, path)
        change_rows(rng, path)
    try:
        read_everything(path)
    except RecordError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000
        return "refused"
    return "accepted"


def change_rows(rng: Random, path: Path, tables: Mapping[str, tuple[str, ...]] | None = None) -> None:
    """Change the database as somebody with an SQL shell could.

    tables: its columns by table; by default those of a run file.
    """
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA ignore_check_constraints = ON")
        for _ in range(rng.choice((1, 1, 2, 5))):
            try:
                db.execute(*_statement(rng, tables or run_file_tables()))
            except (sqlite3.Error, OverflowError, UnicodeError):
                continue
    finally:
        db.close()


@lru_cache
def run_file_tables() -> dict[str, tuple[str, ...]]:
    return tables_of(SAMPLE)


def tables_of(path: Path) -> dict[str, tuple[str, ...]]:
    """The columns of a database by table."""
    with sqlite3.connect(path) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {name: tuple(row[1] for row in db.execute(f"PRAGMA table_info({name})")) for name in names}


def _statement(rng: Random, tables: Mapping[str, tuple[str, ...]]) -> tuple[str, tuple[Any, ...]]:
    table = rng.choice(sorted(tables))
    column = rng.choice(tables[table])
    some = "" if rng.random() < 0.3 else " WHERE abs(random()) % 7 = 0"
    if table == "meta" and rng.random() < 0.7:
        key = rng.choice(("title", "seed", "duration_s", "workers", "machine", "versions", "status", "run_id",
                          "started_at_unix_ns", "scenario_text", "target_url", "story", "workload",
                          "finished_at_unix_ns", "ledger_read_at_s", "shop_profile", "storefront"))  # fmt: skip
        value = rng.choice(
            (
                "1e999",
                "-1",
                "null",
                "[]",
                '"x"',
                "{",
                '{"cpu": [1]}',
                '{"memory_bytes": "x"}',
                '{"cores": []}',
                "1e15",
                '"\\u001b[2J"',
            )
        )
        return "UPDATE meta SET value = ? WHERE key = ?", (value, key)
    action = rng.random()
    if action < 0.55:
        return f"UPDATE {table} SET {column} = ?{some}", (_value(rng),)
    if action < 0.65:
        other = rng.choice(tables[table])
        return f"UPDATE {table} SET {column} = {other}{some}", ()
    if action < 0.75:
        factor = rng.choice((-1, 1000, 10**9, 10**15))
        return f"UPDATE {table} SET {column} = {column} * {factor}{some}", ()
    if action < 0.85:
        return f"DELETE FROM {table}{some}", ()
    if action < 0.9:
        return f"DROP TABLE {table}", ()
    if action < 0.95:
        return f"ALTER TABLE {table} RENAME COLUMN {column} TO other", ()
    columns = ", ".join(f"i AS {name}" for name in tables[table])
    endless = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {columns} FROM n"
    return (f"CREATE VIEW v{rng.randrange(9)} AS {endless}", ())


def _value(rng: Random) -> Any:
    value = odd_value(rng)
    if rng.random() < 0.2:
        return rng.randbytes(rng.choice((0, 5, 6, 12, 600)))
    return value if isinstance(value, int | float | str) or value is None else re.sub(r"\s", "", str(value))


def read_everything(path: Path) -> None:
    """What `gate`, `analyse` and `report` do with a run, without drawing charts."""
    with Run.open(path) as run:
        scenario = recorded_run_scenario(run)
        judged = judge_run(run, scenario)
        assert judged.analysed.errors == (), judged.analysed.errors[0]
        sections = judged.analysed.sections
        render_markdown(run, sections, judged.results, judged.verdict, judged.overview)
        render_json(run, sections, judged.results, judged.verdict, judged.overview)
        render_junit(run, judged.results, judged.verdict)
        summary_lines(sections)
        run.workers(), run.events(), run.exemplars(), run.freshness(), run.step_timings()
        run.customers_in_shop(), run.lateness(), run.audit()
    for _ in replay(path, speed=1e12):
        pass
    assert analysis_scripts()
