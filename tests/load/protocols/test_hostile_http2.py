"""HTTP/2 against servers that break off or break its rules: each outcome is named, and blamed on them."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
import time

import gevent
import pytest
from tls_server import make_certificate

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings
from doorbuster.storefronts import Rejected

pytest.importorskip("h2")

from hpack import Encoder

from doorbuster.load.protocols.grpc import GrpcChannel
from doorbuster.load.protocols.http2_client import Http2Client

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1
OK = [(":status", "200"), ("content-type", "text/plain")]


def frame(kind, stream=0, payload=b"", flags=0):
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


def headers(stream, fields=OK, flags=END_HEADERS):
    encoder = Encoder()
    encoder.header_table_size = 0  # each block stands alone
    return frame(HEADERS, stream, encoder.encode(fields), flags)


def answer(stream, body=b"hello"):
    return headers(stream) + frame(DATA, stream, body, END_STREAM)


def goaway(last, code=0, text=b""):
    return frame(GOAWAY, 0, last.to_bytes(4) + code.to_bytes(4) + text)


def reset(stream, code):
    return frame(RESET, stream, code.to_bytes(4))


def settings(**values):
    names = {"max_streams": 3, "window": 4, "max_frame": 5}
    return frame(SETTINGS, 0, b"".join(names[name].to_bytes(2) + n.to_bytes(4) for name, n in values.items()))


class Peer:
    """The server's end of one connection; after the preface it reads whole frames."""

    def __init__(self, sock):
        self.sock, self._rest = sock, b""
        assert self.take(len(PREFACE)) == PREFACE

    def take(self, size):
        while len(self._rest) < size:
            piece = self.sock.recv(65536)
            if not piece:
                raise ConnectionError("the client left")
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken

    def frame(self, *kinds):
        """The next frame of these kinds: kind, flags, stream, payload."""
        while True:
            head = self.take(9)
            payload = self.take(int.from_bytes(head[:3]))
            if head[3] in kinds:
                return head[3], head[4], int.from_bytes(head[5:9]), payload

    def request(self):
        """The number of the next request's stream, after its headers."""
        return self.frame(HEADERS)[2]

    def send(self, *frames):
        self.sock.sendall(b"".join(frames))


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder)
    return folder


@pytest.fixture
def serve(tls_files):
    """Start a server whose connections follow these scripts in turn; returns its client."""
    listeners, clients, threads = [], [], []

    def begin(*scripts, alpn=("h2",), tls=True):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls_files / "cert.pem", tls_files / "key.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))

        def run():
            for script in scripts:
                with contextlib.suppress(OSError), listener.accept()[0] as plain:
                    plain.settimeout(5)
                    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    sock = context.wrap_socket(plain, server_side=True) if tls else plain
                    with sock:
                        script(Peer(sock) if not tls or sock.selected_alpn_protocol() == "h2" else sock)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)
        step = CurrentStep()
        step.name, step.deadline_at = "step", time.perf_counter() + 3
        options = HttpSettings(
            ca_file=str(tls_files / "cert.pem"), max_head_bytes=20_000, max_body_bytes=200_000
        )
        url = f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        kind = Http2Client if tls else HttpClient
        client = kind(url, settings=options, step=step, on_exchange=step.exchanges.append)
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.close()
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(10)


def stays(peer):
    """Wait until the client leaves."""
    with contextlib.suppress(OSError):
        while peer.sock.recv(65536):
            pass


def once(*frames, shut=False):
    """A script: after the first request, send these frames of stream 1."""

    def script(peer):
        peer.send(settings())
        assert peer.request() == 1
        peer.send(*frames)
        if shut:
            peer.sock.shutdown(socket.SHUT_WR)
        stays(peer)

    return script


def split(block):
    """A HEADERS frame as one of 9 kB and CONTINUATION frames."""
    parts = [block[at : at + 9000] for at in range(9, len(block), 9000)]
    first, *rest = [frame(CONTINUATION if at else HEADERS, 1, part) for at, part in enumerate(parts)]
    return [first, *rest, frame(CONTINUATION, 1, b"", END_HEADERS)]


