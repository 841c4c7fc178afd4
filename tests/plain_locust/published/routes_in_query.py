"""A shop whose pages are all index.php: routes in the query, links with numbers, parameters as pairs."""

import random
import re

from locust import HttpUser, TaskSet, between, task


class Browse(TaskSet):
    products = []

    def on_start(self):
        page = self.client.get("/index.php?route=common/home", name="home")
        self.products = re.findall(r"product_id=(\d+)", page.text)

    @task(4)
    def product(self):
        pairs = [("route", "product/product"), ("product_id", random.choice(self.products))]
        self.client.get("/index.php", params=pairs, name="product")

    @task(2)
    def search(self):
        self.client.get("/index.php", params={"route": "product/search", "search": "mac & co"}, name="search")

    @task(1)
    def cart(self):
        form = {"product_id": random.choice(self.products), "quantity": "1", "option[]": ["a", "b"]}
        with self.client.post(
            "/index.php?route=checkout/cart/add", data=form, name="add", catch_response=True
        ) as r:
            if "success" not in r.json():
                r.failure("not added")
        self.client.get("/index.php?route=checkout/cart", name="cart")


class QueryShopper(HttpUser):
    tasks = [Browse]
    wait_time = between(1, 5)
