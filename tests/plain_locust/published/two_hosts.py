"""Shop and payment provider: a second session for another host, with its own base address."""

from locust import HttpUser, constant, task
from locust.clients import HttpSession


class TwoHosts(HttpUser):
    wait_time = constant(0)

    def __init__(self, environment):
        super().__init__(environment)
        self.payments = HttpSession(base_url=self.host, request_event=self.client.request_event, user=self)

    @task
    def pay(self):
        self.client.get("/basket")
        self.payments.post("/payments", json={"amount": 12.5})
        self.client.get("/thanks")
