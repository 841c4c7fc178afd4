"""A run as an HdrHistogram interval log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from doorbuster.records.export import export_hlog
from doorbuster.records.hdr_reading import read_hlog
from doorbuster.records.histogram import Histogram
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter


@pytest.fixture
def run(tmp_path: Path, make_meta, make_batch):
    with RunWriter.create(tmp_path, make_meta(), {}) as writer:
        writer.write([make_batch(0, {(0, "pay"): [1500, 90_000], (3, "pay"): [40], (3, "search"): [8]})])
        writer.write([make_batch(1, {(3, "pay"): [7_000_000]}, outcome="failed")])
        with Run.open(tmp_path) as open_run:
            yield open_run


def exported(run: Run, **options) -> dict[tuple[str, float, float], Histogram]:
    out = io.StringIO()
    lines, requests = export_hlog(run, out, **options)
    intervals = list(read_hlog(out.getvalue().splitlines()))
    assert lines == len(intervals)
    assert requests == sum(interval.content.histogram().n for interval in intervals)
    assert intervals == sorted(intervals, key=lambda interval: (interval.start_s, interval.tag))
    return {(i.tag, i.start_s, i.length_s): i.content.histogram() for i in intervals}


def test_each_step_and_outcome_has_its_tag_in_each_second(run: Run):
    assert exported(run) == {
        ("web.buy.pay", 0.0, 1.0): Histogram.from_values([1500, 90_000]),
        ("web.buy.pay", 3.0, 1.0): Histogram.from_values([40]),
        ("web.buy.pay.failed", 3.0, 1.0): Histogram.from_values([7_000_000]),
        ("web.buy.search", 3.0, 1.0): Histogram.from_values([8]),
    }


def test_intervals_tags_and_the_kind_of_time_can_be_chosen(run: Run):
    found = exported(run, kind="service", bucket_s=10, tag=lambda s: "all" if s.outcome == "ok" else None)
    assert found == {("all", 0.0, 10.0): Histogram.from_values([750, 45_000, 20, 4])}


def test_the_log_starts_when_the_run_did(run: Run):
    out = io.StringIO()
    export_hlog(run, out)
    assert "#[doorbuster run r1: response times in microseconds]" in out.getvalue()
    assert (
        "#[StartTime: 1700000000.000 (seconds since epoch), 2023-11-14T22:13:20.000+00:00]" in out.getvalue()
    )
