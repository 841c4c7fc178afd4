"""A protocol of one's own: a client that fires Locust's request event itself."""

import os
import socket
import time
from urllib.parse import urlsplit

from locust import User, constant, task


class LineClient:
    def __init__(self, address, event):
        parts = urlsplit(address)
        self._file = socket.create_connection((parts.hostname, parts.port)).makefile("rwb")
        self._event = event

    def call(self, name):
        began, exception, answer = time.perf_counter(), None, b""
        try:
            self._file.write(name.encode() + b"\n")
            self._file.flush()
            answer = self._file.readline()
            self._file.readline()
            if name == "refused":
                raise ValueError("refused by the shop")
        except ValueError as error:
            exception = error
        self._event.fire(
            request_type="LINE",
            name=name,
            response_time=(time.perf_counter() - began) * 1000,
            response_length=len(answer),
            exception=exception,
            context={},
        )


class LineUser(User):
    host = os.environ["FEED"]
    wait_time = constant(0.01)

    def __init__(self, environment):
        super().__init__(environment)
        self.client = LineClient(self.host, environment.events.request)

    @task(3)
    def price(self):
        self.client.call("price")

    @task
    def refused(self):
        self.client.call("refused")
