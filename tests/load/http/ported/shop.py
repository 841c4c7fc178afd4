"""A shop in the usual style: nested task sets, cookies, forms, catch_response, expected failures."""

from __future__ import annotations

import random

from locust import SequentialTaskSet, TaskSet, constant, tag, task

from doorbuster.load.locust_plugin.http_user import HttpUser


class Browse(TaskSet):
    @task(5)
    def product(self):
        product = random.randrange(100)
        with self.client.get(f"/product/{product}", name="/product/[id]", catch_response=True) as response:
            if "price" not in response.json():
                response.failure("no price on the page")
            elif response.elapsed.total_seconds() > 5:
                response.failure("too slow")

    @task(1)
    def search(self):
        self.client.get("/search", params={"q": "tinsel"}, name="/search")

    @task(1)
    def sold_out(self):
        with self.client.get("/sold-out", catch_response=True) as response:
            if response.status_code == 404:
                response.success()

    @task(1)
    def leave(self):
        self.interrupt()


class Checkout(SequentialTaskSet):
    @task
    def add(self):
        self.client.post("/cart", data={"sku": "7", "quantity": 1})

    @task
    def cart(self):
        with self.client.get("/cart", catch_response=True) as response:
            if not self.client.cookies.get("basket"):
                response.failure("the basket was forgotten")

    @task
    def pay(self):
        with self.client.post("/checkout", json={"card": "4111"}, catch_response=True) as response:
            if response.status_code >= 500:
                response.failure(f"payment is down: {response.text}")
        self.client.get("/old-thanks")
        self.interrupt()


class ShopUser(HttpUser):
    wait_time = constant(0.01)
    tasks = {Browse: 2, Checkout: 1}  # noqa: RUF012 - as Locust files write it

    @tag("status")
    @task
    def status(self):
        self.client.head("/status")
