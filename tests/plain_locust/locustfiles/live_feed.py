"""A WebSocket-like user: it sends, and a greenlet of its own receives what the server pushes."""

import os
import socket
import time
from urllib.parse import urlsplit

import gevent
from locust import User, constant, events, task


class FeedUser(User):
    host = os.environ["FEED"]
    wait_time = constant(0.02)

    def on_start(self):
        parts = urlsplit(self.host)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._file = self._socket.makefile("rb")
        self._sent_at = {}
        self._number = 0
        self._receiver = gevent.spawn(self._receive)

    def on_stop(self):
        self._receiver.kill()
        self._socket.close()

    def _receive(self):
        for line in self._file:
            kind, _, number = line.decode().strip().partition(" ")
            took_ms = (time.perf_counter() - self._sent_at[number]) * 1000
            events.request.fire(
                request_type="WSR",
                name="pushed" if kind == "push" else "answer",
                response_time=took_ms if kind == "echo" else None,
                response_length=len(line),
                exception=None,
                context={},
            )

    @task
    def subscribe(self):
        self._number += 1
        number = str(self._number)
        self._sent_at[number] = time.perf_counter()
        self._socket.sendall(number.encode() + b"\n")
        events.request.fire(
            request_type="WSS",
            name="subscribe",
            response_time=0.0,
            response_length=0,
            exception=None,
            context={},
        )
