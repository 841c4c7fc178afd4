"""A gRPC server (grpcio) for tests: echoes, waits, fails. Prints its port; ends with its standard input."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import grpc


def echo(request: bytes, context: grpc.ServicerContext) -> bytes:
    sent = dict(context.invocation_metadata())
    return request[::-1] + sent.get("x-tenant", "").encode()


def slow(request: bytes, context: grpc.ServicerContext) -> bytes:
    time.sleep(2 if context.time_remaining() is None else min(2.0, context.time_remaining() + 0.5))
    return request


def large(request: bytes, _: grpc.ServicerContext) -> bytes:
    return request * 1000


def fails(_: bytes, context: grpc.ServicerContext) -> bytes:
    context.abort(grpc.StatusCode.UNAVAILABLE, "the stock is closed: 100 %")


def main() -> None:
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
    methods = {
        call.__name__.title(): grpc.unary_unary_rpc_method_handler(call)
        for call in (echo, slow, large, fails)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", methods),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


if __name__ == "__main__":
    main()
