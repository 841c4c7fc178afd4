"""An API over FastHttpUser: JSON, the rest() helper, and a route that fails."""

import os

from locust import FastHttpUser, between, task


class ApiClient(FastHttpUser):
    host = os.environ["SHOP"]
    wait_time = between(0.0, 0.02)

    @task(4)
    def items(self):
        with self.rest("GET", "/api/items") as answer:
            if answer.js is None or len(answer.js["items"]) != 3:
                answer.failure("wrong items")

    @task(2)
    def add(self):
        self.client.post("/api/cart", json={"item": 1}, name="add to cart")

    @task
    def broken(self):
        self.client.get("/broken")
