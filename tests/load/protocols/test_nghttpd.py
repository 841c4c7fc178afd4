"""HTTP/2 against nghttpd, the server of nghttp2: another implementation than nginx, with small windows."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import gevent
import pytest
from tls_server import free_port, is_listening, make_certificate

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.settings import HttpSettings

pytest.importorskip("h2")

from doorbuster.load.protocols.http2_client import Http2Client


class NgHttpd:
    def __init__(self, folder, *options):
        port = free_port()
        (folder / "page").write_bytes(b"hello")
        (folder / "large").write_bytes(os.urandom(2_000_000))
        make_certificate(folder)
        self.folder, self.url, self.ca_file = folder, f"https://127.0.0.1:{port}", str(folder / "cert.pem")
        self.process = subprocess.Popen(
            ["nghttpd", "-d", folder, "-a", "127.0.0.1", *options, str(port), "key.pem", "cert.pem"],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert is_listening(port), "nghttpd does not listen"

    def end(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def start(tmp_path):
    if shutil.which("nghttpd") is None or shutil.which("openssl") is None:
        pytest.skip("needs nghttpd and openssl: apt-get install nghttp2-server openssl")
    servers, clients = [], []

    def begin(*options):
        server = NgHttpd(tmp_path, *options)
        servers.append(server)
        step = CurrentStep()
        step.name, step.deadline_at = "step", time.perf_counter() + 10
        client = Http2Client(
            server.url, settings=HttpSettings(ca_file=server.ca_file), step=step,
            on_exchange=step.exchanges.append,
        )  # fmt: skip
        clients.append(client)
        return server, client

    yield begin
    for client in clients:
        client.close()
    for server in servers:
        server.end()


def test_small_windows_and_few_streams(start):
    server, client = start("-w", "14", "-W", "14", "-m", "3", "--echo-upload")
    pages = client.get_all(["/page"] * 30 + ["/large"] * 3)
    assert [page.content for page in pages[:30]] == [b"hello"] * 30
    assert {page.content for page in pages[30:]} == {(server.folder / "large").read_bytes()}
    body = os.urandom(400_000)
    echoes = [gevent.spawn(client.post, "/page", data=body) for _ in range(5)]
    assert [echo.get().content for echo in echoes] == [body] * 5
    assert client.connections_opened == 1
    assert {one.cause for one in client.step.exchanges} == {""}


def test_an_answer_before_the_body_is_sent_ends_the_request(start):
    _, client = start("--early-response")
    answers = [client.post("/page", data=bytes(3_000_000)) for _ in range(3)]
    assert [answer.content for answer in answers] == [b"hello"] * 3
    assert client.get("/page").text == "hello"
    assert client.connections_opened == 1


def test_trailers_and_statuses(start):
    _, client = start("--trailer", "checked: yes")
    assert client.get("/page").text == "hello"
    assert client.get("/missing").error.cause == "status_4xx"
    assert client.head("/large").headers["content-length"] == "2000000"
    assert client.get("/page").text == "hello"


def test_a_server_that_ends_while_the_customer_thinks_is_noticed(start):
    server, client = start()
    assert client.get("/page").text == "hello"
    (connection,) = client._shared.values()
    server.end()
    gevent.sleep(0.1)
    assert connection.is_closing, "read while nobody waits"
    assert client.get("/page").error.cause == "connect_refused"
