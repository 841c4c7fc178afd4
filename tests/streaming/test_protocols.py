"""The messages of each protocol."""

from __future__ import annotations

import json
import socket

import numpy as np
import pytest

from doorbuster.errors import UsageError
from doorbuster.records.histogram import Histogram
from doorbuster.streaming.metric import Distribution, MetricPoint, StreamedMetric, Update, labels
from doorbuster.streaming.outputs.influxdb import lines
from doorbuster.streaming.outputs.json_lines import JsonLines
from doorbuster.streaming.outputs.otlp import SCALE, export_request
from doorbuster.streaming.outputs.prometheus_endpoint import exposition
from doorbuster.streaming.outputs.prometheus_remote_write import WriteRequestEncoder
from doorbuster.streaming.outputs.statsd import MAX_DATAGRAM, MAX_TIMINGS, StatsD, StatsDEncoder, datagrams

HOSTILE = 'a "b"\\c,d=e f\ng'


def distribution(*times_us: int) -> Distribution:
    return Distribution(Histogram.from_values(times_us))


def counter(value: float, **names: str) -> StreamedMetric:
    return StreamedMetric(
        "doorbuster_orders_total", "counter", "", "orders", (MetricPoint(labels(**names), value),)
    )


def timer(found: Distribution, **names: str) -> StreamedMetric:
    point = MetricPoint(labels(**names), found)
    return StreamedMetric("doorbuster_response_time_seconds", "distribution", "seconds", "times", (point,))


def update(*metrics: StreamedMetric, events=()) -> Update:
    return Update(1_700_000_000_123_456_789, 1_700_000_000_000_000_000, metrics, events=events)


