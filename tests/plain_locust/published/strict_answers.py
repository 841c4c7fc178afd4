"""Answers that are judged by their content: with blocks that fail, succeed, raise and are left early."""

import json

from locust import HttpUser, constant, task
from locust.exception import RescheduleTask


class StrictUser(HttpUser):
    wait_time = constant(0)

    @task
    def wanted_404(self):
        with self.client.get("/does/not/exist/404", catch_response=True, name="gone is fine") as response:
            if response.status_code == 404:
                response.success()

    @task
    def content(self):
        with self.client.get("/api/price", catch_response=True) as response:
            try:
                if response.json()["amount"] <= 0:
                    response.failure("Got wrong price")
                elif response.elapsed.total_seconds() > 20:
                    response.failure("Request took too long")
            except (json.JSONDecodeError, KeyError):
                response.failure("Response could not be decoded")

    @task
    def not_json(self):
        with self.client.get("/api/not-json", catch_response=True) as response:
            try:
                response.json()["greeting"]
            except ValueError:
                response.failure("Response could not be decoded as JSON")

    @task
    def reschedule(self):
        with self.client.get("/maybe/503", catch_response=True) as response:
            if response.status_code == 503:
                response.failure("busy")
                raise RescheduleTask()
        self.client.get("/never")

    @task
    def server_error(self):
        answer = self.client.get("/maybe/500")
        if answer.ok:
            raise RuntimeError("a 500 is not ok")
        try:
            answer.raise_for_status()
        except Exception as error:  # as published files do
            self.last = str(error)

    @task
    def no_body(self):
        with self.client.get("/empty/204", catch_response=True) as response:
            if response.text or not response.ok:
                response.failure("a body")
