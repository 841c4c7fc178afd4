"""The HTTP client against requests and curl on generated answers and requests; every difference is explained.

Answers are raw bytes: heads, framings and bodies composed of clean and odd pieces, and then mutated. All
three clients read each answer from the same server. A difference is allowed only by a line of `EXPLAINED`,
which names the oddity that causes it and the reason. Requests are generated calls that requests and this
client both send; what the server received must be the same, apart from the changes in `as_intended`.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from doorbuster.load.http import HttpClient, RequestFailed

ANSWERS, REQUESTS = 20_000, 5_000
LIMIT_S = 5.0
QUIET = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


class Server:
    """Answers a request for /N with answer N, then closes. Keeps the bytes of the last request."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.request = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listener.accept()
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.settimeout(LIMIT_S)
            self.request = self._read(sock)
            number = re.match(rb"GET /(\d+) ", self.request)
            sock.sendall(self.answers[int(number[1])] if number else GOOD)
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    def _read(self, sock: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = sock.recv(65536)
            if not piece:
                return data
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        chunked = re.search(rb"\r\ntransfer-encoding: *chunked", head, re.IGNORECASE)
        while (length and len(body) < int(length[1])) or (chunked and not body.endswith(b"0\r\n\r\n")):
            piece = sock.recv(65536)
            if not piece:
                break
            body += piece
        return head + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def server() -> Server:
    return Server()


class Read(NamedTuple):
    """What a client made of an answer; status 0 is a refusal."""

    status: int
    body: bytes = b""


def read_by_client(server: Server) -> list[Read]:
    """What this client makes of every answer."""
    reads = []
    with HttpClient(server.url) as client:
        for number in range(len(server.answers)):
            response = client.get(f"/{number}", timeout=LIMIT_S, allow_redirects=False)
            try:
                reads.append(Read(response.status_code, response.content))
            except RequestFailed:
                reads.append(Read(0))
    return reads


def read_by_requests(server: Server) -> list[Read]:
    reads = []
    for number in range(len(server.answers)):
        with requests.Session() as session:
            session.trust_env = False
            try:
                response = session.get(f"{server.url}/{number}", timeout=LIMIT_S, allow_redirects=False)
                reads.append(Read(response.status_code, response.content))
            except Exception:  # noqa: BLE001 - requests lets exceptions of urllib3 and of its parser through
                reads.append(Read(0))
    return reads


def read_by_curl(server: Server, folder: Path) -> list[Read]:
    """What curl makes of them; one process reads many, because a process for each would take too long."""
    reads: list[Read] = []
    while len(reads) < len(server.answers):
        numbers = range(len(reads), min(len(reads) + 500, len(server.answers)))
        for number in numbers:
            (folder / str(number)).write_bytes(b"")
        config = "".join(
            f'url = "{server.url}/{number}"\noutput = "{folder}/{number}"\n' for number in numbers
        )
        done = subprocess.run(
            ["curl", "-s", "--compressed", "--http1.1", "--noproxy", "*", "--max-time", str(LIMIT_S),
             "-w", "%{http_code} %{exitcode}\\n", "-K", "-"],
            input=config, capture_output=True, check=False, text=True,
        )  # fmt: skip
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines
        for number, (status, code) in zip(numbers, lines, strict=False):  # some errors end the process
            good = code == "0"
            reads.append(Read(int(status), (folder / str(number)).read_bytes()) if good else Read(0))
    return reads


CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
ENDS = (b"\r\n",) * 12 + (b"\n",)
STATUS_LINES = (
    (b"HTTP/1.1 200 OK",) * 8
    + (
        b"HTTP/1.0 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 404 Not Found", b"HTTP/1.1  200 OK",
        b"HTTP/1.1 204 No",
        b"HTTP/1.1 304 Same", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.2 200 OK", b"http/1.1 200 OK",
        b"HTTP/1.1 200 \xe9", b"ICY 200 OK", b"HTTP/1.1 500 Oops", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200OK",
    )
)  # fmt: skip
FRAMINGS = (
    ((b"Content-Length: 5", b"hello"),) * 6
    + ((b"Transfer-Encoding: chunked", CHUNKS),) * 4
    + (
        (b"", b"hello"),
        (b"Content-Length: 4", b"hello"),
        (b"Content-Length: 6", b"hello"),
        (b"content-length:5", b"hello"),
        (b"Content-Length: 5 ", b"hello"),
        (b"Content-Length: 05", b"hello"),
        (b"Content-Length: +5", b"hello"),
        (b"Content-Length: 5, 5", b"hello"),
        (b"Content-Length: 5, 6", b"hello!"),
        (b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
        (b"Content-Length: 5\r\nContent-Length: 6", b"hello!"),
        (b"Content-Length : 5", b"hello"),
        (b"Content-Length: five", b"hello"),
        (b"Content-Length:", b"hello"),
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", CHUNKS),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 99", CHUNKS),
        (b"Transfer-Encoding: identity\r\nContent-Length: 5", b"hello"),
        (b"Transfer-Encoding: CHUNKED", CHUNKS),
        (b"Transfer-Encoding: gzip, chunked", CHUNKS),
        (b"Transfer-Encoding: chunked, identity", CHUNKS),
        (b"Transfer-Encoding: chunked", b"5   \r\nhello\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"5;x=1\r\nhello\r\n0;y\r\nT: 1\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"05\r\nhello\r\n000\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"5\nhello\n0\n\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n"),
        (b"Transfer-Encoding: chunked", b"5\r\nhelloworld\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"0x5\r\nhello\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked", b"-5\r\nhello\r\n0\r\n\r\n"),
        (b"Content-Encoding: gzip", gzip.compress(b"hello", mtime=0)),
        (b"Content-Encoding: gzip", gzip.compress(b"hello", mtime=0)[:-8]),
        (b"Content-Encoding: gzip", gzip.compress(b"hello", mtime=0)[:-12]),
        (b"Content-Encoding: gzip", b"hello"),
        (b"Content-Encoding: deflate", b"hello"),
        (b"Content-Encoding: unknown", b"hello"),
    )
)
LINES = (
    (b"X-A: 1", b"Server: x") * 4
    + (
        b"X-A:", b": 1", b"X-A", b"X-A : 1", b" X-A: 1", b"x@a: 1", b"X-A: \x01", b"X-A: \x00", b"X-A: a\rb",
        b"X\xe9: 1", b"X-A: \xe9", b"\tfolded", b"Set-Cookie: a=b", b"Connection: close", b"Location: /x",
        b"Connection: keep-alive", b"X-A: 1\x0b", b"X-A: " + b"a" * 5000, b"X A: 1", b"\x0cX-A: 1",
    )
)  # fmt: skip
INTERIM = (b"",) * 12 + (
    b"HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"\r\n",
)
MUTATIONS = (b"", b"\r", b"\n", b" ", b"\0", b"5", b":", b"\xff", b"\t", b",", b";", b"HTTP/1.1 200 OK\r\n")


class Choices:
    """Choices that are made by bytes, one for each."""

    def __init__(self, source: bytes) -> None:
        self._source = iter(source)

    def pick(self, options: Sequence[Any]) -> Any:
        return options[next(self._source, 0) % len(options)]

    def number(self, limit: int) -> int:
        return (next(self._source, 0) << 8 | next(self._source, 0)) % limit


def raw_answer(source: bytes) -> bytes:
    choices = Choices(source)
    framing, body = choices.pick(FRAMINGS)
    lines = [choices.pick(LINES) for _ in range(choices.number(4))]
    if framing:
        lines.insert(choices.number(len(lines) + 1), framing)
    data = choices.pick(INTERIM) + choices.pick(STATUS_LINES) + choices.pick(ENDS)
    for line in lines:
        data += line + choices.pick(ENDS)
    data += choices.pick(ENDS) + body
    if choices.number(3) == 0:
        at = choices.number(len(data))
        data = data[:at] + choices.pick(MUTATIONS) + data[at + choices.number(2) :]
    return data


GOOD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


def oddities(data: bytes) -> set[str]:
    """What is odd about an answer, found without any of the three clients."""
    found = set()
    if data[:1] in (b"\r", b"\n"):
        found.add("empty line first")
    rest = data.lstrip(b"\r\n")
    while re.match(rb"HTTP/1.[0-9][ \t]+1[0-9]{2}", rest, re.IGNORECASE):
        found.add("interim answer")
        rest = re.split(rb"\n\r?\n", rest, maxsplit=1)[-1].lstrip(b"\r\n")
    parts = re.split(rb"\n\r?\n", rest, maxsplit=1)
    head, body = parts[0], parts[-1] if len(parts) > 1 else b""
    if len(parts) == 1:
        found.add("head without an end")
    status, *lines = [line.removesuffix(b"\r") for line in head.split(b"\n")]
    if re.search(rb"[ \t](204|304)", status):
        found.add("status without a body")
    if not re.fullmatch(rb"HTTP/1\.[01] [1-9][0-9]{2}( [^\0\r\x7f-\xff]*)?", status):
        found.add("odd status line")
    if (
        re.search(rb"\n(?<!\r\n)", head + b"\n")
        or b"\n\n" in rest
        or b"\n\r\n" in rest.replace(b"\r\n\r\n", b"")
    ):
        found.add("LF alone")
    if re.search(rb"\r(?!\n)", data[: len(data) - len(body)] + b"\n"):
        found.add("CR alone")
    if b"\0" in head:
        found.add("NUL")
    headers: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        if line[:1] in (b" ", b"\t"):
            found.add("folded line" if number else "folded line first")
            if headers and headers[-1][0].startswith((b"content-", b"transfer-")):
                found.add("folded framing")
        elif not colon:
            found.add("line without a colon")
        elif not TOKEN.fullmatch(name):
            found.add("odd name")
        headers.append((name.strip().lower(), value.strip(b" \t")))
        if re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", value):
            found.add("control character")
    values = {name: [v for n, v in headers if n == name] for name, _ in headers}
    lengths = [v.strip() for value in values.get(b"content-length", []) for v in value.split(b",")]
    codings = b",".join(values.get(b"transfer-encoding", [])).lower()
    if not all(re.fullmatch(rb"[0-9]{1,15}", length) for length in lengths):
        found.add("bad length")
    elif len({int(length) for length in lengths}) > 1:
        found.add("lengths that differ")
    elif lengths and not codings and len(body) < int(lengths[0]):
        found.add("body too short")
    if codings and codings != b"chunked":
        found.add("odd transfer coding")
    if b"chunked" in codings and not re.fullmatch(
        rb"([0-9a-fA-F]+(;[^\r\n\0]*)?\r\nhello\r\n)*0+(;[^\r\n\0]*)?\r\n(T: 1\r\n)?\r\n.*", body, re.DOTALL
    ):
        found.add("odd chunks")
    content_coding = b",".join(values.get(b"content-encoding", []))
    if content_coding not in (b"", b"gzip", b"deflate"):
        found.add("unknown content coding")
    elif content_coding and body != gzip.compress(b"hello", mtime=0):
        found.add("damaged content coding")
    return found


def generated(make: Callable[[bytes], Any], count: int) -> list[Any]:
    """This many different examples, the same in every run."""
    found: dict[Any, None] = {}

    @settings(QUIET, max_examples=count * 2)
    @given(st.binary(min_size=24, max_size=24))
    def collect(source: bytes) -> None:
        if len(found) < count:
            found[make(source)] = None

    collect()
    assert len(found) == count
    return list(found)


class Explanation(NamedTuple):
    """Why this client may read answers with an oddity otherwise than the others named.

    does: "refuses" what they read, "reads" what they refuse, or reads "otherwise".
    """

    oddity: str
    does: str
    others: str
    reason: str


AMBIGUOUS = "another reader of these bytes could see another answer"
CRASH = "requests lets an exception of Python's header parser through, or stops reading the head"
EXPLAINED = [
    Explanation("bad length", "refuses", "requests curl", AMBIGUOUS),
    Explanation("lengths that differ", "refuses", "requests curl", AMBIGUOUS),
    Explanation("folded line first", "refuses", "requests curl", AMBIGUOUS),
    Explanation("folded framing", "refuses", "requests curl", AMBIGUOUS),
    Explanation("CR alone", "refuses", "requests curl", AMBIGUOUS),
    Explanation("NUL", "refuses", "requests curl", AMBIGUOUS),
    Explanation("odd transfer coding", "refuses", "requests curl", AMBIGUOUS),
    Explanation("odd name", "refuses", "requests curl", f"the name resembles a framing header: {AMBIGUOUS}"),
    Explanation("line without a colon", "refuses", "requests curl", f"the same: {AMBIGUOUS}"),
    Explanation(
        "odd chunks", "refuses", "requests curl", f"0x5, +5, -5, 0y and missing line ends: {AMBIGUOUS}"
    ),
    Explanation("odd status line", "refuses", "requests curl", "this is no status line"),
    Explanation("head without an end", "refuses", "requests curl", "the head is cut off"),
    Explanation("body too short", "refuses", "requests curl", "the body is cut off"),
    Explanation("damaged content coding", "refuses", "requests curl", "a body is never shortened silently"),
    Explanation("empty line first", "reads", "requests curl", "RFC 9112, 2.2: an empty line is skipped"),
    Explanation("odd status line", "reads", "requests curl", "HTTP/1.2, tabs and lower case are clear"),
    Explanation("line without a colon", "reads", "curl", "browsers skip the line"),
    Explanation("unknown content coding", "reads", "requests curl", "the body is returned as it came"),
    Explanation(
        "odd transfer coding", "reads", "requests curl", "RFC 9112, 6.3: chunked last, else to the end"
    ),
    Explanation("NUL", "reads", "curl", "in a reason phrase, which nothing reads"),
    Explanation("control character", "reads", "requests curl", "browsers accept it"),
    Explanation(
        "odd transfer coding", "otherwise", "requests curl", "RFC 9112, 6.3: not chunked last: to the end"
    ),
    Explanation("unknown content coding", "refuses", "requests curl", "one of several codings is damaged"),
    Explanation("folded framing", "reads", "curl", "a folded Content-Encoding is one unknown value"),
    Explanation("odd chunks", "reads", "requests", "a chunk may end with LF alone, as for curl"),
    Explanation("unknown content coding", "otherwise", "requests curl", "the body is returned as it came"),
    Explanation(
        "status without a body", "otherwise", "requests", "204 and 304 have no body, also with chunks"
    ),
    Explanation("status without a body", "reads", "requests", "the same"),
    Explanation("interim answer", "reads", "curl", "the headers of an interim answer are skipped"),
    Explanation("interim answer", "otherwise", "requests", "requests takes 103 for the answer"),
    Explanation("interim answer", "refuses", "requests", "the same"),
    Explanation("line without a colon", "otherwise", "requests", CRASH),
    Explanation("line without a colon", "reads", "requests", CRASH),
    Explanation("odd name", "otherwise", "requests", CRASH),
    Explanation("odd name", "reads", "requests", CRASH),
    Explanation("LF alone", "reads", "requests", CRASH),
    Explanation("control character", "otherwise", "requests", CRASH),
    Explanation("folded line", "otherwise", "requests curl", "a folded Content-Encoding is one value"),
    Explanation("damaged content coding", "otherwise", "requests", "requests decodes no coding with a space"),
]


def difference(own: Read, other: Read) -> str:
    if not own.status:
        return "refuses"
    return "otherwise" if other.status else "reads"


def unexplained(data: bytes, own: Read, other: Read, name: str) -> str:
    """What is odd about an answer that two clients read differently without an explanation; else ""."""
    does, found = difference(own, other), oddities(data)
    if any(e.oddity in found and e.does == does and name in e.others for e in EXPLAINED):
        return ""
    return f"{name}: {does}: {', '.join(sorted(found)) or 'nothing odd'}"


@pytest.mark.truth
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_answers_are_read_as_by_requests_and_curl_or_the_difference_is_explained(server, tmp_path):
    server.answers = generated(raw_answer, ANSWERS)
    own, theirs = read_by_client(server), {"requests": read_by_requests(server)}
    theirs["curl"] = read_by_curl(server, tmp_path)
    found: dict[str, bytes] = {}
    agreed = 0
    for number, data in enumerate(server.answers):
        for name, reads in theirs.items():
            if own[number] != reads[number]:
                if why := unexplained(data, own[number], reads[number], name):
                    found.setdefault(why, data)
            else:
                agreed += 1
    assert found == {}
    assert agreed > ANSWERS  # of twice as many comparisons: the answers are odd, but not only odd


TEXTS = (
    "a",
    "x y",
    "é&=",
    "",
    "100%",
    "a+b",
    "[1]",
    "ü/ä",
    "~'()*!",
    "a\\b",
    "\u20ac",
    7,
    1.5,
    True,
    None,
    ["1", None, "2"],
)
PATHS = (
    "/",
    "/a",
    "/a/./b",
    "/a/../b",
    "/a b",
    "/é",
    "/a%20b",
    "/a%2Fb",
    "/100%25",
    "/a;b=c",
    "//a",
    "/a//b",
    "/~x",
    "/a?x=1",
    "/a?x=1&x=2",
    "/a?q=é",
    "/a?q=a b",
    "/a#f",
    "/[x]",
    "/a|b",
    "/a'b",
    '/a"b',
    "/?",
    "/a?",
    "/..",
    "/%7Ex",
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "get", "PURGE")


def call(source: bytes) -> str:
    """A call as JSON: method, path and options that both clients take."""
    choices = Choices(source)

    def fields() -> dict[str, Any]:
        return {
            choices.pick(("a", "b", "c d", "é", "x[]")): choices.pick(TEXTS) for _ in range(choices.number(4))
        }

    options: dict[str, Any] = {}
    kind = choices.number(6)
    if kind == 1:
        options["data"] = fields()
    elif kind == 2:
        options["data"] = choices.pick(("plain", "é", "a=b", ""))
    elif kind == 3:
        options["json"] = choices.pick(
            ({"a": [1, "é"]}, [], {}, 0, "x", {"n": 2**70}, [None, True], {"x": 1.25})
        )
    if choices.number(2):
        options["params"] = choices.pick((fields(), fields(), "raw=1&b", [["a", "1"], ["a", "2"]]))
    if choices.number(3) == 0:
        options["headers"] = choices.pick(
            (
                {"X-A": "1"},
                {"x-a": "b", "Accept": "text/html"},
                {"Content-Type": "text/x"},
                {"Host": "other.example"},
                {"X-A": None},
                {"X-A": ""},
                {"Cookie": "own=1"},
                {"Authorization": "Bearer x"},
            )
        )
    if choices.number(3) == 0:
        options["cookies"] = choices.pick(({"k": "v"}, {"k": "v w"}, {"a": "1", "b": "2"}, {"k": 'v"'}, {}))
    if choices.number(4) == 0:
        options["auth"] = choices.pick((["ann", "pw"], ["", ""], ["a:b", "c"]))
    return json.dumps([choices.pick(METHODS), choices.pick(PATHS), options])


def sent_by(send: Callable[..., Any], server: Server, described: str) -> tuple[Any, ...]:
    """What the server received, or the refusal."""
    method, path, options = json.loads(described)
    if "auth" in options:
        options["auth"] = tuple(options["auth"])
    server.request = b""
    try:
        send(method, server.url + path, **options)
    except ValueError as error:
        return ("refused", str(error))
    head, _, body = server.request.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = {}
    for field in fields:
        name, _, value = field.partition(":")
        headers[name.lower()] = value.strip()
    for name in ("user-agent", "accept-encoding", "connection"):
        headers.pop(name, None)
    if headers.get("content-length") == "0":
        headers.pop("content-length")
    if headers.get("accept") == "*/*":
        headers.pop("accept")
    if body in (b"", b"0\r\n\r\n"):
        headers.pop("content-type", None)  # of nothing
    if "json" in options and body:
        headers.pop("content-length")
        body = json.dumps(json.loads(body)).encode()
    return line, headers, body


def as_intended(described: str, received: tuple[Any, ...]) -> tuple[Any, ...]:
    """What requests sent, changed where the client differs on purpose; each change has its reason."""
    if received[0] == "refused":
        return received
    line, headers, body = received
    path = json.loads(described)[1]
    method_sent, target, version = line.split(" ")
    if path == "/[x]":
        target = target.replace("/%5Bx%5D", path)  # browsers send brackets of a path as they are
    if path.endswith("~x") or path == "/%7Ex":
        target = target.replace("/~x", path)  # an escape stays as it is written
    if body == b"0\r\n\r\n":  # requests sends fields that are all None as chunks without content
        headers.pop("transfer-encoding")
        body = b""
    return " ".join((method_sent, target, version)), headers, body


@pytest.mark.truth
def test_requests_are_sent_as_by_requests(server):
    found = {}
    with HttpClient(server.url) as client, requests.Session() as session:
        session.trust_env = False
        for described in generated(call, REQUESTS):
            own = sent_by(partial(client.request, timeout=LIMIT_S), server, described)
            theirs = sent_by(partial(session.request, timeout=LIMIT_S), server, described)
            if own != as_intended(described, theirs):
                found[described] = (own, theirs)
    assert found == {}
