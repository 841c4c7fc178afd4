"""Steps over server-sent events against a real server: one record each, with time and cause."""

from __future__ import annotations

import time

import pytest

from doorbuster.load.exchange import RequestFailed
from doorbuster.load.protocols import event_stream
from doorbuster.storefronts import Rejected


def only(client):
    (exchange,) = client.step.exchanges
    return exchange


def test_the_step_ends_with_the_awaited_event(client):
    with event_stream(client, "/events?n=10&every_ms=30&then=silence") as stream:
        event = stream.wait_for(lambda event: event.json()["left"] == 7)
        assert (event.kind, event.id) == ("stock", "2")
    exchange = only(client)
    assert (exchange.cause, exchange.name, exchange.status) == ("", "watch", 200)
    assert 0.09 <= exchange.ended_at - exchange.started_at < 0.25  # three events, not ten
    assert exchange.first_byte_at < exchange.ended_at
    assert exchange.bytes_received > 100


def test_it_sends_what_event_streams_need(client, stream_server):
    with event_stream(client, "/events", last_event_id="41") as stream:
        assert [event.id for event in stream] == ["0", "1", "2"]
        assert stream.last_id == "2"
    (head,) = stream_server.seen
    assert head["Accept"] == "text/event-stream"
    assert head["Last-Event-ID"] == "41"
    assert head["X-Shop"] == "yes"
    assert only(client).cause == ""


def test_events_that_arrive_together_are_waited_for_one_after_the_other(client):
    with event_stream(client, "/events?n=4&every_ms=0") as stream:
        time.sleep(0.1)
        assert [(stream.wait_for().id, stream.last_id) for _ in range(3)] == [
            (str(n), str(n)) for n in range(3)
        ]


def test_a_compressed_stream_and_a_posted_one(client):
    with event_stream(client, "/events?gzip=1") as stream:
        assert stream.wait_for().json() == {"left": 9}
    with event_stream(client, "/events", method="POST", json={"query": "subscription"}) as stream:
        assert stream.wait_for().json() == {"left": 9}


def test_impatience_ends_the_stream(client):
    client.step.deadline_at = time.perf_counter() + 0.2
    with pytest.raises(RequestFailed) as failed, event_stream(client, "/events?then=silence") as stream:
        list(stream)
    assert failed.value.cause == "total_timeout"
    exchange = only(client)
    assert exchange.cause == "total_timeout"
    assert 0.19 <= exchange.ended_at - exchange.started_at < 0.4


def test_a_stream_that_breaks_is_a_failure(client):
    with pytest.raises(RequestFailed), event_stream(client, "/events?then=break") as stream:
        list(stream)
    assert only(client).cause in ("reset", "closed_early")


def test_a_stream_that_ends_too_early_is_a_failure(client):
    with pytest.raises(Rejected) as failed, event_stream(client, "/events?n=2") as stream:
        stream.wait_for(lambda event: event.kind == "sold_out")
    assert failed.value.cause == "stream_ended"
    assert only(client).cause == "content"


@pytest.mark.parametrize(("path", "cause", "recorded"), [
    ("/page", "not_an_event_stream", "content"), ("/refused", "status_5xx", "status_5xx"),
])  # fmt: skip
def test_another_answer_is_a_failure(client, path, cause, recorded):
    with pytest.raises(Rejected) as failed, event_stream(client, path):
        pytest.fail("no stream")
    assert failed.value.cause == cause
    assert only(client).cause == recorded


def test_a_dead_server_is_a_failure(client):
    with pytest.raises(Rejected) as failed, event_stream(client, "http://127.0.0.1:1/events"):
        pytest.fail("no stream")
    assert failed.value.cause == only(client).cause == "connect_refused"
