"""A gRPC user in the style of Locust's documentation: an interceptor fires an event for each call."""

import os
import time
from contextlib import suppress

import grpc
import grpc.experimental.gevent as grpc_gevent
from locust import User, constant, task

grpc_gevent.init_gevent()


class Recorded(grpc.UnaryUnaryClientInterceptor):
    def __init__(self, environment):
        self.environment = environment

    def intercept_unary_unary(self, continuation, call_details, request):
        started_at = time.perf_counter()
        start_time, answer, error = time.time(), b"", None
        call = continuation(call_details, request)
        try:
            answer = call.result()
        except grpc.RpcError as failure:
            error = failure
        self.environment.events.request.fire(
            request_type="grpc", name=call_details.method, response_length=len(answer), response=call,
            response_time=(time.perf_counter() - started_at) * 1000, exception=error, start_time=start_time,
            context={},
        )  # fmt: skip
        return call


class PriceUser(User):
    host = os.environ["PRICES"]
    wait_time = constant(0.1)

    def on_start(self):
        channel = grpc.intercept_channel(grpc.insecure_channel(self.host), Recorded(self.environment))
        self.price = channel.unary_unary("/shop.Prices/Get")
        self.channel = channel

    @task
    def read(self):
        self.price(b"A1")
        with suppress(grpc.RpcError):
            self.price(b"NONE")
