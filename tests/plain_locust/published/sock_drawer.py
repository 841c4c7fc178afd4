"""A shop of socks: Basic authentication, a catalogue as JSON, one task that walks through a purchase."""

import base64
from random import choice

from locust import HttpUser, TaskSet, constant, task


class Purchase(TaskSet):
    @task
    def load(self):
        login = base64.b64encode(b"user:password").decode().replace("\n", "")
        catalogue = self.client.get("/catalogue").json()
        item = choice(catalogue)
        self.client.get("/")
        self.client.get("/login", headers={"Authorization": "Basic %s" % login})
        self.client.get("/category.html")
        self.client.get("/detail.html?id={}".format(item["id"]))
        self.client.delete("/cart")
        self.client.post("/cart", json={"id": item["id"], "quantity": 1})
        self.client.get("/basket.html")
        self.client.post("/orders")


class Customer(HttpUser):
    tasks = [Purchase]
    wait_time = constant(0)
