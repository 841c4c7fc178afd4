"""WebSocket against servers that break its rules: each outcome is named, and blamed on the server."""

from __future__ import annotations

import base64
import hashlib
import queue
import re
import socket
import threading
import time

import gevent
import pytest

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.client import HttpClient
from doorbuster.load.protocols import WebSocket, websocket
from doorbuster.storefronts import Rejected

KEY_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CONTINUATION, CLOSE, PING, PONG, FINAL = 1, 0, 8, 9, 10, 0x80


def frame(kind, payload=b"", length=None):
    """A frame from a server: not masked."""
    size = len(payload) if length is None else length
    if size < 126:
        return bytes([kind, size]) + payload
    return (
        bytes([kind, 126]) + size.to_bytes(2) + payload
        if size < 65536
        else (bytes([kind, 127]) + size.to_bytes(8) + payload)
    )


def accepted(peer):
    """Do the handshake; returns the request."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += peer.recv(4096)
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)[1]
    token = base64.b64encode(hashlib.sha1(key + KEY_SUFFIX).digest())
    peer.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )
    return head


def unmasked(data):
    """Payload of one short frame from a client."""
    mask, payload = data[2:6], data[6:]
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@pytest.fixture
def serve():
    """Start a server of one connection with this script; returns its client, in a step of two seconds."""
    listeners, clients, threads = [], [], []

    def begin(script):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run():
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(5)
                script(peer)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        step = CurrentStep()
        step.deadline_at = time.perf_counter() + 2
        client = HttpClient(f"http://127.0.0.1:{listener.getsockname()[1]}", step=step)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.close()
    for thread in threads:
        thread.join(10)
    for listener in listeners:
        listener.close()


BROKEN = {
    "a reserved bit": (frame(FINAL | 0x40 | TEXT, b"x"), "1002 protocol error"),
    "an unknown kind": (frame(FINAL | 5, b"x"), "1002 protocol error"),
    "a continuation of nothing": (frame(FINAL | CONTINUATION, b"x"), "1002 protocol error"),
    "a message inside another": (frame(TEXT, b"a") + frame(FINAL | TEXT, b"b"), "1002 protocol error"),
    "a ping in two": (frame(PING, b"a"), "1002 protocol error"),
    "a long ping": (frame(FINAL | PING, b"a" * 200), "1002 protocol error"),
    "text that is not UTF-8": (frame(FINAL | TEXT, b"\xff\xfe"), "1007 invalid frame payload data"),
    "a close code that is not allowed": (frame(FINAL | CLOSE, (1005).to_bytes(2)), "1002 protocol error"),
    "a length of 2^63": (bytes([FINAL | TEXT, 127]) + b"\xff" * 8 + b"x", "1002 protocol error"),
}


@pytest.mark.parametrize("label", BROKEN)
def test_a_broken_rule_is_a_bad_response(serve, label):
    sent, said = BROKEN[label]
    goodbye = queue.Queue()

    def script(peer):
        accepted(peer)
        peer.sendall(sent)
        goodbye.put(peer.recv(100))

    client = serve(script)
    socket_ = WebSocket(client, "/")
    socket_.connect()
    with pytest.raises(Rejected) as failed:
        socket_.wait_for()
    assert failed.value.cause == client.step.exchanges[-1].cause == "bad_response"
    assert said in str(failed.value)
    assert goodbye.get(timeout=5)[0] == FINAL | CLOSE


@pytest.mark.parametrize(("sent", "said"), [
    (frame(FINAL | CLOSE), "1005 no status rcvd"),
    (frame(FINAL | CLOSE, (1000).to_bytes(2)), "1000 normal closure"),
    (frame(FINAL | CLOSE, (1013).to_bytes(2) + b"busy"), "1013 try again later: busy"),
    (frame(FINAL | CLOSE, (4321).to_bytes(2)), "4321"),
    (b"", "the server closed the connection"),
    (frame(FINAL | TEXT, b"half", length=100), "the server closed the connection"),
])  # fmt: skip
def test_an_end_is_closed_early_with_its_code(serve, sent, said):
    def script(peer):
        accepted(peer)
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        peer.recv(100)

    client = serve(script)
    with WebSocket(client, "/") as socket_, pytest.raises(Rejected) as failed:
        socket_.wait_for()
    assert failed.value.cause == "closed_early"
    assert said in str(failed.value)


def test_messages_before_the_end_are_taken_first(serve):
    def script(peer):
        accepted(peer)
        parts = (frame(TEXT, b"one "), frame(FINAL | PING, b"?"), frame(CONTINUATION, b"mes"),
                 frame(FINAL | CONTINUATION, b"sage"), frame(FINAL | CLOSE, (1001).to_bytes(2)))  # fmt: skip
        peer.sendall(b"".join(parts))
        peer.recv(100)

    client = serve(script)
    with WebSocket(client, "/") as socket_:
        gevent.sleep(0.1)
        assert socket_.wait_for() == "one message"
        with pytest.raises(Rejected, match="1001 going away"):
            socket_.wait_for()


def test_a_message_without_end_is_too_large(serve, monkeypatch):
    monkeypatch.setattr(websocket, "MAX_MESSAGE_BYTES", 100_000)
    goodbye = queue.Queue()

    def script(peer):
        accepted(peer)
        peer.sendall(frame(TEXT, b"x" * 60_000) + frame(CONTINUATION, b"x" * 60_000))
        goodbye.put(unmasked(peer.recv(100)))

    client = serve(script)
    with WebSocket(client, "/") as socket_, pytest.raises(Rejected) as failed:
        socket_.wait_for()
    assert failed.value.cause == "too_large"
    assert int.from_bytes(goodbye.get(timeout=5)[:2]) == 1009


def test_a_server_that_does_not_read_its_pongs_gets_the_last(serve):
    """Its pings are read nevertheless; their answers do not pile up."""
    pings, pongs = 3000, queue.Queue()

    def script(peer):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        accepted(peer)
        assert peer.recv(100)
        peer.sendall(b"".join(frame(FINAL | PING, b"%100d" % number) for number in range(pings)))
        peer.sendall(frame(FINAL | TEXT, b"done"))
        received = b""
        while True:
            received += peer.recv(65536)
            whole = len(received) // 106 * 106
            if whole and int(unmasked(received[whole - 106 : whole])) == pings - 1:
                pongs.put(whole // 106)
                return

    client = serve(script)
    client.step.deadline_at = time.perf_counter() + 20
    with WebSocket(client, "/") as socket_:
        socket_._live._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        assert socket_.request("go") == "done"
        gevent.sleep(0.2)
        assert 1 < pongs.get(timeout=5) < pings


def test_what_arrives_beyond_the_limit_waits_in_the_servers_buffers(serve, monkeypatch):
    monkeypatch.setattr(websocket, "MAX_KEPT_BYTES", 1000)
    total = 1500

    def script(peer):
        accepted(peer)
        for number in range(total):
            peer.sendall(frame(FINAL | TEXT, b"%4000d" % number))
        peer.recv(100)

    client = serve(script)
    client.step.deadline_at = time.perf_counter() + 20
    with WebSocket(client, "/") as socket_:
        gevent.sleep(0.3)
        assert socket_._kept_bytes < 400_000, "a read of the event loop, not all 6 MB"
        assert [int(socket_.wait_for()) for _ in range(total)] == list(range(total))


@pytest.mark.parametrize(("answer", "cause"), [
    (b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "bad_response"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "bad_response"),
    (b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n", "status_4xx"),
    (b"SSH-2.0-OpenSSH_9\r\n\r\n", "bad_response"),
    (b"", "closed_early"),
])  # fmt: skip
def test_an_answer_that_is_not_a_handshake(serve, answer, cause):
    def script(peer):
        peer.recv(4096)
        peer.sendall(answer)
        peer.shutdown(socket.SHUT_WR)
        peer.recv(100)

    client = serve(script)
    with pytest.raises(Rejected) as failed:
        WebSocket(client, "/").connect()
    assert failed.value.cause == cause
    assert [one.cause for one in client.step.exchanges] == [cause]
