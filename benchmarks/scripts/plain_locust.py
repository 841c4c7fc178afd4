"""The same journey with Locust's own users; they make it again and again and never think.

BENCH_WAIT=1: they search, look, fill the basket, and wait.
"""

from __future__ import annotations

import os

import gevent
from locust import FastHttpUser, HttpUser

WAIT = "BENCH_WAIT" in os.environ


class _Journey:
    def journey(self) -> None:
        self.get("/home", 200)
        found = self.get("/search", 200).json()["products"][0]["id"]
        self.get(f"/product/{found}", 200, name="/product/[id]")
        self.post("/basket", 200, {"sku": found})
        self.post("/checkout", 201, {"key": "k"})
        if WAIT:
            gevent.sleep(600)

    def get(self, url: str, status: int, **options):
        response = self.client.get(url, **options)
        assert response.status_code == status
        return response

    def post(self, url: str, status: int, json: dict) -> None:
        assert self.client.post(url, json=json).status_code == status


class FastShopper(_Journey, FastHttpUser):
    tasks = [_Journey.journey]  # noqa: RUF012  Locust's own way


class Shopper(_Journey, HttpUser):
    tasks = [_Journey.journey]  # noqa: RUF012  Locust's own way
