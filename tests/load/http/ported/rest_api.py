"""A JSON API with a token, in the style of FastHttpUser's rest()."""

from __future__ import annotations

from locust import constant, task

from doorbuster.load.locust_plugin.http_user import HttpUser


class ApiUser(HttpUser):
    wait_time = constant(0.01)
    connection_timeout = 5.0
    network_timeout = 5.0
    default_headers = {"X-Traffic": "load-test"}  # noqa: RUF012 - as Locust files write it

    def on_start(self):
        with self.rest("POST", "/api/login", json={"user": "ann"}) as response:
            self.client.headers["Authorization"] = f"Bearer {response.js['token']}"

    @task(3)
    def orders(self):
        with self.rest("GET", "/api/orders") as response:
            assert response.js["orders"], "no orders"
            assert response.status_code == 200

    @task(1)
    def not_json(self):
        with self.rest("GET", "/api/broken") as response:
            assert response.js is None

    @task(1)
    def stamped(self):
        with self.rest_("GET", "/api/stamped") as response:
            assert response.js == {}
