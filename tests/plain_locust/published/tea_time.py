"""A shop of teas: one task that is a whole visit, with loops, chance, and numbers from links of the pages."""

import logging
from random import choice, randint

from locust import HttpUser, task

logging.getLogger().setLevel(logging.INFO)


class TeaVisitor(HttpUser):
    @task
    def load(self) -> None:
        self.visit_home()
        self.login()
        while True:
            self.browse()
            if choice([True, False]):
                break
        if choice([True, False]):
            self.buy()
        self.visit_profile()
        self.logout()

    def visit_home(self) -> None:
        res = self.client.get("/")
        if res.ok:
            logging.debug("Loaded landing page.")
        else:
            logging.error(f"Could not load landing page: {res.status_code}")

    def login(self) -> None:
        self.client.get("/login")
        user = randint(1, 99)
        login_request = self.client.post("/loginAction", params={"username": user, "password": "password"})
        if login_request.ok:
            logging.debug(f"Login with username: {user}")

    def browse(self) -> None:
        for _ in range(1, randint(2, 5)):
            category_id = randint(2, 6)
            page = randint(1, 5)
            category_request = self.client.get("/category", params={"page": page, "category": category_id})
            if category_request.ok:
                product = self.client.get("/product", params={"id": randint(7, 506)})
                if product.ok:
                    self.client.post("/cartAction", params={"addToCart": "", "productid": randint(7, 506)})

    def buy(self) -> None:
        user_data = {"firstname": "User", "cardtype": "volvo", "confirm": "Confirm"}
        self.client.post("/cartAction", params=user_data)

    def visit_profile(self) -> None:
        self.client.get("/profile")

    def logout(self) -> None:
        self.client.post("/loginAction", params={"logout": ""})
