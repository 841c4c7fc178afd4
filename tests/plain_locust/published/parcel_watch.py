"""Asks for the state of an order until it has been sent, and retries what was refused for a moment."""

import time

from locust import HttpUser, constant, task


class Waiting(HttpUser):
    wait_time = constant(0)

    @task
    def place_and_wait(self):
        order = self.client.post("/api/parcels", json={"lines": [1, 2]}).json()["number"]
        give_up_at = time.time() + 20
        while time.time() < give_up_at:
            state = self.client.get(f"/api/parcels/{order}", name="/api/parcels/[number]").json()
            if state["state"] == "sent":
                break
        else:
            raise TimeoutError("never sent")

    @task
    def refused_at_first(self):
        for attempt in range(3):
            with self.client.post("/api/slots", json={"try": attempt}, catch_response=True) as answer:
                if answer.status_code == 429:
                    answer.success()
                    time.sleep(float(answer.headers.get("Retry-After", 0)))
                    continue
                break
