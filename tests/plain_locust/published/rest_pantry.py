"""A REST API with the helper of the fast client: checks inside a with block, the parsed answer as `js`."""

from locust import FastHttpUser, constant, task


class PantryUser(FastHttpUser):
    wait_time = constant(0)
    default_headers = {"X-Api-Version": "2"}

    @task(3)
    def stock(self):
        with self.rest("GET", "/api/stock") as resp:
            if resp.js is None:
                pass
            elif resp.js["left"] < 0:
                resp.failure(f"negative stock: {resp.js['left']}")

    @task
    def put(self):
        with self.rest("PUT", "/api/stock/7", json={"left": 3}) as resp:
            assert resp.js["left"] == 3

    @task
    def broken(self):
        with self.rest("GET", "/api/not-json") as resp:
            if resp.error:
                pass

    @task
    def stamped(self):
        with self.rest_("GET", "/api/stock") as resp:
            resp.success()
