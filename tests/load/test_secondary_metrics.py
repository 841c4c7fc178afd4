"""Secondary metrics: counted once, in the right second; Server-Timing parsed by the W3C standard."""

from __future__ import annotations

import msgpack
import pytest

from doorbuster.load.exchange import Exchange
from doorbuster.load.recording.recorder import Recorder
from doorbuster.load.recording.secondary_metrics import (
    KEPT,
    MAX_ENTRIES,
    MORE_ENTRIES,
    SAMPLES,
    Entry,
    server_timing,
)
from doorbuster.records.batch import Batch, CounterSecond, HealthSecond, SeriesKey
from doorbuster.records.histogram import Histogram, pack

OK = SeriesKey("web", "buy", "checkout", "ok", "")
HEALTH = HealthSecond(3, 0.2, 1.0, 5, 2, 0, 1000, b"")


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder("w", started_at=100.0)
    recorder.series_number(OK)
    return recorder


def taken(recorder: Recorder) -> Batch:
    return recorder.take(recorder.take_steps(), HEALTH)


@pytest.mark.parametrize(
    ("header", "entries"),
    [
        ("db;dur=53", [("db", "", 53_000)]),
        ('db;dur=12.5;desc="3 queries", queue;dur=0', [("db", "", 12_500), ("queue", "", 0)]),
        ("cache;desc=HIT", [("cache", "HIT", None)]),
        ('cache;desc="hit, fresh; 3s";dur=2', [("cache", "", 2_000)]),
        ("missedCache", [("missedCache", "", None)]),
        ("a;DUR=1;dur=9", [("a", "", 1_000)]),
        ("a; dur = 1 , b", [("a", "", 1_000), ("b", "", None)]),
        ('a;desc="x\\"y"', [("a", 'x\\"y', None)]),
        ("a;dur=-1", [("a", "", None)]),
        ("a;dur=inf", [("a", "", None)]),
        ("a;dur=fast", [("a", "", None)]),
        ("", []),
    ],
)
def test_server_timing_headers_are_parsed_by_the_standard(header: str, entries: list[tuple]):
    assert [Entry(*entry) for entry in entries] == list(server_timing(header))


def test_counters_add_up_per_second_channel_and_name(recorder: Recorder):
    recorder.secondary_metrics.count(4, "web", "retries")
    recorder.secondary_metrics.count(4, "web", "retries", 2)
    recorder.secondary_metrics.count(5, "web", "retries")
    assert taken(recorder).counters == (
        CounterSecond(4, "web", "retries", 3),
        CounterSecond(5, "web", "retries", 1),
    )
    assert taken(recorder).counters == ()


def test_think_times_and_visit_durations_become_histograms(recorder: Recorder):
    recorder.secondary_metrics.think_time("web", 4.0)
    recorder.secondary_metrics.think_time("web", 0.001)
    recorder.secondary_metrics.visit_duration(7, "web", 30_000_000)
    batch = taken(recorder)
    (think,), (stay,) = batch.think_times, batch.visit_durations
    assert (think.second, think.channel, Histogram.from_blobs([think.durations]).n) == (3, "web", 2)
    assert Histogram.from_values([4_000_000, 1_000]) == Histogram.from_blobs([think.durations])
    assert (7, Histogram.from_values([30_000_000])) == (stay.second, Histogram.from_blobs([stay.durations]))


def test_connect_times_count_in_the_second_and_series_of_the_step(recorder: Recorder):
    recorder.secondary_metrics.connects += [(0, 107.9, 0.030), (0, 107.2, 0.020)]
    (row,) = taken(recorder).connect_times
    assert row == (7, OK, 2, 50_000, 30_000, pack([30_000, 20_000]))


