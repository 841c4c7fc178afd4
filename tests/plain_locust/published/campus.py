"""Courses for sale: nested task sets, an API class around the client, absolute addresses, a CSRF cookie."""

from locust import HttpUser, TaskSet, between, task


class CourseApi:
    """Everything that is known about the addresses of the platform."""

    def __init__(self, client, hostname):
        self.client = client
        self.hostname = hostname

    def _headers(self):
        token = self.client.cookies.get("csrftoken", "")
        return {"X-CSRFToken": token, "Referer": self.hostname}

    def get(self, path, *args, **kwargs):
        return self.client.get(self.hostname + path, *args, **kwargs)

    def post(self, path, *args, **kwargs):
        kwargs["headers"] = {**self._headers(), **kwargs.get("headers", {})}
        return self.client.post(self.hostname + path, *args, **kwargs)


class Courseware(TaskSet):
    def on_start(self):
        self.api = CourseApi(self.client, self.user.host)

    @task(3)
    def index(self):
        self.api.get("/courses/v1:Demo/courseware/", name="courseware:index")

    @task(2)
    def answer(self):
        self.api.post(
            "/courses/v1:Demo/xblock/77/handler/check", data={"input_77": "3"}, name="courseware:check"
        )

    @task(1)
    def stop(self):
        self.interrupt(reschedule=False)


class Basket(TaskSet):
    @task
    def buy(self):
        api = CourseApi(self.client, self.user.host)
        api.get("/basket/add/?sku=8CF08E5")
        api.post("/api/v2/baskets/", json={"products": [{"sku": "8CF08E5"}], "checkout": True})
        self.interrupt()


class Learner(HttpUser):
    tasks = {Courseware: 3, Basket: 1}
    wait_time = between(0, 1)

    def on_start(self):
        self.client.get("/login")
        self.client.post(
            "/login_ajax",
            {"email": "l@example.org"},
            headers={"X-CSRFToken": self.client.cookies["csrftoken"]},
        )
