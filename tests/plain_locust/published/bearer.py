"""A token that runs out: an authentication object, and one request sent again after 401."""

from locust import HttpUser, constant, task


class Bearer:
    def __init__(self, user):
        self.user = user

    def __call__(self, request):
        request.headers["Authorization"] = f"Bearer {self.user.token}"
        return request


class MemberUser(HttpUser):
    wait_time = constant(0)
    token = "stale"

    def refresh(self):
        form = {"grant_type": "client_credentials", "scope": "shop"}
        answer = self.client.post("/oauth/token", data=form, auth=("client", "secret"))
        self.token = answer.json()["access_token"]

    @task
    def profile(self):
        with self.client.get("/api/members/me", auth=Bearer(self), catch_response=True) as answer:
            if answer.status_code == 401:
                answer.success()
                self.refresh()
                self.client.get("/api/members/me", auth=Bearer(self), name="/api/members/me again")

    @task
    def forget(self):
        self.token = "stale"
