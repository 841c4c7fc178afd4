"""A raw server on loopback that does what a test scripts, byte by byte, and a client that records.

The server runs in ordinary threads: nothing here is monkey-patched, so the client's greenlets and the
server's threads meet only at the socket, as in real life.
"""

from __future__ import annotations

import contextlib
import queue
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doorbuster.load.http import Exchange, HttpClient, HttpSettings

PATIENCE_S = 10.0
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"


class Request:
    """What the server read: the method, the path, the headers by lower-case name, the body."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = lines[0].split(" ")
        self.lines = lines[1:]
        self.headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        self.body = body


class Peer:
    """The server's end of one connection, in a script's hands."""

    def __init__(self, sock: socket.socket, server: RawServer) -> None:
        self.sock = sock
        self.server = server
        self.request: Request | None = None
        self._unread = b""

    def read_request(self) -> Request | None:
        while b"\r\n\r\n" not in self._unread:
            if not self._more():
                return None
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        request = Request(head, b"")
        if request.headers.get("transfer-encoding") == "chunked":
            while b"0\r\n\r\n" not in self._unread:
                if not self._more():
                    return None
            request.body, _, self._unread = self._unread.partition(b"0\r\n\r\n")
            self.request = request
            return request
        length = int(request.headers.get("content-length", "0"))
        while len(self._unread) < length:
            if not self._more():
                return None
        request.body, self._unread = self._unread[:length], self._unread[length:]
        self.request = request
        return request

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes = b"", *headers: str, status: str = "200 OK") -> None:
        lines = "".join(f"{header}\r\n" for header in headers)
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode("latin-1") + body)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def wait_until_client_leaves(self) -> None:
        with contextlib.suppress(OSError):
            while self.sock.recv(65536):
                pass

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            return False
        self._unread += data
        return bool(data)


Script = Callable[[Peer], None]


class RawServer:
    """Routes from path to script; every other path gets GOOD. A script that closes ends the connection.

    on_connect: scripts for coming connections, before anything is read. requests: everything read, in order.
    """

    def __init__(self, context: ssl.SSLContext | None = None, family: int = socket.AF_INET) -> None:
        self.routes: dict[str, Script] = {}
        self.on_connect: list[Script] = []
        self.requests: list[Request] = []
        self.connections = 0
        self.handshakes: list[bool] = []
        self._context = context
        self._peers: list[Peer] = []
        self._threads: list[threading.Thread] = []
        self.problems: queue.Queue[BaseException] = queue.Queue()
        host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
        self._listener = socket.create_server((host, 0), family=family, backlog=512)
        self.port = self._listener.getsockname()[1]
        self.host = f"[{host}]" if family == socket.AF_INET6 else host
        self._stopping = False
        self._start(self._accept)

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{self.host}:{self.port}"

    def reply(self, path: str, data: bytes, *, close: bool = True) -> None:
        """Answer a path with exactly these bytes; then close, unless told otherwise."""

        def script(peer: Peer) -> None:
            peer.send(data)
            if close:
                peer.close()

        self.routes[path] = script

    def last(self, path: str) -> Request:
        return next(request for request in reversed(self.requests) if request.path == path)

    def stop(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in list(self._peers):
            peer.close()
        for thread in list(self._threads):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        if not self.problems.empty():
            raise self.problems.get()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            if self._stopping:
                sock.close()
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(PATIENCE_S)
            self.connections += 1
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        peer = Peer(sock, self)
        self._peers.append(peer)
        try:
            if self._context is not None:
                peer.sock = self._context.wrap_socket(sock, server_side=True)
                self.handshakes.append(peer.sock.session_reused)
            if self.on_connect:
                self.on_connect.pop(0)(peer)
            while peer.sock.fileno() >= 0 and (request := peer.read_request()) is not None:
                self.requests.append(request)
                self.routes.get(request.path, lambda peer: peer.send(GOOD))(peer)
        except OSError:
            pass
        except AssertionError as problem:
            self.problems.put(problem)
        finally:
            peer.close()


@pytest.fixture
def server() -> Iterator[RawServer]:
    raw = RawServer()
    yield raw
    raw.stop()


class Recorder:
    """Makes clients, keeps what they recorded, closes them."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.clients: list[HttpClient] = []

    def client(self, base_url: str, **settings: object) -> HttpClient:
        client = HttpClient(base_url, on_exchange=self.exchanges.append, settings=HttpSettings(**settings))
        self.clients.append(client)
        return client

    @property
    def causes(self) -> list[str]:
        return [exchange.cause for exchange in self.exchanges]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    for client in made.clients:
        client.close()


@pytest.fixture
def client(server: RawServer, recorder: Recorder) -> HttpClient:
    return recorder.client(server.url)


@pytest.fixture
def raw_server_class() -> type[RawServer]:
    return RawServer


class Certificates:
    """A CA of its own and server certificates, made by the openssl command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        added = [word for extension in extensions for word in ("-addext", extension)]
        made = ("-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA", *added)
        self._run("req", "-x509", *NEW_KEY, *made)
        self.ca = str(folder / "ca.pem")

    def server_context(self, names: str, *, days: int = 2, self_signed: bool = False) -> ssl.SSLContext:
        """names as in subjectAltName; a negative number of days makes an expired certificate."""
        key, request, pem = "server.key", "server.csr", "server.pem"
        self._run("req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=shop")
        (self.folder / "ext").write_text(f"subjectAltName={names}\n")
        signer = (
            ["-signkey", key] if self_signed else ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"]
        )
        self._run("x509", "-req", "-in", request, *signer, "-out", pem, "-days", str(days), "-extfile", "ext")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / pem, self.folder / key)
        return context

    def _run(self, *command: str) -> None:
        subprocess.run(["openssl", *command], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the test certificates and is not installed")
    return Certificates(tmp_path_factory.mktemp("certificates"))
