"""Several kinds of users: an abstract base class, weights, one fixed user, and a sign-out at the end."""

from locust import HttpUser, constant, task


class Base(HttpUser):
    abstract = True
    wait_time = constant(0)

    def on_start(self):
        self.client.post("/sign-in", data={"role": self.role}, name=f"sign in {self.role}")

    def on_stop(self):
        self.client.get("/sign-out", name=f"sign out {self.role}")

    @task
    def home(self):
        self.client.get("/home", name=f"home {self.role}")


class Public(Base):
    weight = 3
    role = "public"

    @task(2)
    def list(self):
        self.client.get("/list?page=1#top", name="/list")


class Staff(Base):
    fixed_count = 1
    role = "staff"

    @task
    def report(self):
        self.client.get("/report", params={"from": "2026-01-01", "to": "2026-01-31"})
