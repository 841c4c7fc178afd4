// The same journey for k6; its users make it again and again and never think. WAIT: once, then they wait.
import http from "k6/http";
import { check, sleep } from "k6";

const url = __ENV.URL;
const json = { headers: { "Content-Type": "application/json" } };

function ok(response, status) {
  check(response, { status: (answer) => answer.status === status });
  return response;
}

export default function () {
  ok(http.get(`${url}/home`), 200);
  const found = ok(http.get(`${url}/search`), 200).json("products.0.id");
  ok(http.get(`${url}/product/${found}`, { tags: { name: "product" } }), 200);
  ok(http.post(`${url}/basket`, JSON.stringify({ sku: found }), json), 200);
  ok(http.post(`${url}/checkout`, JSON.stringify({ key: "k" }), json), 201);
  if (__ENV.WAIT) sleep(600);
}
