"""Stages of a load shape: the number of users follows a list, whatever the command line says."""

from locust import HttpUser, LoadTestShape, constant, task


class Hungry(HttpUser):
    wait_time = constant(0.1)

    @task
    def menu(self):
        self.client.get("/menu")

    @task
    def order(self):
        self.client.put("/orders/lunch", json={"dish": 4})


class LunchWave(LoadTestShape):
    stages = [
        {"duration": 1, "users": 2, "spawn_rate": 10},
        {"duration": 2, "users": 4, "spawn_rate": 10},
        {"duration": 3, "users": 1, "spawn_rate": 10},
    ]

    def tick(self):
        for stage in self.stages:
            if self.get_run_time() < stage["duration"]:
                return stage["users"], stage["spawn_rate"]
        return None
