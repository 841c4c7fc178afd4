"""A boutique on many services: functions as tasks with weights in a dictionary, form posts that redirect."""

import random

from locust import FastHttpUser, TaskSet, between

products = ["0PUK6V6EV0", "1YMWWN1N4O", "2ZYFJ3GM2N"]


def index(l):  # noqa: E741 - as published
    l.client.get("/")


def set_currency(l):  # noqa: E741
    l.client.post("/setCurrency", {"currency_code": random.choice(["EUR", "USD", "JPY"])})


def browse(l):  # noqa: E741
    l.client.get("/product/" + random.choice(products))


def view_cart(l):  # noqa: E741
    l.client.get("/cart")


def add(l):  # noqa: E741
    product = random.choice(products)
    l.client.get("/product/" + product)
    l.client.post("/cart", {"product_id": product, "quantity": random.randint(1, 10)})


def checkout(l):  # noqa: E741
    add(l)
    l.client.post(
        "/cart/checkout", {"email": "f@example.org", "credit_card_cvv": f"{random.randint(100, 999)}"}
    )


def logout(l):  # noqa: E741
    l.client.get("/logout")


class Behaviour(TaskSet):
    def on_start(self):
        index(self)

    tasks = {index: 1, set_currency: 2, browse: 10, add: 2, view_cart: 3, checkout: 1, logout: 1}


class BoutiqueUser(FastHttpUser):
    tasks = [Behaviour]
    wait_time = between(1, 10)
