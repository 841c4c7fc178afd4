"""Servers that are away, silent or slow: every failure has its cause, and the client works on."""

from __future__ import annotations

import errno
import socket
import threading

OK = b"HTTP/1.1 200 OK\r\n"


def test_a_drip_meets_the_first_byte_or_the_total_timeout(server, client, recorder):
    done = threading.Event()

    def silent(peer):
        done.wait(5)
        peer.close()

    def drip(peer):
        peer.send(OK + b"Content-Length: 1000\r\n\r\n")
        while not done.wait(0.01):
            peer.send(b"x")

    server.routes["/silent"] = silent
    server.routes["/drip"] = drip

    client.get("/silent", timeout=(1.0, 0.15))
    client.get("/silent", timeout=0.15)
    client.get("/drip", timeout=0.15)
    done.set()

    assert recorder.causes == ["first_byte_timeout", "total_timeout", "total_timeout"]
    for exchange in recorder.exchanges:
        assert 0.15 <= exchange.ended_at - exchange.started_at < 0.6
    assert [exchange.status for exchange in recorder.exchanges] == [0, 0, 200]
    assert client.get("/good").content == b"good"


def test_a_first_byte_stops_the_first_byte_timeout(server, client, recorder):
    asked = threading.Event()

    def script(peer):
        peer.send(b"HTTP/1.1 200 ")
        asked.wait(0.3)
        peer.send(b"OK\r\nContent-Length: 2\r\n\r\nok")

    server.routes["/slow"] = script

    assert client.get("/slow", timeout=(1.0, 0.15)).content == b"ok"


def test_nobody_listening_is_connect_refused(recorder, server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = recorder.client(server.url)

        response = client.get(f"http://127.0.0.1:{unused.getsockname()[1]}/")

    assert (recorder.causes, response.status_code) == (["connect_refused"], 0)
    exchange = recorder.exchanges[0]
    assert 0 < exchange.connect_s <= exchange.ended_at - exchange.started_at
    assert exchange.first_byte_at == exchange.ended_at
    assert client.get("/good").content == b"good"


def test_a_full_backlog_is_connect_timeout(recorder, server):
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = listener.getsockname()
    fillers = []
    for _ in range(8):  # the kernel drops further connection attempts when its queue is full
        filler = socket.socket()
        filler.setblocking(False)
        assert filler.connect_ex(address) in (0, errno.EINPROGRESS)
        fillers.append(filler)
    client = recorder.client(server.url)

    client.get(f"http://127.0.0.1:{address[1]}/", timeout=(0.2, 5.0))
    client.get(f"http://127.0.0.1:{address[1]}/", timeout=0.2)

    for sock in (listener, *fillers):
        sock.close()
    assert recorder.causes == ["connect_timeout", "total_timeout"]
    assert 0.2 <= recorder.exchanges[0].connect_s < 0.6
    assert client.get("/good").content == b"good"


def test_an_unknown_name_is_dns(recorder, server):
    client = recorder.client(server.url)

    response = client.get("http://shop.invalid/", timeout=10)

    assert (recorder.causes, response.status_code) == (["dns"], 0)
    assert client.get("/good").content == b"good"


def test_no_local_address_left_is_connect_failed(recorder, server):
    client = recorder.client(server.url, source_addresses=("192.0.2.1",))  # not an address of this machine

    assert (client.get("/").cause, client.connections_opened) == ("connect_failed", 0)
