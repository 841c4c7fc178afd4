"""What is noted beside the requests: written, read back, and absent from old files without harm."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.batch import (
    ConnectSecond,
    CounterSecond,
    FreshnessReading,
    LaterSecond,
    SeriesKey,
    ServerTimingSecond,
    StaySecond,
    ThinkSecond,
)
from doorbuster.records.histogram import Histogram, pack
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME, SCHEMA_VERSION, TABLES
from doorbuster.records.side_metrics import (
    Connecting,
    CounterKey,
    LaterRequests,
    Parts,
    ServerEntry,
    ServerTimes,
    WeightedTimes,
)
from doorbuster.records.writer import RunWriter

SERIES = SeriesKey("web", "buy", "pay", "ok", "")
FORMAT_1 = Path(__file__).with_name("format_1.sql")
ADDED_IN_2 = ("counters", "thinks", "stays", "connects", "server_timings", "freshness")
ADDED_IN_3 = ("request_sums", "later_requests")


@pytest.fixture
def recorded(tmp_path: Path, make_meta, make_batch) -> Path:
    """Two workers that noted the same things."""
    with RunWriter.create(tmp_path / "run", make_meta(), {"web": np.ones(10, int)}) as writer:
        for worker in ("w0", "w1"):
            writer.write([
                make_batch(
                    0, {(3, "pay"): [1000, 3000]}, worker=worker,
                    counters=(CounterSecond(3, "web", "retries", 2), CounterSecond(12, "web", "retries", 1)),
                    thinks=(ThinkSecond(3, "web", pack([5_000_000])),),
                    stays=(StaySecond(3, "web", pack([9_000_000, 1_000_000])),),
                    connects=(
                        ConnectSecond(3, SERIES, 1, 700, 700, pack([700])),
                        ConnectSecond(4, SERIES, 2, 500, 300, pack([200, 300])),
                    ),
                    later=(
                        LaterSecond(3, SERIES, 2, 3, 10, 20, 30, pack([40, 50])),
                        LaterSecond(4, SERIES, 1, 1, 1, 2, 3, pack([6])),
                    ),
                    server_timings=(
                        ServerTimingSecond(3, SERIES, "db", "", 2, 20.0, 20_000.0, pack([900, 1100])),
                        ServerTimingSecond(4, SERIES, "db", "", 1, 1.0, 2_000.0, pack([2000])),
                        ServerTimingSecond(4, SERIES, "cache", "HIT", 1, 1.0, 0.0),
                    ),
                )
            ])  # fmt: skip
        writer.finish("finished")
    return tmp_path / "run"


def as_version_1(folder: Path, target: Path) -> Path:
    """The same run as format 1 laid it out: its tables, its version number, none of what came later."""
    target.mkdir()
    new, old = sqlite3.connect(folder / FILE_NAME), sqlite3.connect(target / FILE_NAME)
    with contextlib.closing(new), contextlib.closing(old):
        old.executescript(FORMAT_1.read_text(encoding="utf-8"))
        (application,) = new.execute("PRAGMA application_id").fetchone()
        old.execute(f"PRAGMA application_id = {application}")
        old.execute("PRAGMA user_version = 1")
        for (table,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            rows = new.execute(f"SELECT * FROM {table}").fetchall()
            if rows:
                old.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        old.commit()
    return target


def test_counters_are_summed_over_workers_and_reach_beyond_the_plan(recorded: Path):
    with Run.open(recorded) as run:
        (counted,) = run.counters().values()
        assert [CounterKey("web", "retries")] == list(run.counters())
    assert {second: n for second, n in enumerate(counted.tolist()) if n} == {3: 4, 12: 2}


def test_think_times_and_stays_are_histograms_per_channel(recorded: Path):
    with Run.open(recorded) as run:
        assert {"web": Histogram.from_values([5_000_000] * 2)} == run.thinks()
        assert {"web": Histogram.from_values([9_000_000, 1_000_000] * 2)} == run.stays()


def test_connecting_and_server_timing_add_up(recorded: Path):
    with Run.open(recorded) as run:
        parts = run.parts()
    assert parts.connect == {SERIES: Connecting(6, 2400, 700)}
    database = parts.server[ServerEntry(SERIES, "db", "")]
    assert database == ServerTimes(6, 42.0, 44_000.0)
    assert database.mean_us == pytest.approx((40 * 1000 + 2 * 2000) / 42)
    assert parts.server[ServerEntry(SERIES, "cache", "HIT")] == ServerTimes(2, 2.0, 0.0)


def test_times_of_single_steps_are_kept_in_bins(recorded: Path):
    with Run.open(recorded) as run:
        parts = run.parts()
    assert {SERIES: Histogram.from_values([700, 200, 300] * 2)} == parts.connect_times
    later = LaterRequests(6, 8, 22, 44, 66, Histogram.from_values([40, 50, 6] * 2))
    assert {SERIES: later} == parts.later
    ((entry, sample),) = parts.server_times.items()
    assert entry == ServerEntry(SERIES, "db", "")
    assert sample.n == 6
    assert sample.effective_n == pytest.approx(6)  # one minute: each stands for as many as the others


def test_a_sample_is_weighted_by_what_its_minutes_stand_for():
    quiet, busy = Histogram.from_values([1000] * 60), Histogram.from_values([9000] * 60)
    sample = WeightedTimes(((quiet, 1.0), (busy, 9.0)))
    assert (sample.times.quantile_us(0.1), sample.times.quantile_us(0.11)) == (1000, 9007)
    assert sample.effective_n == pytest.approx(600**2 / (60 + 60 * 81))


def test_a_file_of_format_2_has_sums_instead_of_the_times_of_single_steps(recorded: Path):
    with Run.open(recorded) as run:
        new = run.parts()
    with contextlib.closing(sqlite3.connect(recorded / FILE_NAME)) as db:
        db.executescript(
            "DROP TABLE later_requests; DROP TABLE request_sums; PRAGMA user_version = 2;"
            "ALTER TABLE connects DROP COLUMN connect; ALTER TABLE server_timings DROP COLUMN took;"
        )
    with Run.open(recorded) as run:
        assert Parts(new.connect, new.server) == run.parts()


def test_a_day_of_notes_stays_small(tmp_path: Path, make_meta, make_batch):
    """One row a minute for each key, however many reports; bins of a minute are joined."""
    with RunWriter.create(tmp_path, make_meta(), {}) as writer:
        for second in range(150):
            writer.write([
                make_batch(
                    second,
                    stays=(StaySecond(second, "web", pack([second])),),
                    thinks=(ThinkSecond(second, "web", pack([0, 0, second + 1])),),
                    connects=(ConnectSecond(second, SERIES, 1, second, second, pack([second])),),
                    later=(LaterSecond(second, SERIES, 1, 2, 3, 4, 5, pack([second])),),
                    server_timings=(ServerTimingSecond(second, SERIES, "db", "", 1, 2.0, 3.0),),
                )
            ])  # fmt: skip
    with Run.open(tmp_path) as run:
        for table in ("stays", "thinks", "connects", "later_requests", "server_timings"):
            assert run._select(f"SELECT count(*) FROM {table}") == [(3,)]
        assert run.stays()["web"] == Histogram.from_values(range(150))
        assert run.thinks()["web"] == Histogram.from_values([0] * 300 + list(range(1, 151)))
        assert run.parts().connect[SERIES] == (150, sum(range(150)), 149)
        assert run.parts().connect_times[SERIES] == Histogram.from_values(range(150))
        assert run.parts().later == {
            SERIES: LaterRequests(150, 300, 450, 600, 750, Histogram.from_values(range(150)))
        }
        assert run.parts().server[ServerEntry(SERIES, "db", "")] == (150, 300.0, 450.0)


def test_a_file_of_format_1_reads_as_if_nothing_had_been_noted(recorded: Path, tmp_path: Path):
    old = as_version_1(recorded, tmp_path / "old")
    with Run.open(old) as run, Run.open(recorded) as new:
        assert {} == run.counters() == run.thinks() == run.stays()
        assert Parts({}, {}) == run.parts()
        assert new.histogram() == run.histogram()
        assert new.customers() == run.customers()
        assert new.meta == run.meta


def test_before_format_4_every_change_that_was_looked_for_was_one_of_price(
    tmp_path: Path, make_meta, make_batch
):
    price = FreshnessReading(1.0, "sku", "web", "seen", 0.5, None, 2, 0, "price")
    stock = price._replace(at_s=2.0, what="stock")
    with RunWriter.create(tmp_path / "new", make_meta(), {}) as writer:
        writer.write([make_batch(0, freshness=(price, stock))])
    (tmp_path / "old").mkdir()
    shutil.copyfile(tmp_path / "new" / FILE_NAME, tmp_path / "old" / FILE_NAME)
    with contextlib.closing(sqlite3.connect(tmp_path / "old" / FILE_NAME)) as old:
        old.execute("ALTER TABLE freshness DROP COLUMN what")
        old.execute("PRAGMA user_version = 3")
        old.commit()
    with Run.open(tmp_path / "new") as new, Run.open(tmp_path / "old") as old:
        assert new.freshness() == (price, stock)
        assert old.freshness() == (price, stock._replace(what="price"))


def test_the_sample_report_opens_whatever_format_it_was_recorded_in():
    sample = Path(__file__).parents[2] / "reports" / "sample"
    with Run.open(sample) as run:
        assert run.histogram().n > 0
        run.counters(), run.thinks(), run.stays(), run.parts()


def test_a_later_format_leaves_the_tables_of_the_first_as_they_were():
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        db.executescript("".join(f"DROP TABLE {table};" for table in (*ADDED_IN_2, *ADDED_IN_3)))
        left = [row[0] for row in db.execute("SELECT sql FROM sqlite_schema ORDER BY name")]
    with contextlib.closing(sqlite3.connect(":memory:")) as first:
        first.executescript(FORMAT_1.read_text(encoding="utf-8"))
        assert left == [row[0] for row in first.execute("SELECT sql FROM sqlite_schema ORDER BY name")]
    assert SCHEMA_VERSION == 4
