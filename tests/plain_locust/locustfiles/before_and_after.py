"""Listeners around the test: data prepared before, cleaned up after, an exit code of the file's own."""

import os

from locust import HttpUser, constant, events, task
from locust.clients import HttpSession


def session(environment):
    return HttpSession(base_url=os.environ["SHOP"], request_event=environment.events.request, user=None)


@events.test_start.add_listener
def prepare(environment, **_):
    session(environment).post("/prepare")


@events.test_stop.add_listener
def clean_up(environment, **_):
    session(environment).post("/clean-up")


@events.quitting.add_listener
def decide(environment, **_):
    if environment.stats.total.num_requests > 3:
        environment.process_exit_code = 3


class PreparedVisitor(HttpUser):
    host = os.environ["SHOP"]
    wait_time = constant(0.05)

    @task
    def home(self):
        self.client.get("/")
