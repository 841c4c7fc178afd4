"""A REST shop whose carts have secret names in their addresses: long prefixes, grouped names, JSON text."""

import random

from locust import HttpUser, between, task

SKUS = ["24-MB01", "24-MB04", "WS12-M-Orange"]


class GuestBuyer(HttpUser):
    wait_time = between(0.1, 1)

    @task(3)
    def browse(self):
        query = {"searchCriteria[pageSize]": 5, "searchCriteria[currentPage]": random.randint(1, 3)}
        self.client.get("/rest/V1/products", params=query, name="/rest/V1/products")
        self.client.get(f"/rest/V1/products/{random.choice(SKUS)}", name="/rest/V1/products/[sku]")

    @task(1)
    def purchase(self):
        cart = self.client.post("/rest/V1/guest-carts").json()
        base = f"/rest/V1/guest-carts/{cart}"
        item = {"cartItem": {"quote_id": cart, "sku": random.choice(SKUS), "qty": 1}}
        self.client.post(f"{base}/items", json=item, name="/rest/V1/guest-carts/[id]/items")
        with self.client.rename_request("/rest/V1/guest-carts/[id]/totals"):
            self.client.get(f"{base}/totals")
        paid = {"paymentMethod": {"method": "checkmo"}, "email": "g@example.org"}
        with self.client.post(
            f"{base}/payment-information", json=paid, name="order", catch_response=True
        ) as answer:
            if not answer.text.strip('"').isdigit():
                answer.failure("no order number: " + answer.text)
