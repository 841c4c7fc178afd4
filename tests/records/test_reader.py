"""What is written to a run file is what is read back, summed as asked."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    Event,
    Exemplar,
    HealthSecond,
    OrderAttempt,
    SeriesKey,
)
from doorbuster.records.histogram import Histogram, pack
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.records.metadata import OutcomeTotals, WorkerReports
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.records.row_inserter import SLOWEST_PER_SERIES
from doorbuster.records.writer import RunWriter

PLAN = {"web": np.array([2, 0, 3, 0, 0, 0, 0, 0, 0, 1])}
PAY = SeriesKey("web", "buy", "pay", "ok", "")


@pytest.fixture
def writer(tmp_path: Path, make_meta):
    with RunWriter.create(tmp_path / "run", make_meta(), PLAN) as open_writer:
        yield open_writer


@pytest.fixture
def run(writer: RunWriter):
    with Run.open(writer.path) as open_run:
        yield open_run


def test_metadata_is_read_back_and_follows_changes(writer: RunWriter, run: Run, make_meta):
    meta = make_meta(
        story="It is 2004.",
        versions={"locust": "2.47"},
        machine={"cores": 2},
    )
    writer.set_meta(story=meta.story, versions=meta.versions, machine=meta.machine)
    assert meta == run.meta
    writer.finish("aborted", "90 % turned away for 60 s")
    assert (run.meta.status, run.meta.status_reason) == ("aborted", "90 % turned away for 60 s")
    assert run.meta.finished_at_unix_ns is not None


def test_a_field_that_does_not_exist_cannot_be_set(writer: RunWriter):
    with pytest.raises(TypeError, match="sead"):
        writer.set_meta(sead=8)


def test_times_of_each_kind_come_back_by_series_and_by_second(writer: RunWriter, run: Run, make_batch):
    writer.write([make_batch(0, {(0, "pay"): [400, 8000], (1, "pay"): [12], (1, "search"): [99]})])
    writer.write([make_batch(1, {(1, "pay"): [16]}), make_batch(2, {(1, "pay"): [70]}, outcome="failed")])
    assert Histogram.from_values([400, 8000, 12, 99, 16, 70]) == run.histogram()
    assert Histogram.from_values([100, 2000, 3, 4]) == run.histogram("first_byte", match=PAY.__eq__)
    assert Histogram.from_values([200, 4000]) == run.histogram("service", match=PAY.__eq__, seconds=(0, 1))
    assert Histogram.empty() == run.histogram(seconds=(5, 9))
    assert {
        "pay": Histogram.from_values([400, 8000, 12, 16]),
        "search": Histogram.from_values([99]),
    } == run.histograms_by(lambda series: series.step if series.outcome == "ok" else None)
    assert {
        ("pay", 0): Histogram.from_values([400, 8000]),
        ("pay", 1): Histogram.from_values([12, 16, 70]),
        ("search", 1): Histogram.from_values([99]),
    } == run.histograms_by(lambda series: series.step, bucket_s=1)


def test_an_unknown_kind_of_time_is_refused(run: Run):
    with pytest.raises(ValueError, match=r"^kind must be one of response, service, first_byte \(got 'n'\)$"):
        run.histogram("n")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("dense_cells", "one_word"),
    [(0, 2**31), (0, 0), (2**24, 0)],
    ids=["by sorting", "by sorting cells that fill a word", "in a dense array"],
)
@pytest.mark.parametrize("bucket_s", [None, 1, 6])
@pytest.mark.parametrize("kept_s", [1, 3, 4], ids=lambda width_s: f"sums of {width_s} s kept")
def test_sums_equal_a_naive_loop(
    writer, run, make_batch, monkeypatch, seed, dense_cells, one_word, bucket_s, kept_s
):
    monkeypatch.setattr("doorbuster.records.request_reader.grain_s", lambda _: kept_s)
    monkeypatch.setattr("doorbuster.records.rollup._ENTRIES_AT_ONCE", 20)
    monkeypatch.setattr("doorbuster.records.rollup._DENSE_WORTH", dense_cells)
    monkeypatch.setattr("doorbuster.records.rollup._ONE_WORD", one_word)
    monkeypatch.setattr("doorbuster.records.request_table_scan._WINDOW_BYTES", 300)
    monkeypatch.setattr("doorbuster.records.request_table_scan._FIRST_WINDOW", {"rowid": 7, "second": 2})
    if seed == 2:
        monkeypatch.setattr("doorbuster.records.request_table_scan._can_join", lambda _: False)
    rng = random.Random(seed)
    slow = defaultdict(list)
    counts = defaultdict(int)
    for seq in range(30):
        requests = {}
        for _ in range(rng.randrange(4)):
            place = (rng.randrange(20), rng.choice("abcde"))
            requests[place] = [int(rng.lognormvariate(10, 2)) for _ in range(rng.randrange(1, 6))]
        writer.write([make_batch(seq, requests)])
        for (second, step), values in requests.items():
            if step != "e":
                key = (step in "ab", second // bucket_s) if bucket_s else step in "ab"
                slow[key] += values
                counts[step in "ab", second // (bucket_s or 1)] += len(values)

    def group(series: SeriesKey) -> bool | None:
        return None if series.step == "e" else series.step in "ab"

    assert {key: Histogram.from_values(values) for key, values in slow.items()} == run.histograms_by(
        group, bucket_s=bucket_s
    )
    found = run.request_counts(group, bucket_s or 1)
    assert counts == {
        (key, bucket): n for key, row in found.items() for bucket, n in enumerate(row.tolist()) if n
    }


def test_requests_that_never_got_a_first_byte_have_no_time_of_it(writer, run, make_batch, monkeypatch):
    monkeypatch.setattr("doorbuster.records.rollup._ENTRIES_AT_ONCE", 1)
    answered, cut_off = (
        make_batch(0, {(1, "pay"): [8, 12]}),
        make_batch(1, {(1, "search"): [9], (2, "pay"): [4]}),
    )
    writer.write(
        [answered, replace(cut_off, requests=tuple(r._replace(first_byte=b"") for r in cut_off.requests))]
    )
    assert {"pay": Histogram.from_values([2, 3])} == run.histograms_by(
        lambda series: series.step, "first_byte"
    )
    assert run.histograms_by(lambda series: series.step).keys() == {"pay", "search"}


def test_cached_sums_of_a_range_are_those_of_its_seconds(writer, run, make_batch, monkeypatch):
    monkeypatch.setattr("doorbuster.records.request_reader.grain_s", lambda _: 5)
    writer.write([make_batch(0, {(second, "pay"): [1000 * second + 1] for second in range(20)})])
    fresh = {ends: run.histogram(seconds=ends) for ends in [(5, 10), (3, 9), (10, 99)]}
    assert run.histogram().n == 20
    assert fresh == {ends: run.histogram(seconds=ends) for ends in fresh}
    assert [found.n for found in fresh.values()] == [5, 6, 10]


def test_cached_sums_include_later_writes(writer, run, make_batch):
    writer.write([make_batch(0, {(0, "pay"): [1]})])
    assert run.histogram().n == 1
    writer.write([make_batch(1, {(1, "pay"): [2, 3]})])
    assert run.histogram().n == 3


def test_request_counts_cover_the_planned_time_and_anything_after_it(writer, run, make_batch):
    writer.write([make_batch(0, {(2, "pay"): [1, 2, 3]})])
    assert run.request_counts(lambda s: s.step)["pay"].tolist() == [0, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    assert run.request_counts(lambda s: s.step, 4)["pay"].tolist() == [3, 0, 0]
    writer.write([make_batch(1, {(12, "pay"): [1]})])
    assert len(run.request_counts(lambda s: s.step)["pay"]) == 13


def test_a_report_that_comes_twice_late_or_out_of_order_counts_once(writer, run, make_batch):
    first, second, third = (make_batch(seq, {(seq, "pay"): [seq + 1]}) for seq in range(3))
    other = make_batch(0, {(0, "pay"): [9]}, worker="w1", final=True)
    assert writer.write([third, other]) == 2
    assert (WorkerReports("w0", 1, 2, False), WorkerReports("w1", 1, 0, True)) == run.workers()
    assert writer.write([first, third, first]) == 1
    assert writer.write([other]) == 0
    assert writer.write([second]) == 1
    assert Histogram.from_values([1, 2, 3, 9]) == run.histogram()
    assert (WorkerReports("w0", 3, 0, False), WorkerReports("w1", 1, 0, True)) == run.workers()


def test_customers_of_all_workers_are_summed_and_unknown_stays_unknown(writer, run):
    served = CustomerCount(0, "web", "buy", "served", "", "", 1, 1, 2)
    sold_out = CustomerCount(0, "web", "buy", "served", "", "", 1, None, 1)
    writer.write([Batch("w0", 0, customers=(served, sold_out)), Batch("w1", 0, customers=(served,))])
    assert (sold_out, served._replace(n=4)) == run.customers()


def test_arrivals_stand_beside_the_plan_second_by_second(writer, run):
    counts = (ArrivalCount(0, "web", 1, 1), ArrivalCount(2, "web", 3, 0), ArrivalCount(4, "store", 5, 0))
    writer.write([Batch("w0", 0, arrivals=counts), Batch("w1", 0, arrivals=counts[2:])])
    found = run.arrivals()
    assert PLAN["web"].tolist() == found["web"].planned.tolist()
    assert found["web"].started.tolist() == [1, 0, 3, 0, 0, 0, 0, 0, 0, 0]
    assert found["web"].dropped.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    assert (found["store"].planned.sum(), found["store"].started[4]) == (0, 10)


def test_every_planned_arrival_is_an_outcome_or_in_flight(writer, run):
    outcomes = ("served", "abandoned", "turned_away", "queued_out", "dropped")
    assert 6 == run.outcome_totals().planned == run.outcome_totals().in_flight_or_missing
    customers = tuple(CustomerCount(0, "web", "buy", name, "", "", 1, 1, 1) for name in outcomes)
    till = CustomerCount(1, "store", "pos_sale", "served", "", "", 1, 1, 7)
    writer.write([Batch("w0", 0, customers=(*customers, till), arrivals=(ArrivalCount(1, "store", 8, 0),))])
    each = dict.fromkeys(Outcome, 1)
    assert {
        "web": OutcomeTotals(6, each),
        "store": OutcomeTotals(8, {"served": 7}),
    } == run.outcome_totals_by_channel()
    total = run.outcome_totals()
    assert OutcomeTotals(14, {**each, "served": 8}) == total
    assert 2 == total.in_flight_or_missing == total.planned - total.accounted


def test_outcomes_without_an_arrival_show_as_a_negative_remainder(writer, run):
    writer.write([Batch("w0", 0, customers=(CustomerCount(0, "app", "buy", "served", "", "", 1, 1, 2),))])
    assert run.outcome_totals_by_channel()["app"].in_flight_or_missing == -2


ATTEMPT = OrderAttempt("r1:1", "web", "buy", 0.25, 1.5, "acknowledged", "", "A1", 700, (("s1", 2, 350),))
LEDGER = Ledger(
    (
        LedgerOrder(
            "A1", "r1:1", "web", 700, 0.75, 30.5, (LedgerLine("s1", 1, 350), LedgerLine("s1", 1, 350))
        ),
        LedgerOrder("A2", "", "phone", 0, 0.5, None, ()),
    ),
    (LedgerStock("s1", 10, 8, 2), LedgerStock("s2", 1, 1, 0)),
    60.5,
)


def test_orders_and_the_ledger_come_back_as_they_were(writer, run):
    assert (run.ledger(), run.audit()) == (None, None)
    writer.write([Batch("w0", 0, orders=(ATTEMPT,))])
    writer.write_ledger(LEDGER)
    writer.write_ledger(LEDGER)
    assert run.orders() == (ATTEMPT,)
    assert run.ledger() == LEDGER
    found = run.audit()
    assert found is not None
    assert (found.clean, found.booked, found.foreign) == (True, 1, 1)


def test_health_lateness_and_events_come_back(writer, run):
    seconds = [HealthSecond(s, 0.5, 1.25, 40, 3, 1, 10**8, pack([s + 1, 2000])) for s in (1, 0)]
    event = Event(1.5, "worker_lost", "w1 fell silent")
    writer.write(
        [Batch("w0", 0, health=tuple(seconds), events=(event,)), Batch("w1", 0, health=(seconds[0],))]
    )
    writer.record_event(Event(0.5, "start", "first customer"))
    assert {"w0": (seconds[1], seconds[0]), "w1": (seconds[0],)} == run.health()
    assert Histogram.from_values([1, 2, 2, 2000, 2000, 2000]) == run.lateness()
    assert (Event(0.5, "start", "first customer"), event) == run.events()


def test_only_the_slowest_requests_of_each_series_are_kept(writer, run):
    rng = random.Random(5)
    times_us = [rng.randrange(10**6) for _ in range(300)]
    for seq, start in enumerate(range(0, 300, 10)):
        slow = [Exemplar("slow", 0, PAY, us, f"id{us}", "") for us in times_us[start : start + 10]]
        writer.write(
            [Batch("w0", seq, exemplars=(*slow, Exemplar("slow", 0, PAY._replace(step="x"), 1, "", "")))]
        )
    expected = sorted(times_us, reverse=True)[:SLOWEST_PER_SERIES]
    assert expected == [e.response_us for e in run.exemplars() if e.series == PAY]
    assert sum(e.series != PAY for e in run.exemplars()) == SLOWEST_PER_SERIES
    writer.finish("finished")
    assert expected == [e.response_us for e in run.exemplars() if e.series == PAY]
    assert len(run._select("SELECT * FROM exemplars")) == 2 * SLOWEST_PER_SERIES


def test_the_first_distinct_errors_of_each_series_are_kept(writer, run):
    failed = PAY._replace(outcome="failed", cause="status_5xx")
    details = ["502", "502", "503", "502", "504", "505"]
    errors = [Exemplar("error", s, failed, 9 - s, f"id{s}", text) for s, text in enumerate(details)]
    writer.write([Batch("w0", 0, exemplars=tuple(errors))])
    assert [e.detail for e in run.exemplars()] == ["502", "503", "504"]
    assert [e.request_id for e in run.exemplars()] == ["id0", "id2", "id4"]


def test_seconds_in_which_nobody_came_since_the_run_was_ended_are_not_recorded_ones(writer, run):
    arrivals = (ArrivalCount(2, "web", 3, 0), ArrivalCount(3, "web", 1, 2), ArrivalCount(74, "web", 0, 5))
    writer.write([Batch("w0", 0, arrivals=arrivals)])
    assert run.recorded_s == 4


def test_an_empty_run_answers_every_question_with_nothing(run):
    assert (run.recorded_s, run.series, run.customers(), run.orders()) == (0, (), (), ())
    assert (run.exemplars(), run.workers(), run.health()) == ((), (), {})
    assert 0 == run.histogram().n == run.lateness().n
    assert {} == run.histograms_by(lambda s: s.step, bucket_s=1) == run.request_counts(lambda s: s.step)


def test_a_second_that_a_worker_skipped_has_the_customers_of_the_next_one(writer: RunWriter, run: Run):
    row = HealthSecond(0, 0.1, 1.0, 4, 0, 0, 0, b"")
    two = (row, row._replace(second=3, in_flight=10))
    writer.write([Batch("w0", 0, health=two), Batch("w1", 0, health=(row._replace(second=1, in_flight=1),))])
    assert run.customers_in_shop().tolist() == [5, 11, 10, 10]


def test_a_batch_survives_the_wire():
    import msgpack

    batch = Batch(
        "w0", 3, True, orders=(ATTEMPT,), events=(Event(1.0, "k", "t"),),
        exemplars=(Exemplar("slow", 0, PAY, 5, "id", ""),),
    )  # fmt: skip
    assert batch == Batch.from_wire(msgpack.unpackb(msgpack.packb(batch.to_wire())))


@pytest.fixture
def long_run(writer, make_batch, monkeypatch):
    """A finished run whose sums are kept in the file, as those of a long one are."""
    monkeypatch.setattr("doorbuster.records.request_reader.grain_s", lambda _: 60)
    rng = random.Random(1)
    for seq in range(5):
        places = {
            (seq * 40 + n, rng.choice("abc")): [int(rng.lognormvariate(9, 2))] * (n % 4 + 1)
            for n in range(40)
        }
        writer.write([make_batch(seq, places)])
    writer.finish("finished")
    return writer.path


def questions(run: Run) -> list[object]:
    """Everything that sums can answer."""
    return [
        *(run.histograms_by(lambda series: series, kind) for kind in ("response", "service", "first_byte")),
        run.histograms_by(lambda _: True, "response", 120),
        {
            step: counts.tolist()
            for step, counts in run.request_counts(lambda series: series.step, 60).items()
        },
    ]


def test_sums_in_the_file_answer_what_the_requests_answer(long_run, monkeypatch):
    with Run.open(long_run) as summed, Run.open(long_run) as counted:
        with monkeypatch.context() as patched:
            patched.setattr("doorbuster.records.request_reader.read_rollups", lambda *_: None)
            expected = questions(counted)
        monkeypatch.setattr(Run, "roll_up", lambda _: pytest.fail("the requests were read"))
        assert expected == questions(summed)


def test_sums_that_do_not_cover_all_requests_are_passed_over(long_run):
    with contextlib.closing(sqlite3.connect(long_run)) as db:
        before = db.execute("SELECT sum(n) FROM requests").fetchone()[0]
        db.execute("INSERT INTO requests SELECT * FROM requests LIMIT 1")
        (more,) = db.execute("SELECT n FROM requests LIMIT 1").fetchone()
        db.commit()
    with Run.open(long_run) as run:
        assert before + more == run.histogram().n


def test_sums_read_with_plain_sql_count_every_request(long_run):
    with contextlib.closing(sqlite3.connect(long_run)) as db:
        requests = db.execute(
            "SELECT series, sum(n) FROM requests GROUP BY series ORDER BY series"
        ).fetchall()
        for kind in ("response", "service", "first_byte"):
            assert (
                requests
                == db.execute(
                    "SELECT series, sum(n) FROM request_rollups WHERE kind = ? GROUP BY 1 ORDER BY 1",
                    [kind],
                ).fetchall()
            )


def test_a_short_run_has_no_sums_in_its_file(writer, make_batch):
    writer.write([make_batch(0, {(0, "pay"): [1]})])
    writer.finish("finished")
    with contextlib.closing(sqlite3.connect(writer.path)) as db:
        assert db.execute("SELECT count(*) FROM request_rollups").fetchone() == (0,)
