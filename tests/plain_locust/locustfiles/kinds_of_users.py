"""Several user classes: weights, a fixed number of one of them, tags on tasks."""

import os

from locust import FastHttpUser, HttpUser, constant_pacing, tag, task


class NewsReader(HttpUser):
    host = os.environ["SHOP"]
    weight = 3
    wait_time = constant_pacing(0.05)

    @tag("read")
    @task
    def read(self):
        self.client.get("/news")

    @tag("write")
    @task
    def comment(self):
        self.client.post("/comments", data={"text": "nice"})


class Robot(FastHttpUser):
    host = os.environ["SHOP"]
    fixed_count = 1
    wait_time = constant_pacing(0.1)

    @tag("write")
    @task
    def sitemap(self):
        self.client.get("/sitemap")
