"""Users of a WebSocket: they subscribe and wait for the answer, while the server pushes prices."""

import json
import os
import time

import gevent
import websocket
from gevent.event import AsyncResult
from locust import User, constant, task


class PriceUser(User):
    host = os.environ["PRICES"]
    wait_time = constant(0.02)

    def on_start(self):
        self._waiting = {}
        self._number = 0
        self._call("connect", lambda: setattr(self, "_socket", websocket.create_connection(self.host)))
        self._receiver = gevent.spawn(self._receive)

    def on_stop(self):
        self._receiver.kill()
        self._socket.close()

    @task(3)
    def subscribe(self):
        self._call("subscribe", lambda: self._ask({"sku": "LAMP"}))

    @task
    def subscribe_to_nothing(self):
        self._call("subscribe to nothing", lambda: self._ask({"sku": "NONE"}))

    def _ask(self, message):
        self._number += 1
        answer = self._waiting[self._number] = AsyncResult()
        self._socket.send(json.dumps({**message, "id": self._number}))
        found = answer.get(timeout=5)
        if "error" in found:
            raise ValueError(found["error"])
        return len(json.dumps(found))

    def _receive(self):
        while True:
            message = json.loads(self._socket.recv())
            if "push" in message:
                self._fire("price", None, len(message), None)
            else:
                self._waiting.pop(message["id"]).set(message)

    def _call(self, name, act):
        began, error, length = time.perf_counter(), None, 0
        try:
            length = act() or 0
        except Exception as caught:  # noqa: BLE001  recorded with the request
            error = caught
        self._fire(name, (time.perf_counter() - began) * 1000, length, error)

    def _fire(self, name, response_time, length, error):
        self.environment.events.request.fire(
            request_type="WS", name=name, response_time=response_time, response_length=length,
            exception=error, context={},
        )  # fmt: skip
