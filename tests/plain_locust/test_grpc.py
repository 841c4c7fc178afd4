"""A plain Locust file whose user speaks gRPC, against a real gRPC server."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

grpc = pytest.importorskip("grpc", reason="the gRPC client is not installed: pip install grpcio")

DELAY_S = 0.05
SCENARIO = """
title: Prices over gRPC
locust: {users: 2, spawn_rate: 10, run_time: 3s}
thresholds:
  "http_req_duration{name:/shop.Prices/Get,journey:grpc}": ["p(50)>=50ms", "p(50)<2s"]
  "http_req_failed{name:/shop.Prices/Get}": ["rate>=45%", "rate<=55%"]
"""


@pytest.fixture
def prices():
    """The address of a server that answers one product after DELAY_S and knows no other."""

    def price(request: bytes, context) -> bytes:
        time.sleep(DELAY_S)
        if request == b"NONE":
            context.abort(grpc.StatusCode.NOT_FOUND, "no such product")
        return b"1999"

    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {"Get": grpc.unary_unary_rpc_method_handler(price)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Prices", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.truth
@pytest.mark.parametrize("more", [(), ("--workers", "1")], ids=["one process", "a worker"])
def test_grpc_calls_are_recorded_and_judged_by_their_names(run_plain, prices, tmp_path, more):
    scenario = tmp_path / "prices.yaml"
    scenario.write_text(SCENARIO, encoding="utf-8")
    done = run_plain("grpc_prices.py", *more, scenario, PRICES=prices)
    assert done.code == ExitCode.PASS, done.stdout + done.stderr
    with Run.open(done.folder) as run:
        outcomes = {series.outcome: series.cause for series in run.series}
        assert {series.channel for series in run.series} == {"PriceUser"}
        assert set(outcomes) == {"ok", "failed"}
        assert run.histogram("service").n > 10