FAILURES = {
    "a reset": (once(reset(1, 2)), "reset", "INTERNAL_ERROR"),
    "a reset in the body": (once(headers(1), frame(DATA, 1, b"he"), reset(1, 0xB)), "reset",
                            "ENHANCE_YOUR_CALM"),
    "a reset with an unknown code": (once(reset(1, 99)), "reset", "code 99"),
    "an end without answer": (once(shut=True), "closed_early", "before any byte of the answer"),
    "an end in the body": (once(headers(1), frame(DATA, 1, b"he"), shut=True), "closed_early",
                           "in the answer"),
    "an angry end": (once(goaway(1, 0xB, b"too_many_pings"), shut=True), "closed_early",
                     "ENHANCE_YOUR_CALM: too_many_pings"),
    "a body without headers": (once(frame(DATA, 1, b"hello", END_STREAM)), "bad_response", "HTTP/2"),
    "a body beyond its length": (
        once(headers(1, [*OK, ("content-length", "3")]), frame(DATA, 1, b"hello", END_STREAM)),
        "bad_response", "HTTP/2"),
    "no status": (once(headers(1, [("content-type", "text/plain")], 5)), "bad_response", "HTTP/2"),
    "a status of letters": (once(headers(1, [(":status", "abc")], 5)), "bad_response", "status"),
    "an upper-case name": (once(headers(1, [*OK, ("X-Bad", "1")], 5)), "bad_response", "HTTP/2"),
    "a field of HTTP/1.1": (once(headers(1, [*OK, ("connection", "close")], 5)), "bad_response", "HTTP/2"),
    "garbage as headers": (once(frame(HEADERS, 1, b"\xff" * 40, 5)), "bad_response", "HTTP/2"),
    "a frame beyond the limit": (once(frame(DATA, 1, bytes(20_000), END_STREAM)), "bad_response", "HTTP/2"),
    "a frame of 16 MB announced": (once(b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + bytes(100)), "bad_response",
                                   "HTTP/2"),
    "padding beyond the frame": (once(headers(1), frame(DATA, 1, b"\xffab", 8)), "bad_response", "HTTP/2"),
    "a push": (once(frame(PUSH, 1, (2).to_bytes(4) + b"\x88", 4)), "bad_response", "HTTP/2"),
    "a window that overflows": (once(frame(WINDOW, 0, (2**31 - 1).to_bytes(4))), "bad_response", "HTTP/2"),
    "a continuation of nothing": (once(frame(CONTINUATION, 1, b"\x88", 4)), "bad_response", "HTTP/2"),
    "headers without end": (
        once(headers(1, OK, 0), *[frame(CONTINUATION, 1, b"")] * 200), "bad_response", "HTTP/2"),
    "large headers": (once(*split(headers(1, [*OK, ("x-a", "~" * 15_000), ("x-b", "~" * 15_000)], 0))),
                      "too_large", "headers"),
    "a large body": (once(headers(1), *[frame(DATA, 1, bytes(16_000))] * 15), "too_large", "200,000 bytes"),
    "HTTP/1.1": (once(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "bad_response",
                 "the server answers in HTTP/1.1"),
    "silence": (once(), "total_timeout", ""),
    "half an answer": (once(headers(1), frame(DATA, 1, b"he")), "total_timeout", ""),
}  # fmt: skip


@pytest.mark.parametrize("label", FAILURES)
def test_a_failure_is_named(serve, label):
    script, cause, detail = FAILURES[label]
    client = serve(script)
    if cause == "total_timeout":
        client.step.deadline_at = time.perf_counter() + 0.3
    failure = client.post("/page", data=b"order").error
    assert (failure.cause, detail in failure.detail) == (cause, True), failure
    (exchange,) = client.step.exchanges
    assert exchange.cause == cause
    assert exchange.protocol == "HTTP/2"
    assert exchange.ended_at >= exchange.first_byte_at >= exchange.started_at


def test_other_requests_survive_a_reset_and_a_body_that_is_too_large(serve):
    def script(peer):
        peer.send(settings())
        for number in (1, 3, 5):
            assert peer.request() == number
        peer.send(reset(1, 8), headers(3), *[frame(DATA, 3, bytes(16_000))] * 13, answer(5))
        _, _, stream, payload = peer.frame(RESET)
        seen.put((stream, int.from_bytes(payload)))
        assert peer.request() == 7
        peer.send(answer(7))
        stays(peer)

    seen = queue.Queue()
    client = serve(script)
    answers = client.get_all(["/a", "/b", "/c"])
    assert [one.error.cause if one.error else one.text for one in answers] == ["reset", "too_large", "hello"]
    assert seen.get(timeout=5) == (3, 8), "the server hears that nobody reads its large body"
    assert client.get("/d").text == "hello"


def test_an_answer_is_read_although_the_server_takes_no_more_of_the_request(serve):
    def script(peer):
        peer.send(settings())
        assert peer.request() == 1
        peer.frame(DATA)
        peer.send(headers(1, [(":status", "413"), ("content-type", "text/plain")]),
                  frame(DATA, 1, b"too big", END_STREAM), goaway(1, 0xB, b"too big"))  # fmt: skip
        peer.sock.close()  # with unread bytes: the kernel resets the connection under the upload

    client = serve(script)
    given = client.post("/page", data=bytes(60_000))
    assert (given.status_code, given.error.cause) == (413, "status_4xx"), given.error


def test_requests_that_the_server_has_not_seen_go_over_another_connection(serve):
    def first(peer):
        peer.send(settings())
        assert [peer.request(), peer.request()] == [1, 3]
        peer.send(goaway(1), answer(1))
        stays(peer)

    client = serve(first, once(answer(1)))
    answers = [gevent.spawn(client.post, f"/{n}", data=b"order") for n in range(2)]
    assert [one.get().text for one in answers] == ["hello", "hello"]
    assert client.connections_opened == 2


def test_a_refused_stream_is_sent_again_once(serve):
    def script(peer):
        peer.send(settings())
        for number in (1, 3, 5, 7, 9):
            assert peer.request() == number
            peer.send(answer(3) if number == 3 else reset(number, 7))
        stays(peer)

    client = serve(script)
    assert client.post("/a", data=b"order").text == "hello"
    failure = client.post("/b", data=b"order").error
    assert (failure.cause, "REFUSED_STREAM" in failure.detail) == ("reset", True)
    assert client.connections_opened == 1


def test_a_server_that_wants_http1_gets_it(serve):
    def http1(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        sock.recv(65536)

    client = serve(once(reset(1, 0xD)), http1)
    assert client.post("/page", data=b"order").text == "hi"
    assert client.step.exchanges[0].protocol == "HTTP/1.1 instead of HTTP/2"
    assert client.connections_opened == 2


def test_a_server_without_alpn_gets_http1(serve):
    def http1(sock):
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        sock.recv(65536)

    client = serve(http1, alpn=())
    assert client.get("/page").text == "hi"
    assert client.step.exchanges[0].protocol == "HTTP/1.1 instead of HTTP/2"


def test_pings_and_settings_are_answered_while_the_customer_thinks(serve):
    def script(peer):
        peer.send(settings())
        assert peer.request() == 1
        peer.send(answer(1))
        time.sleep(0.05)
        peer.send(frame(PING, 0, b"12345678"), settings(max_streams=7))
        kinds = [peer.frame(PING), peer.frame(SETTINGS)]
        seen.put([(kind, flags, payload) for kind, flags, _, payload in kinds])
        peer.send(goaway(1))
        seen.put(peer.sock.recv(100))

    seen = queue.Queue()
    client = serve(script)
    assert client.get("/page").text == "hello"
    gevent.sleep(0.3)
    assert seen.get(timeout=1) == [(PING, ACK, b"12345678"), (SETTINGS, ACK, b"")]
    assert seen.get(timeout=1) == b"", "an idle connection is closed after GOAWAY"


def test_a_flood_of_pings_is_answered_without_end_of_memory(serve):
    def script(peer):
        peer.send(settings())
        assert peer.request() == 1
        for _ in range(20):
            peer.send(*[frame(PING, 0, b"12345678")] * 100)
        for _ in range(2000):
            peer.frame(PING)
        peer.send(answer(1))
        stays(peer)

    client = serve(script)
    client.step.deadline_at = time.perf_counter() + 10
    assert client.get("/page").text == "hello"


def test_a_request_waits_for_a_place_and_its_limit_holds(serve):
    client = serve(once(settings(max_streams=0), answer(1)))
    assert client.get("/page").text == "hello"
    client.step.deadline_at = time.perf_counter() + 0.2
    assert client.get("/page").error.cause == "total_timeout"


GRPC = [(":status", "200"), ("content-type", "application/grpc")]
MESSAGE = b"\0\0\0\0\2hi"


def trailers(*fields):
    return headers(1, fields, 5)


ANSWERS = {
    "trailers only": (headers(1, [*GRPC, ("grpc-status", "7"), ("grpc-message", "no%20key")], 5),
                      "grpc_permission_denied", "no key"),
    "no status": (headers(1, GRPC) + frame(DATA, 1, MESSAGE, 1), "grpc_unknown", "status missing"),
    "a status of letters": (headers(1, GRPC) + trailers(("grpc-status", "x")), "grpc_unknown", "status x"),
    "an unknown status": (headers(1, GRPC) + trailers(("grpc-status", "42")), "grpc_unknown", "status 42"),
    "OK without a message": (headers(1, GRPC) + trailers(("grpc-status", "0")), "bad_response", "message"),
    "two messages": (headers(1, GRPC) + frame(DATA, 1, MESSAGE * 2) + trailers(("grpc-status", "0")),
                     "bad_response", "message"),
    "a compressed message": (headers(1, GRPC) + frame(DATA, 1, b"\1" + MESSAGE[1:])
                             + trailers(("grpc-status", "0")), "bad_response", "compressed"),
    "half a message": (headers(1, GRPC) + frame(DATA, 1, MESSAGE[:4]) + trailers(("grpc-status", "0")),
                       "bad_response", "message"),
    "a proxy's page": (headers(1, [(":status", "502"), ("content-type", "text/html")], 5), "status_5xx",
                       "502"),
    "a page of a web server": (headers(1, OK) + frame(DATA, 1, b"<html>", 1), "bad_response", "text/plain"),
    "a reset": (reset(1, 8), "reset", "CANCEL"),
    "a wish for HTTP/1.1": (reset(1, 0xD), "reset", "HTTP_1_1_REQUIRED"),
}  # fmt: skip


@pytest.mark.parametrize("label", ANSWERS)
def test_a_failed_grpc_call_is_named(serve, label):
    frames, cause, detail = ANSWERS[label]
    client = serve(once(frames), tls=False)
    channel = GrpcChannel(client)
    with pytest.raises(Rejected) as failed:
        channel.unary("shop.Stock/Left", b"17")
    channel.close()
    assert failed.value.cause == client.step.exchanges[-1].cause == cause
    assert detail in client.step.exchanges[-1].detail


def test_a_grpc_call_that_the_server_has_not_seen_is_sent_again_once(serve):
    def leaving(peer):
        peer.send(settings())
        assert peer.request() == 1
        peer.send(goaway(0))
        stays(peer)

    good = headers(1, GRPC) + frame(DATA, 1, MESSAGE) + trailers(("grpc-status", "0"))
    client = serve(leaving, once(good), tls=False)
    channel = GrpcChannel(client)
    assert channel.unary("shop.Stock/Left", b"17") == b"hi"
    assert client.connections_opened == 2
    assert len(client.step.exchanges) == 1


def test_metadata_that_grpc_cannot_send_is_refused(serve):
    channel = GrpcChannel(serve(tls=False))
    for wrong in ({"x": b"bytes"}, {"x-bin": "text"}, {"x": "süß"}, {"x y": "1"}, {"x": "a\nb"}):
        with pytest.raises(ValueError, match="metadata"):
            channel.unary("shop.Stock/Left", b"17", metadata=wrong)


def test_a_grpc_answer_with_its_trailers(serve):
    client = serve(once(headers(1, GRPC), frame(DATA, 1, MESSAGE), trailers(("grpc-status", "0"))), tls=False)
    assert GrpcChannel(client).unary("shop.Stock/Left", b"17") == b"hi"
    assert client.step.exchanges[-1].protocol == "gRPC"
