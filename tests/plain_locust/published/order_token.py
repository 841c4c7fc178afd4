"""A storefront API with a token per order: headers per call, PATCH between the states of a checkout."""

from locust import HttpUser, constant_pacing, task


class TokenBuyer(HttpUser):
    wait_time = constant_pacing(0.01)

    def on_start(self):
        self.client.headers["Accept"] = "application/vnd.api+json"

    @task
    def buy(self):
        made = self.client.post("/api/v2/storefront/cart")
        token = made.json()["data"]["attributes"]["token"]
        headers = {"X-Spree-Order-Token": token, "Content-Type": "application/vnd.api+json"}
        line = '{"variant_id": "7", "quantity": 1}'
        self.client.post("/api/v2/storefront/cart/add_item", data=line, headers=headers)
        for state in ("address", "delivery", "payment"):
            self.client.patch("/api/v2/storefront/checkout/next", json={"state": state}, headers=headers)
        done = self.client.patch("/api/v2/storefront/checkout/complete", headers=headers)
        assert done.headers["Content-Type"].startswith("application/json")
        self.client.get("/api/v2/storefront/order_status", headers={**headers, "Accept": None})
