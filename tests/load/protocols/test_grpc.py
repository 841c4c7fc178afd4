"""Unary gRPC calls against a grpcio server: messages, metadata, statuses, time limits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.settings import HttpSettings
from doorbuster.storefronts import Rejected

pytestmark = pytest.mark.truth
pytest.importorskip("h2")
pytest.importorskip("grpc")

from doorbuster.load.protocols.grpc import GrpcChannel  # noqa: E402  needs h2


@pytest.fixture(scope="module")
def server_url():
    process = subprocess.Popen(
        [sys.executable, Path(__file__).parent / "grpc_server.py"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.stdin.close()
    process.wait(20)
    process.stdout.close()


@pytest.fixture
def client(server_url):
    step = CurrentStep()
    step.name, step.deadline_at = "stock", time.perf_counter() + 10
    made = HttpClient(server_url, settings=HttpSettings(), step=step)
    yield made
    made.close()


@pytest.fixture
def channel(client):
    made = GrpcChannel(client)
    yield made
    made.close()


class Message:
    """What a protobuf class looks like from here."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def SerializeToString(self) -> bytes:  # noqa: N802
        return self.data

    @classmethod
    def FromString(cls, data: bytes) -> Message:  # noqa: N802
        return cls(data)


def test_calls_share_a_connection_and_are_recorded(client, channel):
    assert channel.unary("shop.Stock/Echo", b"abc") == b"cba"
    answer = channel.unary("/shop.Stock/Echo", Message(b"xy"), Message, metadata={"X-Tenant": "!"})
    assert answer.data == b"yx!"
    first, second = client.step.exchanges
    assert (first.cause, second.cause, first.name) == ("", "", "stock")
    assert first.connect_s > 0 == second.connect_s
    assert client.connections_opened == 1
    assert 0 < second.ended_at - second.started_at < 1


def test_an_empty_and_a_large_message(channel):
    assert channel.unary("shop.Stock/Echo", b"") == b""
    data = os.urandom(5_000)
    assert channel.unary("shop.Stock/Large", data) == data * 1000


@pytest.mark.parametrize(("method", "cause", "detail"), [
    ("Fails", "grpc_unavailable", "the stock is closed: 100 %"),
    ("Missing", "grpc_unimplemented", "Method not found!"),
])  # fmt: skip
def test_another_status_is_a_failure_of_the_step(client, channel, method, cause, detail):
    with pytest.raises(Rejected) as failed:
        channel.unary(f"shop.Stock/{method}", b"")
    assert failed.value.cause == client.step.exchanges[-1].cause == cause
    assert client.step.exchanges[-1].detail == detail
    assert channel.unary("shop.Stock/Echo", b"ab") == b"ba"
    assert client.connections_opened == 1


def test_patience_ends_a_call(client, channel):
    channel.unary("shop.Stock/Echo", b"")
    client.step.deadline_at = time.perf_counter() + 0.3
    with pytest.raises(Rejected) as failed:
        channel.unary("shop.Stock/Slow", b"")
    assert failed.value.cause in ("total_timeout", "grpc_deadline_exceeded")
    last = client.step.exchanges[-1]
    assert 0.28 <= last.ended_at - last.started_at < 0.6


def test_a_dead_server(client):
    with pytest.raises(Rejected) as failed:
        GrpcChannel(client, "http://127.0.0.1:1").unary("shop.Stock/Echo", b"")
    assert failed.value.cause == client.step.exchanges[-1].cause == "connect_refused"
