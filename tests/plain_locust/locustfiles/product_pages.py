"""A shop window: weighted tasks, a sign-in, names of groups, answers judged by hand."""

import os

from locust import HttpUser, between, task


class WindowShopper(HttpUser):
    host = os.environ["SHOP"]
    wait_time = between(0.01, 0.05)

    def on_start(self):
        self.client.post("/login", data={"user": "mia", "password": "x"})

    @task(5)
    def product(self):
        for number in range(3):
            self.client.get(f"/products/{number}", name="/products/[id]")

    @task(2)
    def account(self):
        with self.client.get("/account", catch_response=True) as answer:
            if answer.text != "account":
                answer.failure("not signed in")

    @task
    def gone(self):
        self.client.get("/missing/page")

    @task
    def expected_error(self):
        with self.client.get("/broken", catch_response=True) as answer:
            if answer.status_code == 500:
                answer.success()

    @task
    def slow_report(self):
        self.client.get("/report")