def exported(metric: StreamedMetric) -> dict:
    """The metric as OTLP has it."""
    (found,) = export_request(update(metric))["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    return found


def test_remote_write_is_the_protobuf_of_the_specification():
    found = WriteRequestEncoder().encode([counter(3.0, channel="web")], at_ms=300, with_metadata=False)
    name = b"\x0a\x23" + b"\x0a\x08__name__" + b"\x12\x17doorbuster_orders_total"
    channel = b"\x0a\x0e" + b"\x0a\x07channel" + b"\x12\x03web"
    sample = b"\x12\x0c" + b"\x09\x00\x00\x00\x00\x00\x00\x08\x40" + b"\x10\xac\x02"
    series = name + channel + sample
    assert found == b"\x0a" + bytes([len(series)]) + series


def test_remote_write_states_types_and_meanings():
    found = WriteRequestEncoder().encode([counter(3.0)], at_ms=300, with_metadata=True)
    metadata = b"\x08\x01" + b"\x12\x17doorbuster_orders_total" + b"\x22\x06orders"
    assert found.endswith(b"\x1a" + bytes([len(metadata)]) + metadata)


def test_the_metrics_page_escapes_labels_and_counts_buckets():
    text = exposition([timer(distribution(4000, 40_000, 90_000_000), step=HOSTILE)]).decode()
    assert text.splitlines()[:2] == [
        "# HELP doorbuster_response_time_seconds times",
        "# TYPE doorbuster_response_time_seconds histogram",
    ]
    step = r'step="a \"b\"\\c,d=e f\ng"'
    assert f'doorbuster_response_time_seconds_bucket{{le="0.005",{step}}} 1\n' in text
    assert f'doorbuster_response_time_seconds_bucket{{le="0.05",{step}}} 2\n' in text
    assert f'doorbuster_response_time_seconds_bucket{{le="60",{step}}} 2\n' in text
    assert f'doorbuster_response_time_seconds_bucket{{le="+Inf",{step}}} 3\n' in text
    assert f"doorbuster_response_time_seconds_count{{{step}}} 3\n" in text


def test_exponential_histograms_hold_every_duration_in_its_bucket():
    times = [0, 1, 7, 1000, 1_000_000, 2_000_000, 3_599_000_000]
    (metric,) = export_request(update(timer(distribution(*times))))["resourceMetrics"][0]["scopeMetrics"][0][
        "metrics"
    ]
    (point,) = metric["exponentialHistogram"]["dataPoints"]
    assert point["count"] == "7"
    assert point["zeroCount"] == "1"
    base = 2 ** (2**-SCALE)
    edges = []
    for index, n in enumerate(map(int, point["positive"]["bucketCounts"]), start=point["positive"]["offset"]):
        edges += [(base**index, base ** (index + 1))] * n
    for time_us, (low, high) in zip(times[1:], edges, strict=True):
        assert low * 0.999 <= time_us / 1e6 <= high * 1.001


def test_counters_of_otlp_are_cumulative_and_monotonic():
    (metric,) = export_request(update(counter(3, channel="web")))["resourceMetrics"][0]["scopeMetrics"][0][
        "metrics"
    ]
    assert metric["sum"] == {
        "aggregationTemporality": 2,
        "isMonotonic": True,
        "dataPoints": [
            {
                "attributes": [{"key": "channel", "value": {"stringValue": "web"}}],
                "startTimeUnixNano": "1700000000000000000",
                "timeUnixNano": "1700000000123456789",
                "asInt": "3",
            }
        ],
    }


def test_the_line_protocol_escapes_tags_and_states_quantiles_of_all_requests():
    quick, slow = distribution(*[1000] * 99), distribution(*[5_000_000] * 9)
    points = tuple(
        MetricPoint(labels(run_id="r", channel=channel), found)
        for channel, found in (("web", quick), (HOSTILE, slow))
    )
    metric = StreamedMetric("doorbuster_response_time_seconds", "distribution", "seconds", "times", points)
    found = list(lines(update(metric)))
    assert found[0].startswith("doorbuster_response_time_seconds,channel=web,run_id=r count=99i,sum=")
    assert any(r',channel=a\ "b"/c\,d\=e\ f\ g,run_id=r count=9i' in line for line in found)
    (total,) = [line for line in found if ",channel=all,run_id=r,step=all count=" in line]
    fields = dict(field.split("=") for field in total.split(" ")[1].split(","))
    assert fields["count"] == "108i"
    assert float(fields["p50"]) == pytest.approx(0.001)
    assert float(fields["p95"]) == pytest.approx(5.0, rel=1e-3)  # a mean of quantiles would say 2.5
    assert all(line.endswith(" 1700000000123456789\n") and line.count("\n") == 1 for line in found)


def test_statsd_sends_increases_and_single_times():
    encoder = StatsDEncoder(tags=False)
    first = list(encoder.lines([counter(3, channel="web", run_id="r"), timer(distribution(2000, 2000))]))
    assert first == [
        "doorbuster.orders_total.web:3|c",
        "doorbuster.response_time_seconds:2|ms",
        "doorbuster.response_time_seconds:2|ms",
    ]
    assert list(encoder.lines([counter(3, channel="web"), timer(distribution(2000, 2000, 500))])) == [
        "doorbuster.orders_total.web:3|c",  # another series: without the run_id
        "doorbuster.response_time_seconds:0.5|ms",
    ]


def test_dogstatsd_sends_tags_without_characters_that_separate():
    (line,) = StatsDEncoder(tags=True).lines([counter(3, channel="a|b#c:d,e", run_id="r")])
    assert line == "doorbuster.orders_total:3|c|#channel:a_b_c_d_e,run_id:r"


def test_many_times_are_sampled_and_say_so():
    found = list(StatsDEncoder(tags=False).lines([timer(distribution(*[1000] * 4 * MAX_TIMINGS))]))
    assert len(found) == MAX_TIMINGS
    assert set(found) == {"doorbuster.response_time_seconds:1|ms|@0.25"}


def test_datagrams_fit_into_a_frame_and_arrive():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        output = StatsD(*server.getsockname(), tags=False)
        output.send(update(timer(distribution(*range(1000, 200_000, 1000)))))
        output.close()
        got = []
        while sum(part.count(b"\n") + 1 for part in got) < 199:
            got.append(server.recv(65536))
    assert max(map(len, got)) <= MAX_DATAGRAM
    sent = sorted(float(line.split(b":")[1].split(b"|")[0]) for part in got for line in part.split(b"\n"))
    assert np.allclose(sent, range(1, 200), rtol=1e-3)


def test_a_line_longer_than_a_datagram_is_sent_alone():
    assert [len(part) for part in datagrams(["a" * 10, "b" * 2000, "c"])] == [10, 2000, 1]


def test_json_lines_are_flat_objects_without_secrets(tmp_path):
    output = JsonLines(tmp_path / "new" / "figures.jsonl")
    output.open()
    events = ((1.5, "fault", "Authorization: Bearer abcdefghijkl"),)
    output.send(
        update(counter(3, channel=HOSTILE), timer(distribution(1000, 3000), step="pay"), events=events)
    )
    output.close()
    event, orders, times = map(json.loads, (tmp_path / "new" / "figures.jsonl").read_text().splitlines())
    assert event == {
        "time": "2023-11-14T22:13:20.123+00:00",
        "event": "fault",
        "run_time_s": 1.5,
        "text": "Authorization: Bearer ***",
    }
    assert (orders["metric"], orders["channel"], orders["value"]) == ("doorbuster_orders_total", HOSTILE, 3)
    assert (times["n"], times["p50_s"], times["buckets"]["0.005"]) == (2, 0.001, 2)


def test_a_file_that_cannot_be_written_is_refused_before_the_run(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"jsonl=.*: cannot be written: "):
        JsonLines(tmp_path / "file" / "figures.jsonl").open()