def test_subsequent_requests_are_split_into_connecting_waiting_and_body(recorder: Recorder):
    def exchange(started_at: float, connect_s: float, first_byte_at: float, ended_at: float) -> Exchange:
        return Exchange(
            "GET", "home", "/", 200, "", started_at, started_at, connect_s, 0.0, first_byte_at, ended_at, 1,
            1, connect_s == 0, False, "id", "", None, "", 0,
        )  # fmt: skip

    first = exchange(107.5, 0.01, 107.6, 107.7)
    second, third = exchange(107.7, 0.02, 107.8, 107.9), exchange(107.9, 0, 108.1, 108.3)
    recorder.secondary_metrics.subsequent.append((0, 107.5, [first, second, third]))
    recorder.secondary_metrics.subsequent.append((0, 107.2, [first, exchange(107.7, 0, 107.75, 107.8)]))
    (row,) = taken(recorder).subsequent_requests
    assert row == (7, OK, 2, 3, 20_000, 330_000, 350_000, pack([600_000, 100_000]))


def test_in_a_busy_second_headers_are_sampled_and_weighted(recorder: Recorder):
    recorder.secondary_metrics.server_timings += [
        (0, 107.5, f"db;dur={position}") for position in range(10 * SAMPLES)
    ]
    (row,) = taken(recorder).server_timings
    read_us = [position * 1000 for position in range(0, 10 * SAMPLES, 10)]
    assert row == (7, OK, "db", "", SAMPLES, 10.0 * SAMPLES, 10.0 * sum(read_us), pack(read_us))


def test_after_a_busy_second_fewer_headers_are_kept(recorder: Recorder):
    recorder.secondary_metrics.server_timings += [(0, 107.5, "db;dur=1")] * (KEPT * 5)
    taken(recorder)
    assert recorder.secondary_metrics.stride == 5
    recorder.secondary_metrics.server_timings += [(0, 108.5, "db;dur=1")] * KEPT
    (row,) = taken(recorder).server_timings
    assert (row.n, row.weight, recorder.secondary_metrics.stride) == (SAMPLES, 5 * KEPT, 5)
    taken(recorder)
    assert recorder.secondary_metrics.stride == 1


def test_in_a_quiet_second_every_header_counts(recorder: Recorder):
    recorder.secondary_metrics.server_timings += [
        (0, 107.5, "cache;desc=HIT"),
        (0, 107.6, "cache;desc=MISS"),
        (0, 107.7, "cache;desc=HIT"),
    ]
    rows = {row.description: row for row in taken(recorder).server_timings}
    assert {description: row[4:7] for description, row in rows.items()} == {
        "HIT": (2, 2.0, 0.0),
        "MISS": (1, 1.0, 0.0),
    }


def test_server_timings_of_one_step_are_added_up(recorder: Recorder):
    recorder.secondary_metrics.server_timings.append((0, 107.5, "db;dur=2, queue;dur=1, db;dur=3"))
    rows = {row.entry: row for row in taken(recorder).server_timings}
    assert rows["db"][4:] == (1, 1.0, 5_000.0, pack([5_000]))


def test_the_number_of_distinct_entries_is_limited(recorder: Recorder):
    for second in range(MAX_ENTRIES):
        recorder.secondary_metrics.server_timings += [
            (0, 107.5, f"id-{second}-{answer};dur=1") for answer in range(SAMPLES)
        ]
        rows = taken(recorder).server_timings
    assert [row.entry for row in rows] == [MORE_ENTRIES]
    assert rows[0].n == SAMPLES


def test_secondary_metrics_are_the_same_after_encoding_and_decoding(recorder: Recorder):
    recorder.secondary_metrics.count(4, "web", "retries")
    recorder.secondary_metrics.think_time("web", 4.0)
    recorder.secondary_metrics.visit_duration(7, "web", 30_000_000)
    recorder.secondary_metrics.connects.append((0, 107.9, 0.030))
    recorder.secondary_metrics.server_timings.append((0, 107.5, "db;dur=2, cache;desc=HIT"))
    batch = taken(recorder)
    assert batch == Batch.from_wire(msgpack.unpackb(msgpack.packb(batch.to_wire()), raw=False))
