"""The live state of a run agrees with what the report and the gate read from the same file."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path

import numpy as np
import pytest

from doorbuster.gate import is_known_live, judge
from doorbuster.live.monitor import RunMonitor, RunPicture, replay
from doorbuster.live.recent import RecentSeconds
from doorbuster.live.totals import LiveTotals
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.reader import Run
from doorbuster.records.row_stream import NewRows, RowPosition, StreamedRun, WorkerHealth
from doorbuster.scenario.recorded import recorded_scenario

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


@pytest.fixture(scope="module")
def states():
    """The sample run as the live view showed it, second by second."""
    return list(replay(SAMPLE, speed=1e3 * 86_400))[-1:] + list(_seconds())


def _seconds():
    with StreamedRun.open(SAMPLE) as run:
        yield from run.replay()


@pytest.fixture(scope="module")
def final(states):
    return states[0]


def test_thresholds_stand_at_the_end_where_the_gate_decides_them(final):
    with Run.open(SAMPLE) as run:
        thresholds = recorded_scenario(run.meta.scenario_text).thresholds
        judged = judge(run, (), thresholds)[: len(thresholds)]
    known = [is_known_live(threshold) for threshold in thresholds]
    assert sum(known) >= 4
    for view, result in zip(final.thresholds, judged, strict=True):
        assert view.rule == str(result.threshold)
        assert result.observed is not None  # the ledger decides the others
        assert (view.state, view.sentence) == (result.status, result.sentence)


def test_a_threshold_that_only_the_end_decides_stays_open_until_then():
    state = next(iter(replay(SAMPLE, speed=1e6)))
    with StreamedRun.open(SAMPLE) as run:
        picture = RunPicture(run)
        picture.add(run.new_rows(RowPosition()), at_s=75.0)
        shown = picture.state(run.meta.changed(status="running"), at_s=75.0).thresholds
    assert [one.state for one in shown if one.rule.startswith("orders_missing")] == ["open"]
    assert [one.state for one in state.thresholds if one.rule.startswith("orders_missing")] == ["pass"]


def test_totals_are_those_of_the_run_file(final):
    with Run.open(SAMPLE) as run:
        totals, customers = run.outcome_totals(), run.customers()
        times = run.histogram(match=lambda series: series.has_latency)
        sent = sum(int(n.sum()) for n in run.request_counts(lambda series: series).values())
    measures = {one.name: one for one in final.measures}
    wanted = [(row.order, row.n) for row in customers if row.order is not None]
    assert (final.planned, final.finished) == (totals.planned, totals.accounted)
    assert measures["could order"].whole_n == sum(n for _, n in wanted)
    assert measures["could order"].whole == sum(n for could, n in wanted if could) / sum(n for _, n in wanted)
    assert measures["p95"].whole == times.quantile_us(0.95) / 1e6
    assert measures["requests"].whole_n == sent
    assert sum(one.served for one in final.channels) == totals.served


def test_the_replay_has_as_many_customers_in_the_shop_as_the_run_had(states):
    """Who has left follows from the numbers in the shop, so both agree to the customers of a second."""
    with Run.open(SAMPLE) as run:
        inside = run.customers_in_shop()
    started = gone = 0
    for end_s, rows in states[1:]:
        started += sum(row.started for row in rows.reports.arrivals)
        gone += sum(row.n for row in rows.reports.customers)
        second = int(end_s) - 1
        if second < inside.size:
            assert abs(started - gone - inside[second]) <= 2


def test_reading_in_parts_gives_the_rows_of_reading_at_once(tmp_path):
    file = tmp_path / "run.sqlite"
    shutil.copyfile(SAMPLE / "run.sqlite", file)
    with StreamedRun.open(file) as run:
        at_once = run.new_rows(RowPosition()).reports
    with sqlite3.connect(file) as db:
        later = db.execute("SELECT * FROM requests WHERE rowid > 500 ORDER BY rowid").fetchall()
        db.execute("DELETE FROM requests WHERE rowid > 500")
    position = RowPosition()
    with StreamedRun.open(file) as run:
        first = run.new_rows(position).reports
    with sqlite3.connect(file) as db:
        db.executemany(f"INSERT INTO requests VALUES ({', '.join('?' * 9)})", later)
    with StreamedRun.open(file) as run:
        second = run.new_rows(position).reports
        nothing = run.new_rows(position).reports
    assert first.requests + second.requests == at_once.requests
    assert (second.customers, nothing.requests) == ((), ())


def test_looking_at_a_finished_run_costs_the_same_each_time(tmp_path):
    """The second look reads nothing again: its cost does not grow with the run."""
    shutil.copyfile(SAMPLE / "run.sqlite", tmp_path / "run.sqlite")
    monitor = RunMonitor(tmp_path)
    first, second = monitor.look(), monitor.look()
    assert first is not None
    assert first.outcomes == second.outcomes
    assert first.measures[0].whole_n == second.measures[0].whole_n


def test_a_folder_without_a_run_file_has_no_state(tmp_path):
    assert RunMonitor(tmp_path).look() is None


def rows(**reports) -> NewRows:
    states = reports.pop("health", ())
    health = tuple(WorkerHealth(1, one) for one in states)
    return NewRows(Batch("", 0, health=tuple(states), **reports), health)


def health(second: int, in_flight: int) -> HealthSecond:
    return HealthSecond(second, 0.1, 1.0, in_flight, 0, 0, 0, b"")


def customers(outcome: str, cause: str, n: int) -> CustomerCount:
    return CustomerCount(0, "web", "buy", outcome, "", cause, None, None, n)


def test_customers_whom_a_stop_sends_home_are_not_dropped():
    totals = LiveTotals({"web": {0: 100}}, duration_s=60)
    totals.add(rows(arrivals=[ArrivalCount(0, "web", 40, 3)], customers=[customers("served", "", 5)]), at_s=1)
    totals.add(
        rows(
            arrivals=[ArrivalCount(1, "web", 0, 60)],
            customers=[
                customers("dropped", "in_flight_ceiling", 3),
                customers("dropped", "interrupted", 60 + 35),
            ],
        ),
        at_s=2,
    )
    assert totals.sent_home == 35
    assert totals.dropped == 3
    assert totals.shown_outcomes() == {
        "served": 5,
        "dropped by the generator": 3,
        "sent home": 35,
        "not started": 60,
    }
    assert totals.finished == 5


def test_the_recent_p95_covers_the_last_ten_seconds_and_the_whole_one_everything():
    totals = LiveTotals({}, duration_s=60)
    series = SeriesKey("web", "buy", "home", "ok", "")
    for second in range(40):
        time_us = 1_000_000 if second < 20 else 10_000
        blob = pack(np.full(10, time_us))
        one = RequestSecond(second, series, 10, 0, 0, blob, blob, blob)
        totals.add(rows(requests=[one], health=[health(second, 1)]), at_s=float(second))
    p95 = {one.name: one for one in totals.measures(at_s=39.0, has_customers=False)}["p95"]
    assert p95.recent == pytest.approx(0.010, rel=2e-3)
    assert p95.whole == pytest.approx(1.0, rel=2e-3)
    assert [round(bar, 2) for bar in p95.spark if bar is not None] == [1.0] * 10 + [0.01] * 10


def test_silence_is_counted_while_customers_wait_and_never_shown_as_a_fast_shop():
    totals = LiveTotals({}, duration_s=60)
    series = SeriesKey("web", "buy", "home", "ok", "")
    blob = pack(np.full(10, 5_000))
    totals.add(rows(requests=[RequestSecond(0, series, 10, 0, 0, blob, blob, blob)]), at_s=1.0)
    for second in range(2, 30):
        totals.add(rows(health=[health(second, 50)]), at_s=float(second))
    p95 = {one.name: one for one in totals.measures(at_s=29.0, has_customers=True)}["p95"]
    assert (p95.recent, p95.recent_n) == (None, 0)
    assert totals.last_ended_s == 1.0


def test_a_suspended_machine_leaves_a_gap_and_no_thousand_seconds():
    seconds = RecentSeconds()
    seconds.at(5.0).started = 3
    began_s = time.process_time()
    assert seconds.at(1e7).started == 0
    assert time.process_time() - began_s < 0.1
    assert [one.second for one in seconds.last()] == [int(1e7)]
