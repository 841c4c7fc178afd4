"""Tasks as plain functions with weights, and page parts loaded in parallel greenlets."""

import os

from gevent.pool import Group
from locust import HttpUser, between


def overview(user):
    user.client.get("/overview")


def page_with_parts(user):
    user.client.get("/page")
    group = Group()
    for part in ("style", "script", "logo"):
        group.spawn(user.client.get, f"/static/{part}", name="/static")
    group.join()


class PageReader(HttpUser):
    host = os.environ["SHOP"]
    wait_time = between(0.02, 0.06)
    tasks = {overview: 3, page_with_parts: 1}  # noqa: RUF012  as people write it
