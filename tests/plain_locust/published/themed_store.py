"""A hosted store with themes: cart.js, sections, repeated query values, cookies that are read and set."""

from locust import FastHttpUser, constant, task


class ThemeVisitor(FastHttpUser):
    wait_time = constant(0)
    network_timeout = 20.0
    connection_timeout = 10.0

    @task(2)
    def collection(self):
        self.client.get("/collections/all?page=2&filter.v.availability=1", name="/collections/[handle]")
        self.client.get("/products/lamp?variant=41", name="/products/[handle]")

    @task
    def add(self):
        with self.client.post("/cart/add.js", data={"id": 41, "quantity": 1}, catch_response=True) as answer:
            if answer.status_code == 200 and answer.json()["id"] != 41:
                answer.failure("another item")
        self.client.get("/cart.js")
        self.client.get("/?sections=cart-drawer,header")
        self.client.post("/cart/change.js", json={"line": 1, "quantity": 0})

    @task
    def checkout(self):
        self.client.get("/checkout", allow_redirects=False)
        self.client.get("/checkout", name="/checkout followed")
