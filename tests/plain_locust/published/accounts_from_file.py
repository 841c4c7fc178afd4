"""Credentials from a table that users share: each takes one, and gives it back at the end."""

import csv
import io
from collections import deque

from locust import HttpUser, between, events, task

TABLE = "login,password\nann,one\nbea,two\ncid,three\n"
accounts = deque()


@events.test_start.add_listener
def fill(environment, **kwargs):
    accounts.clear()
    accounts.extend((row["login"], row["password"]) for row in csv.DictReader(io.StringIO(TABLE)))


class AccountHolder(HttpUser):
    wait_time = between(0.1, 0.2)
    account = ("guest", "guest")

    def on_start(self):
        if accounts:
            self.account = accounts.popleft()
        login, password = self.account
        with self.client.post(
            "/api/sessions", {"login": login, "password": password}, catch_response=True
        ) as answer:
            if answer.status_code == 401:
                answer.failure("wrong password")
            elif answer.elapsed.total_seconds() > 30:
                answer.failure("too slow")

    def on_stop(self):
        self.client.delete("/api/sessions/current")
        if self.account[0] != "guest":
            accounts.append(self.account)

    @task
    def orders(self):
        self.client.get("/api/orders", auth=self.account)
        self.client.get("/api/orders/latest", auth=self.account, name="/api/orders/[which]")
