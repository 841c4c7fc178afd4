"""Receivers that are dead, slow or refuse: the stream never waits, and counts what is lost."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from streaming_ports import free_port

from doorbuster.errors import UsageError
from doorbuster.streaming import delivery as module
from doorbuster.streaming.delivery import Delivery
from doorbuster.streaming.destination import parse_destinations
from doorbuster.streaming.metric import MetricPoint, StreamedMetric, Update


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(module, "LAST_SEND_S", 0.1)


def numbered(number: int) -> Update:
    point = MetricPoint((), number)
    return Update(number, 0, (StreamedMetric("doorbuster_n_total", "counter", "", "number", (point,)),))


def started(text: str, **options) -> Delivery:
    (destination,) = parse_destinations([text])
    found = Delivery(destination.name, destination.make(), **options)
    found.start()
    return found


def finished(found: Delivery, *, within_s: float = 5.0):
    found.end(within_s=within_s)
    return found.finish()


def test_a_dead_receiver_costs_nothing_and_every_update_is_counted():
    found = started(f"otlp=http://127.0.0.1:{free_port()}", queue_updates=3)
    began_at = time.monotonic()
    for number in range(10):
        found.put(numbered(number))
    assert time.monotonic() - began_at < 0.5
    tally = finished(found, within_s=0.1)
    assert (tally.delivered, tally.lost) == (0, 10)
    assert tally.sentence.endswith(": 10 of 10 updates lost; first reason: Connection refused")


def test_a_receiver_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = started(f"otlp=http://127.0.0.1:{silent.getsockname()[1]}")
        found.put(numbered(1))
        began_at = time.monotonic()
        tally = finished(found, within_s=0.2)
        assert time.monotonic() - began_at < 2
    assert (tally.delivered, tally.lost) == (0, 1)


def test_an_update_is_sent_again_when_the_receiver_recovers(receiver):
    url, received = receiver(503, 429, 200)
    found = started(f"otlp={url}")
    for number in range(3):
        found.put(numbered(number))
    tally = finished(found)
    assert (tally.delivered, tally.lost) == (3, 0)
    assert received.bodies[0] == received.bodies[1] == received.bodies[2]
    assert len(received.bodies) == 5
    assert tally.sentence == f"otlp={url}: 3 updates sent, none lost"


def test_a_refused_update_is_lost_with_the_answer_made_harmless(receiver, monkeypatch):
    monkeypatch.setenv("DOORBUSTER_OTLP_TOKEN", "s3cret-token")
    url, received = receiver(400, 200, body=b"bad \x1b[31m token s3cret-token\n" + b"x" * 5000)
    found = started(f"otlp={url}")
    found.put(numbered(1))
    found.put(numbered(2))
    tally = finished(found)
    assert (tally.delivered, tally.lost) == (1, 1)
    assert tally.reason.startswith("status 400 (bad \ufffd[31m token ***")
    assert len(tally.reason) < 200
    assert received.headers[0]["Authorization"] == "Bearer s3cret-token"


@pytest.mark.parametrize(
    ("kind", "value", "sent"),
    [
        ("influxdb", "tok", "Token tok"),
        ("prometheus", "me:pass", "Basic bWU6cGFzcw=="),
        ("prometheus", "Custom abc", "Custom abc"),
    ],
)
def test_credentials_come_from_the_environment(receiver, monkeypatch, kind, value, sent):
    monkeypatch.setenv(f"DOORBUSTER_{kind.upper()}_TOKEN", value)
    url, received = receiver(204)
    found = started(f"{kind}={url}/write?db=shop")
    found.put(numbered(1))
    assert finished(found).delivered == 1
    assert received.headers[0]["Authorization"] == sent


def test_redirects_are_refused(receiver):
    url, received = receiver(307)
    found = started(f"otlp={url}")
    found.put(numbered(1))
    assert finished(found).reason == "status 307"
    assert len(received.bodies) == 1


def test_a_full_queue_loses_its_oldest_updates():
    sent, release = [], threading.Event()

    class Slow:
        def open(self):
            pass

        def send(self, update):
            release.wait(5)
            sent.append(update.at_unix_ns)

        def close(self):
            sent.append("closed")

    found = Delivery("slow", Slow(), queue_updates=2)
    found.start()
    for number in range(6):
        found.put(numbered(number))
    release.set()
    tally = finished(found)
    assert (tally.delivered, tally.lost) == (2, 4)
    assert sent[-3:] == [4, 5, "closed"]
    assert "slower than the updates" in tally.reason


def test_a_defect_of_an_output_is_counted_and_ends_nothing():
    class Broken:
        def open(self):
            pass

        def send(self, _):
            raise KeyError("x")

        def close(self):
            pass

    found = Delivery("broken", Broken())
    found.start()
    found.put(numbered(1))
    tally = finished(found)
    assert (tally.lost, tally.reason) == (1, "internal error, please report it: KeyError: 'x'")


def test_a_token_of_several_lines_is_refused_before_the_run(monkeypatch):
    monkeypatch.setenv("DOORBUSTER_OTLP_TOKEN", "abc\ndef")
    with pytest.raises(UsageError, match="DOORBUSTER_OTLP_TOKEN must be one line of printable characters"):
        started("otlp=http://127.0.0.1:1")
