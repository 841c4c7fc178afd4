"""Whatever a server does, a request gives one record with the right cause, and the client works on."""

from __future__ import annotations

import gzip
import threading

import gevent
import pytest

from doorbuster.load.http import RequestFailed

OK = b"HTTP/1.1 200 OK\r\n"
BIG = 1024 * 1024


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)


# label: (bytes of the answer, cause, status on the wire); the server closes after them
BROKEN_ANSWERS = {
    "truncated body": (OK + b"Content-Length: 100\r\n\r\nonly this", "closed_early", 200),
    "truncated chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc", "closed_early", 200),
    "chunks without an end": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"abc"),
        "closed_early",
        200,
    ),
    "truncated headers": (OK + b"Content-Le", "closed_early", 0),
    "truncated status line": (b"HTTP/1.", "closed_early", 0),
    "nothing at all": (b"", "closed_early", 0),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_response", 0),
    "a web page without headers": (b"<html><body>hello</body></html>", "bad_response", 0),
    "binary noise": (bytes(range(256)) * 4, "bad_response", 0),
    "HTTP/2 preface": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80", "bad_response", 0),
    "status zero": (b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n", "bad_response", 0),
    "status of two digits": (b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "bad_response", 0),
    "letters as length": (OK + b"Content-Length: ten\r\n\r\n0123456789", "bad_response", 200),
    "negative length": (OK + b"Content-Length: -1\r\n\r\n", "bad_response", 200),
    "two lengths": (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "bad_response", 200),
    "astronomical length": (OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n", "bad_response", 200),
    "bad chunk size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n0\r\n\r\n",
        "bad_response",
        200,
    ),
    "negative chunk size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        "bad_response",
        200,
    ),
    "chunk longer than said": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "bad_response",
        200,
    ),
    "header without colon": (OK + b"Content-Length 4\r\n\r\ngood", "bad_response", 200),
    "space before colon": (OK + b"Content-Length : 4\r\n\r\ngood", "bad_response", 200),
    "null byte in a header": (OK + b"X-A: \x00\r\nContent-Length: 4\r\n\r\ngood", "bad_response", 200),
    "unasked switch of protocols": (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        "bad_response",
        0,
    ),
    "only interim answers": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3, "closed_early", 0),
    "one huge header": (OK + b"X-A: " + b"a" * BIG, "too_large", 0),
    "one huge complete header": (
        OK + b"X-A: " + b"a" * 60_000 + b"\r\nX-B: " + b"b" * 9_000 + b"\r\n\r\n",
        "too_large",
        0,
    ),
    "headers without end": (OK + b"X-A: b\r\n" * (BIG // 8), "too_large", 0),
    "interim answers without end": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * (BIG // 28), "too_large", 0),
    "headers of a megabyte": (OK + b"X-A: b\r\n" * (BIG // 8) + b"\r\n", "too_large", 0),
    "gzip that is none": (
        OK + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain",
        "bad_response",
        200,
    ),
    "gzip cut off": (
        OK
        + b"Content-Encoding: gzip\r\nContent-Length: 40\r\n\r\n"
        + gzip.compress(bytes(range(256)) * 9)[:40],
        "bad_response",
        200,
    ),
}


@pytest.mark.parametrize("label", BROKEN_ANSWERS)
def test_a_broken_answer_is_one_record_with_its_cause_and_the_client_works_on(label, server, recorder):
    data, cause, status = BROKEN_ANSWERS[label]
    server.reply("/broken", data)
    client = recorder.client(server.url, check_bodies=True)

    response = client.get("/broken")

    assert [cause] == recorder.causes, recorder.exchanges
    assert status == recorder.exchanges[0].status
    assert response.status_code == 0
    assert cause == response.error.cause
    assert response.content == b""
    assert client.get("/good").content == b"good"
    assert [cause, ""] == recorder.causes


# label: (bytes of the answer, expected body, whether the connection may serve again)
ODD_BUT_RIGHT_ANSWERS = {
    "one interim answer": (
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok",
        b"ok",
        True,
    ),
    "several interim answers": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 3 + OK + b"Content-Length: 2\r\n\r\nok",
        b"ok",
        True,
    ),
    "empty lines first": (b"\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok", b"ok", True),
    "chunks": (OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"a", b"bc", b""), b"abc", True),
    "chunks with extension and trailer": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n",
        b"abc",
        True,
    ),
    "no body, no length": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    "not modified with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nno", b"", False),
    "body longer than said": (OK + b"Content-Length: 2\r\n\r\nok and more", b"ok", False),
    "a second answer unasked": (
        OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 2\r\n\r\nno",
        b"ok",
        False,
    ),
    "a second status line begun": (OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 2", b"ok", False),
    "Connection: close": (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", b"ok", False),
    "HTTP/1.0 kept alive": (
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
        b"ok",
        True,
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "header without value": (OK + b"X-Empty:\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
    "Latin-1 in a header": (OK + b"X-Name: caf\xe9\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
}


@pytest.mark.parametrize("label", ODD_BUT_RIGHT_ANSWERS)
def test_an_odd_but_right_answer_is_read_and_its_connection_judged(label, server, client, recorder):
    data, body, reusable = ODD_BUT_RIGHT_ANSWERS[label]
    server.reply("/odd", data, close=False)

    response = client.get("/odd", timeout=5)

    assert response.content == body
    assert client.get("/good").content == b"good"
    assert recorder.causes == ["", ""]
    assert recorder.exchanges[1].reused is reusable
    assert client.connections_opened == (1 if reusable else 2)


@pytest.mark.parametrize("label", ODD_BUT_RIGHT_ANSWERS)
def test_an_odd_but_right_answer_may_come_byte_by_byte(label, server, client, recorder):
    data, body, reusable = ODD_BUT_RIGHT_ANSWERS[label]
    sent = threading.Event()

    def script(peer):
        try:
            for at in range(len(data)):
                peer.send(data[at : at + 1])
        finally:  # the client may leave in the middle of what it did not ask for
            sent.set()

    server.routes["/odd"] = script

    response = client.get("/odd", timeout=5)
    while not sent.is_set():
        gevent.sleep(0.001)
    gevent.sleep(0.001)  # one turn of the loop notices what came after the answer

    assert response.content == body
    assert client.get("/good").content == b"good"
    assert recorder.causes == ["", ""]
    assert recorder.exchanges[1].reused is reusable


def test_a_body_that_ends_with_the_connection_is_complete(server, client, recorder):
    server.reply("/old", b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    assert client.get("/old").content == b"until the end"
    assert recorder.causes == [""]
    assert client.get("/good").content == b"good"


def test_a_body_that_ends_with_a_reset_is_not_complete(server, client, recorder):
    arrived = threading.Event()

    def script(peer):
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the en")
        arrived.wait(5)
        peer.reset()

    server.routes["/old"] = script
    with client.get("/old", stream=True, catch_response=True) as response:
        pieces = response.iter_content()
        assert next(pieces) == b"until the en"
        arrived.set()
        with pytest.raises(RequestFailed, match=r"^reset"):
            list(pieces)

    assert recorder.causes == ["reset"]


def test_head_has_no_body_whatever_its_length_says(server, client, recorder):
    server.reply("/page", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", close=False)

    for _ in range(3):
        response = client.head("/page")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == "1000"

    assert client.get("/good").content == b"good"
    assert client.connections_opened == 1


def test_head_with_a_body_costs_its_connection_and_nothing_else(server, client, recorder):
    server.reply("/page", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", close=False)

    assert client.head("/page").content == b""
    assert client.get("/good").content == b"good"
    assert recorder.causes == ["", ""]
    assert client.connections_opened == 2


def reset_at_accept(server):
    server.on_connect.append(lambda peer: peer.reset())


def reset_after_request(server):
    server.routes["/reset"] = lambda peer: peer.reset()


def reset_in_headers(server):
    reset_after(server, OK + b"Content-Len")


def reset_in_body(server):
    reset_after(server, OK + b"Content-Length: 100\r\n\r\nabc")


def reset_after(server, data):
    def script(peer):
        peer.send(data)
        peer.reset()

    server.routes["/reset"] = script


@pytest.mark.parametrize("where", [reset_at_accept, reset_after_request, reset_in_headers, reset_in_body])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_reset_anywhere_is_a_reset(where, method, server, client, recorder):
    where(server)

    response = client.request(method, "/reset", data=b"x" if method == "POST" else None)

    assert recorder.causes == ["reset"]
    assert response.status_code == 0
    assert client.get("/good").content == b"good"
    assert client.reconnects == 0


def test_an_answer_in_the_middle_of_a_large_upload_is_read(server, client, recorder):
    def script(peer):
        assert peer.sock.recv(65536)
        peer.send(b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 3\r\n\r\nbig")
        peer.sock.close()  # with unread bytes: the kernel resets the connection under the upload

    server.on_connect.append(script)
    response = client.post("/upload", data=b"x" * (64 * BIG), timeout=10)

    assert (response.status_code, recorder.exchanges[0].cause) == (413, "status_4xx")
    assert client.get("/good").content == b"good"


def test_an_error_page_in_latin_1_is_recorded_with_its_words(server, client, recorder):
    page = "Désolé, une erreur est survenue".encode("latin-1")
    server.routes["/error"] = lambda peer: peer.answer(
        page, "Content-Type: text/html; charset=ISO-8859-1", status="500 Oops"
    )

    response = client.get("/error")

    assert (response.status_code, recorder.exchanges[0].cause) == (500, "status_5xx")
    assert response.text == "Désolé, une erreur est survenue"
    assert "une erreur est survenue" in recorder.exchanges[0].detail
    assert str(response.error) == "status_5xx: 500 Oops"


def test_an_error_page_without_charset_is_never_an_exception(server, client, recorder):
    server.routes["/error"] = lambda peer: peer.answer(b"\xff\xfe\xe9", status="503 Busy")

    assert client.get("/error").text == "ÿþé"
    assert recorder.causes == ["status_5xx"]


def test_a_compressed_error_page_is_explained_in_the_record(server, client, recorder):
    page = gzip.compress(b"the database is away" * 1000)
    server.routes["/error"] = lambda peer: peer.answer(page, "Content-Encoding: gzip", status="500 Oops")

    client.get("/error")

    assert recorder.exchanges[0].detail.startswith("the database is away")
    assert len(recorder.exchanges[0].detail) == 200


def test_thousands_of_cookies_leave_a_bounded_jar(server, client, recorder):
    lines = [f"Set-Cookie: c{number}=v; Path=/" for number in range(1500)]
    server.routes["/cookies"] = lambda peer: peer.answer(b"ok", *lines)

    assert client.get("/cookies").content == b"ok"
    assert len(client.cookies) == 200
    assert client.get("/good").content == b"good"


def test_a_redirect_loop_ends_with_a_record_per_hop(server, recorder):
    client = recorder.client(server.url, max_redirects=3)
    server.routes["/loop"] = lambda peer: peer.answer(b"", "Location: /loop", status="302 Found")

    response = client.get("/loop")

    assert recorder.causes == ["", "", "", "too_many_redirects"]
    assert [exchange.hop for exchange in recorder.exchanges] == [0, 1, 2, 3]
    assert (
        response.status_code,
        response.error.cause,
        len(response.history),
    ) == (0, "too_many_redirects", 3)
    assert client.get("/good").content == b"good"


@pytest.mark.parametrize(
    "location", ["ftp://shop.example/", "javascript:alert(1)", "http://[::1", "http://:80/"]
)
def test_a_redirect_to_nowhere_is_a_bad_response(location, server, client, recorder):
    server.routes["/away"] = lambda peer: peer.answer(b"", f"Location: {location}", status="302 Found")

    response = client.get("/away")

    assert (recorder.causes, response.status_code) == (["bad_response"], 0)
    assert client.get("/good").content == b"good"


def test_a_body_over_the_limit_is_too_large_and_not_read_to_its_end(server, recorder):
    client = recorder.client(server.url, max_body_bytes=BIG)

    def script(peer):
        peer.send(OK + b"Content-Length: 1000000000\r\n\r\n")
        for _ in range(1000):
            peer.send(b"x" * BIG)

    server.routes["/huge"] = script

    assert client.get("/huge").cause == "too_large"
    assert recorder.causes == ["too_large"]
    assert recorder.exchanges[0].bytes_received < 4 * BIG
    assert client.get("/good").content == b"good"


def test_a_gzip_bomb_is_too_large_when_it_is_read(server, recorder):
    bomb = gzip.compress(bytes(64 * BIG))
    client = recorder.client(server.url, max_decoded_bytes=BIG)
    server.routes["/bomb"] = lambda peer: peer.answer(bomb, "Content-Encoding: gzip")

    with pytest.raises(RequestFailed), client.get("/bomb", catch_response=True) as response:
        response.content  # noqa: B018 - the reading is the test
    eager = recorder.client(server.url, max_decoded_bytes=BIG, check_bodies=True)

    assert eager.get("/bomb").status_code == 0
    assert recorder.causes == ["too_large", "too_large"]
    assert client.get("/good").content == b"good"
