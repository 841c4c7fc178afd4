"""The recorder: every observation is in one batch, in the right second and series."""

from __future__ import annotations

import numpy as np

from doorbuster.load.recording.recorder import FIRST_ERRORS, Recorder
from doorbuster.records.batch import Batch, HealthSecond, SeriesKey
from doorbuster.records.histogram import bin_index, pack, unpack

OK = SeriesKey("web", "buy", "checkout", "ok", "")
FAILED = SeriesKey("web", "buy", "checkout", "failed", "status_5xx")
HEALTH = HealthSecond(3, 0.2, 1.0, 5, 2, 0, 1000, b"")


def recorder_with(*rows: tuple[SeriesKey, float, float]) -> Recorder:
    """A recorder with zero 100.0 and steps of (series, intended start, response time), each 10 us late."""
    recorder = Recorder("w", started_at=100.0)
    for key, intended_s, response_s in rows:
        add(recorder, key, intended_s, response_s)
    return recorder


def add(recorder: Recorder, key: SeriesKey, intended_s: float, response_s: float, detail: str = "") -> None:
    at = 100.0 + intended_s
    row = (recorder.series_number(key), at, at + 10e-6, at + response_s / 2, at + response_s, 100, 2000,
           f"id-{response_s:g}")  # fmt: skip
    recorder.steps.append(row)
    if detail:
        recorder.failure(row, detail, "http://127.0.0.1/pay?token=abc&n=1", 503)


def taken(recorder: Recorder, health: HealthSecond | None = None, *, final: bool = False) -> Batch:
    return recorder.take(recorder.take_steps(), health, final=final)


def counts_of(blob: bytes) -> dict[int, int]:
    packed = unpack(blob)
    return dict(zip(packed.bins.tolist(), packed.counts.tolist(), strict=True))


def test_steps_of_one_second_and_series_become_one_histogram():
    recorder = recorder_with((OK, 7.2, 0.001), (OK, 7.9, 0.001), (OK, 7.5, 0.25), (OK, 8.0, 0.005))
    (seventh, eighth) = taken(recorder).requests
    assert seventh[:5] == (7, OK, 3, 300, 6_000)
    assert counts_of(seventh.response) == {int(bin_index([1_000])[0]): 2, int(bin_index([250_000])[0]): 1}
    assert counts_of(seventh.service) == {int(bin_index([990])[0]): 2, int(bin_index([249_990])[0]): 1}
    assert counts_of(seventh.first_byte) == {490: 2, int(bin_index([124_990])[0]): 1}
    assert (eighth.second, eighth.n) == (8, 1)


def test_series_of_one_second_do_not_affect_each_other():
    """The oracle is `pack`, series by series; the recorder bins all of them in one call."""
    rng = np.random.default_rng(1)
    keys = [SeriesKey("web", "buy", step, "ok", "") for step in ("home", "search", "product")]
    rows = [
        (keys[rng.integers(3)], float(rng.uniform(0, 3)), float(rng.lognormal(-4, 2))) for _ in range(5_000)
    ]
    requests = taken(recorder_with(*rows)).requests
    assert len(requests) == 9
    for request in requests:
        own_us = [
            round((100.0 + at + s - (100.0 + at)) * 1e6)
            for key, at, s in rows
            if key == request.series and int(at) == request.second
        ]
        assert (request.n, request.response) == (len(own_us), pack(own_us))


def test_the_slowest_step_of_each_series_is_kept_with_its_request_id():
    recorder = recorder_with((OK, 1.0, 0.2), (OK, 2.0, 0.9), (OK, 3.0, 0.1), (FAILED, 1.0, 0.3))
    slow = [(row.series, row.second, row.request_id) for row in taken(recorder).exemplars]
    assert slow == [(OK, 2, "id-0.9"), (FAILED, 1, "id-0.3")]


def test_batches_are_numbered_without_gaps_and_contain_everything_once():
    recorder = recorder_with((OK, 0.0, 0.001))
    recorder.customer((0, "web", "buy", "served", "", "", 1, 1))
    first, second = taken(recorder, HEALTH), taken(recorder, HEALTH, final=True)
    assert [first.seq, second.seq] == [0, 1]
    assert len(first.requests) == 1
    assert () == second.requests == second.customers
    assert second.final


def test_a_step_that_ends_while_a_report_pauses_is_in_the_next_report():
    recorder = recorder_with(*[(OK, 0.5, 0.001)] * 5)
    pauses = iter([0.75])
    recorder._pause = lambda: [add(recorder, OK, at, 0.002) for at in pauses]
    assert [row.n for row in taken(recorder).requests] == [5]
    assert [row.n for row in taken(recorder).requests] == [1]


def test_a_report_has_the_steps_of_every_customer_that_left_in_it():
    """A customer that leaves during the pauses of a report is in it with its steps, or in the next one."""
    recorder = recorder_with(*[(OK, 0.5, 0.001)] * 5_000)
    left = iter(range(5))

    def one_leaves():
        for _ in left:
            add(recorder, OK, 0.6, 0.002)
            recorder.customer((0, "web", "buy", "served", "", "", 1, 1))
            return

    recorder._pause = one_leaves
    batches = [taken(recorder), taken(recorder)]
    requests = [sum(row.n for row in batch.requests) - 5_000 * (batch.seq == 0) for batch in batches]
    assert requests == [sum(row.n for row in batch.customers) for batch in batches]
    assert sum(requests) == 5


def test_customers_with_the_same_outcome_are_counted_together():
    recorder = recorder_with()
    for _ in range(3):
        recorder.customer((0, "web", "buy", "abandoned", "checkout", "patience", 1, 0))
    recorder.customer((0, "web", "buy", "served", "", "", 1, 1))
    assert {("abandoned", 3), ("served", 1)} == {(row.outcome, row.n) for row in taken(recorder).customers}


def test_lateness_of_steps_and_arrivals_is_in_the_health_of_the_second():
    recorder = recorder_with((OK, 0.0, 0.001))
    recorder.lateness(900)
    (health,) = taken(recorder, HEALTH).health
    assert counts_of(health.lateness) == {10: 1, 900: 1}


def test_only_the_first_errors_of_a_kind_are_kept_as_examples():
    recorder = recorder_with()
    for number in range(FIRST_ERRORS + 5):
        add(recorder, FAILED, 0.0, 0.001 + number / 1e6, "boom")
    errors = [row for row in taken(recorder).exemplars if row.kind == "error"]
    assert len(errors) == FIRST_ERRORS
    assert errors[0].detail == "boom"


def test_a_batch_is_the_same_after_encoding_and_decoding():
    import msgpack

    recorder = recorder_with()
    add(recorder, FAILED, 0.0, 0.001, "ü")
    recorder.customer((0, "web", "buy", "dropped", "", "interrupted", None, None))
    recorder.started(0, "web")
    batch = taken(recorder, HEALTH, final=True)
    assert batch == Batch.from_wire(msgpack.unpackb(msgpack.packb(batch.to_wire()), raw=False))


def test_the_url_of_a_failed_request_is_kept_without_its_secrets():
    recorder = recorder_with()
    add(recorder, FAILED, 0.0, 0.001, "busy")
    (error,) = [one for one in taken(recorder).exemplars if one.kind == "error"]
    assert (error.status, error.url) == (503, "http://127.0.0.1/pay?token=***&n=1")
