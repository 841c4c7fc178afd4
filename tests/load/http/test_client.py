"""What a locustfile asks of `self.client`: requests' interface, and one record per hop."""

from __future__ import annotations

import json
import threading

import gevent
import pytest

from doorbuster.load.http import Exchange, HttpClient, HttpSettings, RequestFailed, Timeouts


def test_an_answer_has_what_requests_users_expect(server, client):
    server.routes["/item?id=7"] = lambda peer: peer.answer(
        '{"name": "Tinsel é", "price": 3.5}'.encode(),
        "Content-Type: application/json",
        "X-Shop: one",
        "x-shop: two",
    )

    response = client.get("/item", params={"id": 7})

    assert response.status_code == 200
    assert response.ok
    assert bool(response)
    assert response.reason == "OK"
    assert response.json() == {"name": "Tinsel é", "price": 3.5}
    assert response.text == '{"name": "Tinsel é", "price": 3.5}'
    assert response.url == f"{server.url}/item?id=7"
    assert response.headers["content-TYPE"] == "application/json"
    assert response.headers["X-Shop"] == "one, two"
    assert response.headers.get_list("X-Shop") == ["one", "two"]
    assert response.headers.get("X-None") is None
    assert response.error is None
    assert response.history == []
    assert response.elapsed.total_seconds() > 0
    response.raise_for_status()


def test_the_times_of_a_record_are_in_order_and_a_reused_connection_costs_no_connect(
    server, client, recorder
):
    client.get("/a", name="A")
    client.get("/b")

    first, second = recorder.exchanges
    for exchange in recorder.exchanges:
        assert exchange.intended_at == exchange.started_at
        assert exchange.started_at < exchange.first_byte_at <= exchange.ended_at
    assert (first.name, first.method, first.url) == ("A", "GET", f"{server.url}/a")
    assert second.name == "/b"
    assert first.connect_s > 0
    assert (first.reused, second.reused) == (False, True)
    assert second.connect_s == 0
    assert second.pool_wait_s == 0
    assert (first.bytes_received, first.hop, first.detail) == (42, 0, "")
    assert first.bytes_sent > 60


def test_the_intended_start_is_kept_and_the_clock_is_the_callers(server):
    ticks = iter(range(100, 200))
    seen: list[Exchange] = []
    with HttpClient(server.url, on_exchange=seen.append, clock=lambda: float(next(ticks))) as client:
        client.get("/", intended_at=42.0)

    assert seen[0].intended_at == 42.0
    assert seen[0].started_at == 100.0
    assert seen[0].ended_at > seen[0].first_byte_at > 100.0


def test_a_client_without_base_url_needs_whole_urls(server, recorder):
    client = recorder.client("")
    assert client.get(f"{server.url}/good").content == b"good"
    with pytest.raises(
        ValueError, match=r"^the URL must be absolute, or the client needs a base_url \(got '/x'\)$"
    ):
        client.get("/x")


