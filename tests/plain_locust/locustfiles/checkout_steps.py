"""A checkout in a fixed order, with a nested set of tasks that interrupts itself."""

import os

from locust import HttpUser, SequentialTaskSet, TaskSet, constant, task


class Browsing(TaskSet):
    @task(2)
    def look(self):
        self.client.get("/category?page=2", name="/category")

    @task
    def done(self):
        self.interrupt(reschedule=False)


class Checkout(SequentialTaskSet):
    browse = task(Browsing)

    @task
    def basket(self):
        self.client.post("/basket", json={"sku": "L-7"})

    @task
    def pay(self):
        with self.client.rename_request("pay"):
            self.client.post("/payment/4711")
            self.client.get("/payment/4711/state")


class Buyer(HttpUser):
    host = os.environ["SHOP"]
    wait_time = constant(0.01)
    tasks = [Checkout]  # noqa: RUF012  as people write it
