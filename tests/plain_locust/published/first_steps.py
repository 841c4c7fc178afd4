"""What a tutorial begins with: sign in once, then two light pages and one that is visited ten times."""

import time

from locust import HttpUser, between, task


class QuickstartUser(HttpUser):
    wait_time = between(1, 2.5)

    @task
    def hello_world(self):
        self.client.get("/hello")
        self.client.get("/world")

    @task(3)
    def view_items(self):
        for item_id in range(10):
            self.client.get(f"/item?id={item_id}", name="/item")
            time.sleep(0.001)

    def on_start(self):
        self.client.post("/login", json={"username": "foo", "password": "bar"})
