"""WebSocket steps against a real server: one record for each, with time, bytes and cause."""

from __future__ import annotations

import os
import time

import gevent
import pytest

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.allowed_hosts import AllowedHosts
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.protocols import WebSocket
from doorbuster.storefronts import Rejected


def causes(client):
    return [exchange.cause for exchange in client.step.exchanges]


def test_connect_and_request_are_records_with_their_times(client):
    with WebSocket(client, "/socket") as socket:
        assert socket.request("slow") == "at last"
    connect, request = client.step.exchanges
    assert (connect.name, connect.cause, request.name, request.cause) == ("watch", "", "watch", "")
    assert connect.connect_s > 0 == request.connect_s
    assert 0.1 <= request.ended_at - request.started_at < 0.3
    assert connect.bytes_sent > 100
    assert (connect.protocol, request.protocol) == ("WebSocket", "")
    assert 0 < request.bytes_received < 60


def test_texts_bytes_and_objects(client):
    with WebSocket(client, "/socket") as socket:
        assert socket.request("héllo") == "héllo"
        assert socket.request(b"\x00\x01") == b"\x01\x00"
        assert socket.request({"type": "subscribe"}) == '{"type":"subscribe"}'
        assert len(socket.request("y" * 200_000)) == 200_000


def test_it_waits_for_the_wanted_message(client):
    with WebSocket(client, "/socket") as socket:
        assert socket.request("noise", lambda message: message == "signal") == "signal"
        socket.send("later")
        assert socket.wait_for() == "later"
    assert causes(client) == ["", "", ""]


def test_pings_are_answered_while_it_waits(client, stream_server):
    with WebSocket(client, "/socket") as socket:
        assert socket.request("ping") == "pinged"
        assert socket.request("still there") == "still there"


def test_pings_are_answered_while_the_customer_thinks(client):
    """aiohttp closes when a pong is missing for half of the heartbeat."""
    with WebSocket(client, "/socket?heartbeat_s=0.1") as socket:
        gevent.sleep(0.5)
        assert socket.request("still there") == "still there"
    assert causes(client) == ["", ""]


def test_messages_that_arrive_during_a_think_time_are_kept(client):
    with WebSocket(client, "/socket") as socket:
        socket.send("noise")
        gevent.sleep(0.1)
        assert [socket.wait_for() for _ in range(6)] == [*(f"noise {n}" for n in range(5)), "signal"]


def test_an_end_during_a_think_time_fails_the_next_request(client):
    with WebSocket(client, "/socket") as socket:
        socket.send("close soon")
        gevent.sleep(0.2)
        with pytest.raises(Rejected, match="1011 internal error: out of stock"):
            socket.request("anybody there?")
        socket.connect()
        assert socket.request("again") == "again"
    assert causes(client) == ["", "closed_early", "", ""]


def test_what_the_customer_forgets_to_close_is_closed_with_its_client(client):
    socket = WebSocket(client, "/socket")
    socket.connect()
    descriptor = socket._live._connection.socket.fileno()
    client.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    socket.close()
    with pytest.raises(Rejected, match="closed"):
        socket.send("anybody there?")


def test_a_connection_that_is_not_open_fails_at_once(client):
    socket = WebSocket(client, "/socket")
    began_at = time.perf_counter()
    for use in (socket.wait_for, lambda: socket.request("hello"), lambda: socket.send("hello")):
        with pytest.raises(Rejected, match="closed"):
            use()
    assert time.perf_counter() - began_at < 1
    assert causes(client) == ["closed", "closed"]


def test_subprotocol_headers_and_cookies(client, stream_server):
    client.cookies.set("basket", "17", domain="127.0.0.1", path="/")
    with WebSocket(client, "/socket", subprotocols=["other", "queue"], headers={"X-Queue": "5"}) as socket:
        assert socket.subprotocol == "queue"
    (head, *_) = stream_server.seen
    assert (head["X-Queue"], head["X-Shop"], head["User-Agent"]) == ("5", "yes", "doorbuster")
    assert head["Cookie"] == "basket=17"
    assert "permessage-deflate" in head["Sec-WebSocket-Extensions"]


def test_impatience_ends_the_request(client):
    with WebSocket(client, "/socket") as socket:
        client.step.deadline_at = time.perf_counter() + 0.2
        with pytest.raises(Rejected) as failed:
            socket.request("silence")
    assert failed.value.cause == "total_timeout"
    last = client.step.exchanges[-1]
    assert 0.19 <= last.ended_at - last.started_at < 0.4
    assert causes(client) == ["", "total_timeout"]


@pytest.mark.parametrize(("word", "expected"), [
    ("close", {"closed_early"}), ("break", {"reset", "closed_early"}), ("large", {"too_large"}),
])  # fmt: skip
def test_the_server_ends_it(client, word, expected):
    with WebSocket(client, "/socket") as socket:
        with pytest.raises(Rejected) as failed:
            socket.request(word)
        assert {failed.value.cause} <= expected
        with pytest.raises(Rejected, match="closed"):
            socket.send("anybody there?")
    assert causes(client) == ["", failed.value.cause]


@pytest.mark.parametrize(("path", "cause"), [
    ("/refused", "status_5xx"), ("/nothing", "status_4xx"), ("ws://127.0.0.1:1/", "connect_refused"),
])  # fmt: skip
def test_a_refused_connection_is_recorded(client, path, cause):
    with pytest.raises(Rejected) as failed:
        WebSocket(client, path).connect()
    assert failed.value.cause == cause
    assert causes(client) == [cause]


def test_an_answer_that_is_not_an_upgrade_is_a_failure(client):
    with pytest.raises(Rejected):
        WebSocket(client, "/page").connect()
    assert causes(client)[0]


def test_it_connects_only_to_allowed_hosts(stream_server):
    step = CurrentStep()
    hosts = AllowedHosts({"shop.example.com": ("10.0.0.1/32",)}, loopback=False)
    client = HttpClient(stream_server.url, settings=HttpSettings(hosts=hosts), step=step)
    with pytest.raises(Rejected) as failed:
        WebSocket(client, "/socket").connect()
    assert failed.value.cause == "host_not_allowed"
    assert stream_server.url


def test_two_connections_of_one_customer_do_not_mix(client):
    with WebSocket(client, "/socket") as first, WebSocket(client, "/socket") as second:
        first.send("one")
        second.send("two")
        assert (second.wait_for(), first.wait_for()) == ("two", "one")
