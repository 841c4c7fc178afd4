"""A load shape in stages, which ends by itself."""

import os

from locust import HttpUser, LoadTestShape, constant, task


class Visitor(HttpUser):
    host = os.environ["SHOP"]
    wait_time = constant(0.02)

    @task
    def home(self):
        self.client.get("/")


class Stages(LoadTestShape):
    stages = ((1, 2, 2), (3, 5, 3))

    def tick(self):
        for until_s, users, rate in self.stages:
            if self.get_run_time() < until_s:
                return users, rate
        return None
