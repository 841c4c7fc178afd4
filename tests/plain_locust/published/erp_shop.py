"""Shop of a business suite: CSRF token of the sign-in page, JSON-RPC calls, a cart that is one address."""

from html.parser import HTMLParser

from locust import HttpUser, between, task


class Hidden(HTMLParser):
    def __init__(self):
        super().__init__()
        self.fields = {}

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "input" and found.get("type") == "hidden":
            self.fields[found["name"]] = found["value"]


class ErpCustomer(HttpUser):
    wait_time = between(1, 3)
    count = 0

    def on_start(self):
        page = self.client.get("/web/login")
        parser = Hidden()
        parser.feed(page.text)
        parser.fields.update(login="portal", password="portal")
        welcome = self.client.post("/web/login", data=parser.fields, allow_redirects=True)
        assert welcome.history, "sign-in redirects"
        self.token = parser.fields["csrf_token"]

    def rpc(self, path, method="call", **params):
        self.count += 1
        call = {"jsonrpc": "2.0", "method": method, "id": self.count, "params": params}
        with self.client.post(path, json=call, catch_response=True) as answer:
            result = answer.json()
            if "error" in result:
                answer.failure(result["error"]["message"])
            return result.get("result")

    @task(4)
    def browse(self):
        self.client.get("/shop")
        self.client.get("/shop/page/2?order=list_price+asc")
        self.client.get("/shop/customisable-desk-9", name="/shop/[product]")

    @task(2)
    def cart(self):
        self.client.post(
            "/shop/cart/update", data={"product_id": "9", "add_qty": "1", "csrf_token": self.token}
        )
        self.rpc("/shop/cart/update_json", product_id=9, line_id=None, set_qty=2)
        self.client.get("/shop/cart")

    @task
    def search(self):
        self.rpc("/website/snippet/autocomplete", term="desk", options={"displayImage": True})