def test_catch_response_lets_the_customer_decide_once(server, client, recorder):
    server.reply("/missing", b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone", close=False)

    with client.get("/missing", catch_response=True) as response:
        assert recorder.exchanges == []
        response.success()
    with client.get("/good", catch_response=True) as response:
        response.failure("no price on the page")
    with client.get("/missing", catch_response=True) as response:
        assert not response.ok
    with pytest.raises(KeyError), client.get("/good", catch_response=True):
        raise KeyError("price")
    client.get("/missing", catch_response=True)

    assert [(exchange.status, exchange.cause, exchange.detail) for exchange in recorder.exchanges] == [
        (404, "", ""),
        (200, "content", "no price on the page"),
        (404, "status_4xx", "gone"),
        (200, "content", "KeyError: 'price'"),
        (404, "status_4xx", "gone"),
    ]


def test_success_and_failure_without_catch_response_say_what_is_missing(client):
    response = client.get("/good")
    with pytest.raises(ValueError, match=r"^success\(\) needs catch_response=True and a with block$"):
        response.success()
    with pytest.raises(ValueError, match=r"^failure\('x'\) needs catch_response=True and a with block$"):
        response.failure("x")


def test_the_block_of_catch_response_is_not_part_of_the_time(server, client, recorder):
    with client.get("/good", catch_response=True) as response:
        ended_at = response.exchange.ended_at
        gevent.sleep(0.01)
    assert recorder.exchanges[0].ended_at == ended_at


def test_a_stream_arrives_in_pieces_and_its_connection_serves_again(server, client, recorder):
    taken = threading.Event()

    def script(peer):
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        taken.wait(5)
        peer.send(b"6\r\nsecond\r\n0\r\n\r\n")

    server.routes["/stream"] = script

    with client.get("/stream", stream=True, catch_response=True) as response:
        pieces = response.iter_content()
        assert next(pieces) == b"first"
        taken.set()
        assert b"".join(pieces) == b"second"

    assert recorder.exchanges[0].bytes_received == 47 + 10 + 16
    assert client.get("/good").content == b"good"
    assert client.connections_opened == 1


def test_a_stream_left_unread_never_poisons_the_next_answer(server, client, recorder):
    def script(peer):
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
        peer.wait_until_client_leaves()

    server.routes["/stream"] = script

    with client.get("/stream", stream=True) as response:
        assert response.status_code == 200
    assert client.get("/good").content == b"good"
    client.get("/stream", stream=True)
    assert client.get("/good").content == b"good"
    assert client.connections_opened == 3
    assert recorder.causes == ["", "", "", ""]


def test_a_stream_that_breaks_off_raises_where_it_is_read(server, client, recorder):
    server.reply("/cut", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")

    response = client.get("/cut", stream=True)
    with pytest.raises(RequestFailed, match=r"^closed_early: closed in the body$"):
        list(response.iter_content())
    with (
        pytest.raises(RequestFailed, match=r"^closed_early"),
        client.get("/cut", stream=True, catch_response=True) as caught,
    ):
        list(caught.iter_content())

    assert recorder.causes == ["", "closed_early"]


def test_lines_of_a_stream_come_whole(server, client):
    server.routes["/lines"] = lambda peer: peer.answer(b"one\r\ntwo\n\nfour")
    assert list(client.get("/lines", stream=True).iter_lines()) == [b"one", b"two", b"", b"four"]


def test_a_page_is_fetched_over_six_connections_and_waiting_is_recorded(server, client, recorder):
    barrier = threading.Barrier(6)

    def script(peer):
        barrier.wait(5)
        peer.answer(peer.request.path.encode())

    paths = [f"/asset{number}" for number in range(12)]
    for path in paths:
        server.routes[path] = script

    responses = client.get_all(paths, name="asset", intended_at=1.0)

    assert [response.text for response in responses] == paths
    assert (client.connections_opened, server.connections) == (6, 6)
    waited = sorted(exchange.pool_wait_s > 0 for exchange in recorder.exchanges)
    assert waited == [False] * 6 + [True] * 6
    assert {(exchange.name, exchange.intended_at) for exchange in recorder.exchanges} == {("asset", 1.0)}


def test_get_all_takes_options_per_request_and_raises_mistakes(server, client):
    first, second = client.get_all(["/good", {"url": "/in", "method": "POST", "json": {"a": 1}}])
    assert (first.content, server.last("/in").body) == (b"good", b'{"a":1}')
    assert second.ok
    with pytest.raises(ValueError, match="the scheme must be"):
        client.get_all(["/good", "ftp://x/"])


def test_a_killed_greenlet_and_a_foreign_timeout_pass_through_and_close_the_connection(
    server, client, recorder
):
    arrived = threading.Event()
    left = threading.Semaphore(0)

    def script(peer):
        arrived.set()
        peer.wait_until_client_leaves()
        left.release()

    server.routes["/hang"] = script
    customer = gevent.spawn(client.get, "/hang")
    while not arrived.is_set():
        gevent.sleep(0.001)
    customer.kill()
    assert isinstance(customer.value, gevent.GreenletExit)
    assert left.acquire(timeout=5)

    with pytest.raises(gevent.Timeout) as caught, gevent.Timeout(0.05):
        client.get("/hang")
    assert not isinstance(caught.value, RequestFailed)
    assert left.acquire(timeout=5)

    assert recorder.exchanges == []
    assert client.get("/good").content == b"good"


def test_a_killed_page_kills_its_requests(server, client):
    arrived = threading.Semaphore(0)
    left = threading.Semaphore(0)

    def script(peer):
        arrived.release()
        peer.wait_until_client_leaves()
        left.release()

    for path in ("/a", "/b", "/c"):
        server.routes[path] = script
    customer = gevent.spawn(client.get_all, ["/a", "/b", "/c"])
    for _ in range(3):
        while not arrived.acquire(blocking=False):
            gevent.sleep(0.001)
    customer.kill()

    assert all(left.acquire(timeout=5) for _ in range(3))


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120.0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0), ("soon", None)]
)
def test_retry_after_and_server_timing_are_recorded(value, seconds, server, client, recorder):
    server.routes["/busy"] = lambda peer: peer.answer(
        b"",
        f"Retry-After: {value}",
        "Server-Timing: db;dur=53",
        "server-timing: app;dur=47.2",
        status="503 Busy",
    )
    client.get("/busy")

    assert recorder.exchanges[0].retry_after_s == seconds
    assert recorder.exchanges[0].server_timing == "db;dur=53, app;dur=47.2"


