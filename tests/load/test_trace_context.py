"""Headers of traced requests: W3C Trace Context, the chosen share, and the exemplars that keep the id."""

from __future__ import annotations

import re

import pytest

from doorbuster.load.http.trace_context import trace_id_of, trace_lines
from doorbuster.load.recording.recorder import Recorder
from doorbuster.records.batch import SeriesKey


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
def test_the_chosen_share_of_requests_carries_a_trace(share):
    ids = [f"0a1b2c3d-{number:x}" for number in range(20_000)]

    chosen = [one for request in ids if (one := trace_id_of(request, share))]

    assert len(chosen) == pytest.approx(share * len(ids), rel=0.15)
    assert len(set(chosen)) == len(chosen)


def test_without_a_share_or_an_id_nothing_is_sent():
    assert trace_id_of("0a1b2c3d-1", 0.0) == ""
    assert trace_id_of("", 1.0) == ""


def test_the_header_is_that_of_the_recommendation():
    # version "-" trace-id "-" parent-id "-" trace-flags; neither id may be all zeros (W3C, section 3.2.2)
    trace_id = trace_id_of("0a1b2c3d-1", 1.0)
    traceparent, baggage = trace_lines(trace_id).decode().splitlines()

    assert re.fullmatch(r"traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent)
    assert traceparent.split("-")[1] == trace_id != "0" * 32
    assert baggage == "baggage: synthetic_request=true"


def test_exemplars_keep_the_trace_and_one_of_each_series_has_one():
    recorder = Recorder("w", started_at=0.0, trace_share=0.2)
    number = recorder.series_number(SeriesKey("web", "buy", "pay", "ok", ""))
    ids = [f"0a1b2c3d-{n:x}" for n in range(200)]
    for n, request_id in enumerate(ids):
        recorder.steps.append((number, 1.0, 1.0, 1.1, 1.2 + n / 1e3, 1, 1, request_id))

    found = recorder.take(recorder.take_steps(), None).exemplars

    slow, traced = found
    last_traced = next(one for one in reversed(ids) if trace_id_of(one, 0.2))
    assert (slow.kind, slow.request_id) == ("slow", ids[-1])
    assert (traced.kind, traced.request_id) == ("traced", last_traced)
    assert traced.trace_id == trace_id_of(last_traced, 0.2)
