"""Odd answers that curl and browsers read are read and counted; answers that could be two are refused."""

from __future__ import annotations

import gzip
import zlib

import pytest

from doorbuster.load.http import RequestFailed

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"
CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
PACKED = gzip.compress(b"hello")
LF = "lines that end with LF alone"

# label: (bytes of the answer, what was odd, whether the connection may be used again)
READABLE = {
    "head with LF alone": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", LF, True),
    "one line with LF alone": (OK + b"X-A: 1\n" + HELLO, LF, True),
    "LF alone at the end of the head": (OK + b"Content-Length: 5\n\nhello", LF, True),
    "LF alone in chunks": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n",
        f"{LF}, chunk lines that end with LF alone",
        False,
    ),
    "CRLF in chunks after a head with LF alone": (
        b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5;x=1\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
        LF,
        True,
    ),
    "length before chunks": (
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
        "Content-Length beside Transfer-Encoding",
        False,
    ),
    "length after chunks": (
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9999\r\n\r\n" + CHUNKS,
        "Content-Length beside Transfer-Encoding",
        False,
    ),
    "the same length twice": (OK + b"Content-Length: 5\r\n" + HELLO, "the same Content-Length twice", False),
    "the same length in one line": (
        OK + b"Content-Length: 5, 5\r\n\r\nhello",
        "the same Content-Length twice",
        False,
    ),
    "identity beside a length": (
        OK + b"Transfer-Encoding: identity\r\n" + HELLO,
        "Transfer-Encoding: identity",
        False,
    ),
    "folded line": (OK + b"X-A: one\r\n two\r\n\tthree\r\n" + HELLO, "folded header lines", True),
    "odd name": (OK + b"x_a@b: 1\r\n" + HELLO, "odd header names", True),
    "space before the colon": (OK + b"X-A : 1\r\n" + HELLO, "odd header names", True),
    "line without a name": (OK + b": 1\r\nnothing\r\n" + HELLO, "header lines without a name", True),
    "control character": (OK + b"X-A: a\x01b\r\n" + HELLO, "control characters in a header", True),
    "two spaces in the status line": (b"HTTP/1.1  200 OK\r\n" + HELLO, "an odd status line", True),
    "padded chunk sizes": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5   \r\nhello\r\n0  \r\n\r\n",
        "padded chunk sizes",
        False,
    ),
    "no space after the status": (b"HTTP/1.1 200OK\r\n" + HELLO, "an odd status line", True),
    "HTTP in lower case": (b"http/1.1 200 OK\r\n" + HELLO, "an odd status line", True),
    "tab in the status line": (b"HTTP/1.1\t200 OK\r\n" + HELLO, "an odd status line", True),
    "HTTP/1.2": (b"HTTP/1.2 200 OK\r\n" + HELLO, "an odd status line", True),
    "odd chunk extension": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5 ;:\r\nhello\r\n0;=\r\n\r\n",
        "padded chunk sizes",
        False,
    ),
    "after an interim answer": (b"HTTP/1.1 103 Early\n\nHTTP/1.1 200 OK\n" + HELLO, LF, True),
}


@pytest.mark.parametrize("pieces", ["whole", "byte by byte"])
@pytest.mark.parametrize("label", READABLE)
def test_an_odd_answer_is_read_and_counted(label, pieces, server, client, recorder):
    data, odd, reusable = READABLE[label]
    step = len(data) if pieces == "whole" else 1

    def script(peer):
        for at in range(0, len(data), step):
            peer.send(data[at : at + step])

    server.routes["/odd"] = script

    response = client.get("/odd")

    assert (response.status_code, response.content) == (200, b"hello")
    assert recorder.exchanges[0].lenient == odd
    assert client.get("/good").content == b"good"
    assert recorder.exchanges[1].lenient == ""
    assert client.connections_opened == (1 if reusable else 2)


def test_an_odd_answer_can_be_streamed(server, client, recorder):
    body = b"".join(b"3  \r\nabc\r\n" for _ in range(1000))
    server.routes["/odd"] = lambda peer: peer.send(
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + body + b"0\r\n\r\n"
    )

    assert b"".join(client.get("/odd", stream=True).iter_content()) == b"abc" * 1001
    assert client.get("/good").content == b"good"


