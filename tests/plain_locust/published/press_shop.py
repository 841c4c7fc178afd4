"""A blog with a shop: forms, nonces in the page, add to cart by a query string, a redirect after checkout."""

import re

from locust import HttpUser, SequentialTaskSet, between, task

NONCE = re.compile(r'name="_wpnonce" value="([^"]+)"')


class Order(SequentialTaskSet):
    def on_start(self):
        self.nonce = None

    @task
    def shop_page(self):
        page = self.client.get("/shop/")
        self.nonce = NONCE.search(page.text).group(1)

    @task
    def category(self):
        self.client.get("/product-category/hoodies/?orderby=price", name="/product-category/[slug]/")

    @task
    def product(self):
        self.client.get("/product/hoodie-with-logo/", name="/product/[slug]/")

    @task
    def add(self):
        self.client.post("/?wc-ajax=add_to_cart", {"product_id": 40, "quantity": 1})

    @task
    def refresh(self):
        self.client.post("/?wc-ajax=get_refreshed_fragments", name="fragments")

    @task
    def checkout(self):
        form = {"billing_email": "cara@example.org", "payment_method": "cod", "_wpnonce": self.nonce}
        answer = self.client.post("/checkout/", data=form, headers={"Referer": self.user.host + "/checkout/"})
        if "order-received" not in answer.url:
            raise AssertionError("no order: " + answer.url)

    @task
    def leave(self):
        self.interrupt()


class PressBuyer(HttpUser):
    tasks = {Order: 1}
    wait_time = between(2, 5)
