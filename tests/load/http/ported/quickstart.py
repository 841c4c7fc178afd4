"""The quickstart of every load tester: a few pages, weights, a login, grouped names."""

from __future__ import annotations

from locust import between, task

from doorbuster.load.locust_plugin.http_user import HttpUser


class QuickstartUser(HttpUser):
    wait_time = between(0.01, 0.05)

    def on_start(self):
        self.client.post("/login", json={"username": "foo", "password": "bar"})

    @task
    def hello_world(self):
        self.client.get("/hello")
        self.client.get("/world")

    @task(3)
    def view_items(self):
        for item_id in range(3):
            self.client.get(f"/item?id={item_id}", name="/item")
