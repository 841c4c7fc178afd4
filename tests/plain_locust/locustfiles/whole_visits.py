"""Visits that can be counted: one page at the start, one at the end, and tasks in nested sets between."""

import os

from locust import HttpUser, SequentialTaskSet, TaskSet, constant, task


class Shelf(TaskSet):
    wait_time = constant(0.002)

    @task(3)
    def look(self):
        self.client.get("/task", name="task")

    @task
    def leave(self):
        self.client.get("/task", name="task")
        self.interrupt()


class Checkout(SequentialTaskSet):
    @task
    def basket(self):
        self.client.post("/task", name="task")

    @task
    def pay(self):
        self.client.post("/task", name="task")


class Walker(HttpUser):
    host = os.environ["SHOP"]
    weight = 2
    wait_time = constant(0.001)

    def on_start(self):
        self.client.get("/start")

    def on_stop(self):
        self.client.get("/end")

    @task
    def page(self):
        self.client.get("/task", name="task")

    tasks = [page, Shelf]  # noqa: RUF012  as people write it


class Buyer(Walker):
    weight = 1
    tasks = [Checkout]  # noqa: RUF012  as people write it
