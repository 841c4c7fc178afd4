"""Demo store of microservices: weighted tasks, a session header, JSON carts, checkout with listed people."""

import random
import uuid

from locust import HttpUser, between, task

SHOPPERS = [
    {"email": "ana@example.org", "address": {"city": "Lisbon", "zipCode": "1000"}, "userCurrency": "EUR"},
    {"email": "bo@example.org", "address": {"city": "Aarhus", "zipCode": "8000"}, "userCurrency": "DKK"},
]
SCOPES = ["OLJ1", "66VC", "1YMW", "L9EC"]


class StoreVisitor(HttpUser):
    wait_time = between(1, 10)

    def on_start(self):
        self.session = str(uuid.uuid4())
        self.client.headers.update({"X-Session": self.session, "baggage": "synthetic=true"})
        self.index()

    @task(1)
    def index(self):
        self.client.get("/")

    @task(10)
    def browse_product(self):
        self.client.get("/api/products/" + random.choice(SCOPES))

    @task(3)
    def recommendations(self):
        self.client.get("/api/recommendations", params={"productIds": [random.choice(SCOPES)]})

    @task(3)
    def ads(self):
        self.client.get("/api/data/", params={"contextKeys": [random.choice(["lenses", None])]})

    @task(3)
    def view_cart(self):
        self.client.get("/api/cart")

    @task(2)
    def add_to_cart(self, user=None):
        product = random.choice(SCOPES)
        self.client.get("/api/products/" + product)
        item = {"item": {"productId": product, "quantity": random.choice([1, 2, 5])}, "userId": user or "me"}
        self.client.post("/api/cart", json=item)

    @task(1)
    def checkout(self):
        self.add_to_cart(user=self.session)
        person = dict(random.choice(SHOPPERS), userId=self.session)
        self.client.post("/api/checkout", json=person)

    @task(1)
    def checkout_of_many(self):
        for _ in range(random.choice([2, 3])):
            self.add_to_cart()
        self.client.post("/api/checkout", json=dict(random.choice(SHOPPERS)))
