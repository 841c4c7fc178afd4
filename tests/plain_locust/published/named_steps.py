"""A funnel in order: sequential sets inside one another, request names set for a stretch of calls."""

from locust import HttpUser, SequentialTaskSet, constant, task


class Address(SequentialTaskSet):
    @task
    def street(self):
        self.client.post("/funnel/street", {"street": "Ringvägen 7"})

    @task(2)
    def city(self):
        self.client.post("/funnel/city", {"city": "Malmö"})
        self.interrupt(reschedule=True)


class Funnel(SequentialTaskSet):
    @task
    def enter(self):
        self.client.request_name = "enter"
        self.client.get("/funnel?source=ad-17")
        self.client.get("/funnel?source=ad-18")
        self.client.request_name = None

    tasks = [Address]

    @task
    def out(self):
        self.client.request("POST", "/funnel/done", json=None, data=None)
        self.interrupt()


class FunnelUser(HttpUser):
    wait_time = constant(0)
    tasks = [Funnel]
