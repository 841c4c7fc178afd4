"""The recorder: what goes in comes out once, in the right second, in the right series."""

from __future__ import annotations

import numpy as np

from doorbuster.load.recorder import FIRST_ERRORS, Recorder, StepSample
from doorbuster.records.batch import Batch, HealthSecond, SeriesKey
from doorbuster.records.histogram import bin_index, unpack

OK = SeriesKey("web", "buy", "checkout", "ok", "")
FAILED = SeriesKey("web", "buy", "checkout", "failed", "status_5xx")
HEALTH = HealthSecond(3, 0.2, 1.0, 5, 2, 0, 1000, b"")


def sample(response_us: int, *, detail: str = "") -> StepSample:
    return StepSample(
        response_us, response_us - 10, response_us - 20, 10, 100, 2000, f"id-{response_us}", detail
    )


def test_steps_of_one_second_and_series_become_one_histogram():
    recorder = Recorder("w")
    for us in (1_000, 1_000, 250_000):
        recorder.step(7, OK, sample(us))
    recorder.step(8, OK, sample(5_000))
    (seventh, eighth) = recorder.take(None).requests
    packed = unpack(seventh.response)
    assert seventh[:5] == (7, OK, 3, 300, 6_000)
    assert dict(zip(bin_index(np.array([1_000, 250_000])).tolist(), (2, 1), strict=True)) == dict(
        zip(packed.bins.tolist(), packed.counts.tolist(), strict=True)
    )
    assert (eighth.second, eighth.n) == (8, 1)


def test_a_batch_is_handed_over_once_and_numbered_without_gaps():
    recorder = Recorder("w")
    recorder.step(0, OK, sample(1_000))
    recorder.customer((0, "web", "buy", "served", "", "", 1, 1))
    first, second = recorder.take(HEALTH), recorder.take(HEALTH, final=True)
    assert [first.seq, second.seq] == [0, 1]
    assert len(first.requests) == 1
    assert () == second.requests == second.customers
    assert second.final


def test_customers_who_left_alike_are_counted_together():
    recorder = Recorder("w")
    for _ in range(3):
        recorder.customer((0, "web", "buy", "abandoned", "checkout", "patience", 1, 0))
    recorder.customer((0, "web", "buy", "served", "", "", 1, 1))
    assert {("abandoned", 3), ("served", 1)} == {
        (row.outcome, row.n) for row in recorder.take(None).customers
    }


def test_lateness_of_steps_and_arrivals_ends_up_in_the_health_of_the_second():
    recorder = Recorder("w")
    recorder.step(0, OK, sample(1_000))
    recorder.lateness(900)
    (health,) = recorder.take(HEALTH).health
    assert unpack(health.lateness).counts.sum() == 2


def test_only_the_first_errors_of_a_kind_are_kept_as_examples():
    recorder = Recorder("w")
    for number in range(FIRST_ERRORS + 5):
        recorder.step(0, FAILED, sample(1_000 + number, detail="boom"))
    errors = [row for row in recorder.take(None).exemplars if row.kind == "error"]
    assert len(errors) == FIRST_ERRORS
    assert errors[0].detail == "boom"


def test_a_batch_survives_the_wire():
    import msgpack

    recorder = Recorder("w")
    recorder.step(0, FAILED, sample(1_000, detail="ü"))
    recorder.customer((0, "web", "buy", "dropped", "", "interrupted", None, None))
    recorder.started(0, "web")
    batch = recorder.take(HEALTH, final=True)
    assert batch == Batch.from_wire(msgpack.unpackb(msgpack.packb(batch.to_wire()), raw=False))