def test_an_odd_answer_to_head_has_no_body(server, client, recorder):
    server.reply("/odd", b"HTTP/1.1 200 OK\nContent-Length: 1000\n\n", close=False)

    for _ in range(2):
        assert client.head("/odd").headers["content-length"] == "1000"
    assert [exchange.lenient for exchange in recorder.exchanges] == [LF, LF]
    assert client.connections_opened == 1


# Two readers of these bytes could see different answers.
AMBIGUOUS = {
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in one line": OK + b"Content-Length: 5, 6\r\n\r\nhello!",
    "length with a sign": OK + b"Content-Length: +5\r\n\r\nhello",
    "length in hexadecimal": OK + b"Content-Length: 0x5\r\n\r\nhello",
    "empty length": OK + b"Content-Length: \r\nContent-Length: 5\r\n\r\nhello",
    "space before the colon of a length": OK + b"Content-Length : 5\r\n\r\nhello",
    "odd character in the name of a length": OK + b"Content-Length\x0b: 5\r\n\r\nhello",
    "odd character before a transfer encoding": OK + b"\x0cTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    "folded length": OK + b"Content-Length: 5\r\n 0\r\n\r\nhello",
    "folded transfer encoding": OK + b"Transfer-Encoding:\n chunked\r\n\r\n" + CHUNKS,
    "unknown transfer coding beside a length": OK + b"Transfer-Encoding: cow\r\n" + HELLO,
    "chunked in the middle": OK + b"X@: 1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n" + CHUNKS,
    "chunked twice": OK + b"X@: 1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n" + CHUNKS,
    "CR alone in a header": OK + b"X-A: 1\rContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "NUL in a header": OK + b"X-A: \x00\r\n" + HELLO,
    "NUL in a name": OK + b"X\x00A: 1\r\n" + HELLO,
    "folded line first": OK + b" X-A: 1\r\n" + HELLO,
    "length without a colon": OK + b"Content-Length 5\r\n\r\nhello",
    "chunk size with a sign": OK + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    "chunk size with an underscore": OK + b"Transfer-Encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n",
    "space before a chunk size": OK + b"Transfer-Encoding: chunked\r\n\r\n 5\r\nhello\r\n0\r\n\r\n",
    "chunk longer than its size": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n",
    "chunk without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n" + HELLO,
    "HTTP/0.9": b"hello",
    "another protocol": b"ICY 200 OK\r\n" + HELLO,
}


@pytest.mark.parametrize("label", AMBIGUOUS)
def test_an_answer_that_could_be_two_is_refused_at_once(label, server, client, recorder):
    server.reply("/odd", AMBIGUOUS[label], close=False)

    response = client.get("/odd", timeout=5)

    assert (response.status_code, response.cause, response.content) == (0, "bad_response", b"")
    assert client.get("/good").content == b"good"
    assert client.connections_opened == 2


def test_a_missing_checksum_is_accepted_but_a_missing_byte_of_the_body_is_not(server, recorder):
    texts = (b"hello", b"hello " * 20_000, b"")
    for client, early in (
        (recorder.client(server.url), False),
        (recorder.client(server.url, check_bodies=True), True),
    ):
        for text in texts:
            for encoding, packed, end in (
                ("gzip", gzip.compress(text), 8),
                ("deflate", zlib.compress(text), 4),
            ):
                for missing in range(1, end + 3):
                    body = packed[:-missing]
                    server.routes["/z"] = lambda peer, body=body, encoding=encoding: peer.answer(
                        body, f"Content-Encoding: {encoding}"
                    )
                    response = client.get("/z")
                    if missing <= end:
                        assert response.content == text
                        assert recorder.exchanges[-1].lenient == f"{encoding} without its checksum"
                    elif early:
                        assert response.cause == "bad_response"
                    else:
                        with pytest.raises(RequestFailed, match=r"^bad_response"):
                            response.content  # noqa: B018 - the reading is the test