def test_names_can_be_given_for_a_block(client, recorder):
    with client.rename_request("search"):
        client.get("/s?q=1")
        client.get("/s?q=2", name="own")
    client.get("/s?q=3")
    assert [exchange.name for exchange in recorder.exchanges] == ["search", "own", "/s?q=3"]


def test_timeouts_are_a_total_a_pair_or_a_value(server, client, recorder):
    done = threading.Event()
    server.routes["/hang"] = lambda peer: done.wait(5)

    client.get("/hang", timeout=0.05)
    client.get("/hang", timeout=(1.0, 0.05))
    client.get("/hang", timeout=Timeouts(first_byte_s=None, total_s=0.05))
    done.set()

    assert recorder.causes == ["total_timeout", "first_byte_timeout", "total_timeout"]


def test_a_total_timeout_covers_waiting_for_a_connection(server, recorder):
    client = recorder.client(server.url, connections_per_host=1)
    done = threading.Event()
    server.routes["/hang"] = lambda peer: (done.wait(5), peer.answer(b"late"))

    first = gevent.spawn(client.get, "/hang")
    gevent.sleep(0)
    client.get("/good", timeout=0.05)
    done.set()

    assert first.get().text == "late"
    assert recorder.causes == ["total_timeout", ""]
    assert recorder.exchanges[0].pool_wait_s >= 0.05
    assert client.get("/good").content == b"good"


@pytest.mark.parametrize(
    ("content_type", "encoding", "text"),
    [
        ("text/html; charset=ISO-8859-1", None, "Ã©"),
        ("text/html", None, "é"),
        ("text/html; charset=nonsense", None, "é"),
        ("text/html", "latin-1", "Ã©"),
    ],
)
def test_text_uses_the_charset_that_is_named(content_type, encoding, text, server, client):
    server.routes["/text"] = lambda peer: peer.answer("é".encode(), f"Content-Type: {content_type}")
    response = client.get("/text")
    response.encoding = encoding
    assert response.text == text


def test_json_that_is_none_is_the_usual_error(client):
    with pytest.raises(json.JSONDecodeError):
        client.get("/good").json()


def test_raise_for_status_raises_for_every_failure(server, client):
    server.reply("/missing", b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", close=False)
    server.reply("/broken", b"")
    with pytest.raises(RequestFailed, match=r"^status_4xx: 404 Not Found$"):
        client.get("/missing").raise_for_status()
    with pytest.raises(RequestFailed, match=r"^closed_early: closed before any byte of the answer$"):
        client.get("/broken").raise_for_status()


def test_settings_out_of_range_are_named():
    with pytest.raises(ValueError, match=r"^connections_per_host must be >= 1 \(got 0\)$"):
        HttpSettings(connections_per_host=0)
