"""The receivers of a command line."""

from __future__ import annotations

import pytest

from doorbuster.errors import UsageError
from doorbuster.streaming.destination import parse_destinations

GOOD = [
    "prometheus=http://127.0.0.1:9090/api/v1/write",
    "prometheus=https://prometheus.example.com/api/prom/push",
    "prometheus-native=http://127.0.0.1:9090/api/v1/write",
    "metrics=9464",
    "metrics=:9465",
    "metrics=0.0.0.0:9466",
    "otlp=http://[::1]:4318",
    "influxdb=http://127.0.0.1:8086?db=shop",
    "influxdb=https://eu.example.com/?org=me&bucket=peak",
    "statsd=127.0.0.1:8125",
    "dogstatsd=[::1]:8125",
    "jsonl=figures.jsonl",
]


def test_every_kind_is_read():
    assert [each.name for each in parse_destinations(GOOD)] == GOOD


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://127.0.0.1:9090", "must have the form KIND=URL, such as prometheus=http"),
        ("promtheus=http://127.0.0.1/x", 'has an unknown kind; did you mean "prometheus"?'),
        ("kafka=x", "choose from prometheus, prometheus-native, metrics, otlp, influxdb, statsd,"),
        ("jsonl=", "names no receiver; write jsonl=figures.jsonl"),
        ("jsonl=.", "is a folder; name a file"),
        ("jsonl=/dev/null", "is not a regular file"),
        ("prometheus=127.0.0.1:9090", "must be an http:// or https:// URL"),
        ("prometheus=http://127.0.0.1:9090", "must name the path for remote write"),
        ("prometheus=http://127.0.0.1:99999/w", "must be an http:// or https:// URL"),
        ("prometheus=http://127.0.0.1/w\r\nX: y", "must be an http:// or https:// URL"),
        ("prometheus=http://me:hunter2@127.0.0.1/w", "variable DOORBUSTER_PROMETHEUS_TOKEN"),
        ("influxdb=http://127.0.0.1:8086?db=a&u=me&p=hunter2", "variable DOORBUSTER_INFLUXDB_TOKEN"),
        ("otlp=http://127.0.0.1:4318?api_key=hunter2", "variable DOORBUSTER_OTLP_TOKEN"),
        ("influxdb=http://127.0.0.1:8086", "must name the database"),
        ("influxdb=http://127.0.0.1:8086?db=a&precision=s", "must not set another precision than ns"),
        ("metrics=localhost", "must be an address; write metrics=127.0.0.1:9464"),
        ("metrics=0", "must be an address"),
        ("statsd=udp://127.0.0.1:8125", "must be an address; write statsd=127.0.0.1:8125"),
    ],
)  # fmt: skip
def test_a_wrong_receiver_is_refused_with_the_way_out(text, message):
    with pytest.raises(UsageError) as refused:
        parse_destinations([text])
    assert message in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_all_problems_are_reported_at_once():
    with pytest.raises(UsageError) as refused:
        parse_destinations(["x", "jsonl=a", "jsonl=a", "metrics=x"])
    assert len(str(refused.value).splitlines()) == 3
