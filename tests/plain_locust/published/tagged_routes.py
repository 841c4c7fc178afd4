"""Tasks with tags, and helper functions as tasks."""

from locust import HttpUser, constant, tag, task


def stats(user):
    user.client.get("/stats/requests")


def about(user):
    user.client.get("/about", verify=False)


class TaggedUser(HttpUser):
    tasks = [about, stats]
    wait_time = constant(0.01)

    @tag("read")
    @task(2)
    def read(self):
        self.client.get("/articles?page=1&sort=new")

    @tag("write", "slow")
    @task
    def write(self):
        self.client.post("/articles", data='{"title": "t"}', headers={"Content-Type": "application/json"})
        self.client.patch("/articles/1", json={"title": "u"})

    @tag("write")
    @task
    def options(self):
        self.client.options("/articles")
        self.client.head("/articles", name="head")
