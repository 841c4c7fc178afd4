"""Requests per second on one core: doorbuster's HTTP client, Locust's fast client, requests and k6.

    python benchmarks/http_client.py [--rounds 5] [--seconds 2] [--customers 64] [--k6 PATH]

nginx runs on core 1, the measured client on core 0, each in a new process. Clients take turns within a round;
ratios are taken within each round and their median is shown, so that other work on the machine affects all
alike. There are two loads: `small` repeats a page of 100 bytes; `journey` has five steps: a page of 10 kB,
2.5 kB of JSON that contains an id, the product of that id, a POST that sets a cookie, and another POST. Every
client keeps cookies and connections, and counts or reports every request.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PORT = 18_474
URL = f"http://127.0.0.1:{PORT}"
CONTENDERS = ("ours", "locust-fast", "requests", "k6")
LOADS = {"small": 1, "journey": 5}  # requests per turn
WARM_UP_S = 0.5

NGINX = """
daemon off; worker_processes 1; worker_cpu_affinity 10; pid nginx.pid; error_log error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type text/html; etag off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /small {{ return 200 "{small}"; }}
    location = /home {{ root {folder}; sendfile on; tcp_nopush on; open_file_cache max=10; }}
    location = /search {{ default_type application/json; return 200 '{search}'; }}
    location /product/ {{ default_type application/json; return 200 '{{"id": 7, "price": 350}}'; }}
    location = /basket {{ add_header Set-Cookie "basket=b7; Path=/; HttpOnly"; return 200 "added"; }}
    location = /order {{ return 200 "thanks"; }}
  }}
}}
"""

K6 = """
import http from "k6/http";
export const options = {vus: CUSTOMERS, duration: "SECONDSs", discardResponseBodies: false};
const url = "URL", post = {headers: {"Content-Type": "application/json"}};
export function small() { http.get(url + "/small"); }
export function journey() {
  http.get(url + "/home");
  const found = http.get(url + "/search").json("products.0.id");
  http.get(url + "/product/" + found);
  http.post(url + "/basket", JSON.stringify({sku: found}), post);
  http.post(url + "/order", JSON.stringify({card: "4111"}), post);
}
export default LOAD;
"""


@contextmanager
def nginx() -> Iterator[None]:
    """nginx with everything it needs in a folder of its own, gone afterwards."""
    products = [{"id": number, "name": "Tinsel" * 5, "price": 350} for number in range(7, 44)]
    with tempfile.TemporaryDirectory() as folder:
        search = json.dumps({"products": products})[:2498].rpartition(", {")[0] + "]}"
        Path(folder).chmod(0o755)  # nginx's worker is another user and reads the home page here
        (Path(folder) / "home").write_text("y" * 10_000)
        text = NGINX.format(port=PORT, small="x" * 100, folder=folder, search=search)
        (Path(folder) / "nginx.conf").write_text(text)
        server = subprocess.Popen(["nginx", "-p", folder, "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            wait_for_server()
            yield
        finally:
            server.terminate()
            server.wait()


def wait_for_server() -> None:
    import socket

    for _ in range(100):
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    sys.exit("nginx did not start")


def small(client) -> None:
    client.get("/small")


def journey(client) -> None:
    if len(client.get("/home").content) != 10_000:
        sys.exit("the home page is not whole")
    found = client.get("/search").json()["products"][0]["id"]
    client.get(f"/product/{found}", name="/product/[id]")
    client.post("/basket", json={"sku": found})
    client.post("/order", json={"card": "4111"})


def ours() -> Callable[[], object]:
    from doorbuster.load.http import HttpClient

    sums = {}

    def on_exchange(exchange) -> None:
        key = (exchange.name, exchange.cause)
        sums[key] = sums.get(key, 0.0) + exchange.ended_at - exchange.intended_at

    return lambda: HttpClient(URL, on_exchange=on_exchange)


def locust_fast() -> Callable[[], object]:
    """FastHttpUser's session with its event, as in a run, without Locust's own statistics."""
    from locust.contrib.fasthttp import FastHttpSession
    from locust.env import Environment

    environment = Environment()
    sums = {}

    def on_request(name, response_time, exception, **_) -> None:
        key = (name, exception is None)
        sums[key] = sums.get(key, 0.0) + response_time

    environment.events.request.add_listener(on_request)
    return lambda: FastHttpSession(base_url=URL, request_event=environment.events.request, user=None)


def requests_session() -> Callable[[], object]:
    """requests on patched sockets: what Locust's HttpUser is built on, without its event."""
    from gevent import monkey

    monkey.patch_all()
    import requests

    class Session(requests.Session):
        def request(self, method, url, name=None, **options):  # noqa: ARG002 - a name is for Locust
            return super().request(method, URL + url, **options)

    return Session


MAKERS = {"ours": ours, "locust-fast": locust_fast, "requests": requests_session}


def run_in_this_process(contender: str, load: str, seconds: float, customers: int) -> None:
    """Print requests per second and CPU microseconds per request, measured after a warm-up."""
    os.sched_setaffinity(0, {0})
    make = MAKERS[contender]()
    import gevent

    turn = {"small": small, "journey": journey}[load]
    done = [0]

    def customer() -> None:
        client = make()
        while True:
            turn(client)
            done[0] += LOADS[load]

    greenlets = [gevent.spawn(customer) for _ in range(customers)]
    gevent.sleep(WARM_UP_S)
    before, began_at, cpu_s = done[0], time.perf_counter(), time.process_time()
    gevent.sleep(seconds)
    count = done[0] - before
    cpu_s = time.process_time() - cpu_s
    print(count / (time.perf_counter() - began_at), cpu_s / count * 1e6)
    sys.stdout.flush()
    if any(greenlet.dead for greenlet in greenlets):
        sys.exit(f"{contender}: a customer died")
    os._exit(0)  # nothing to tear down: the next contender gets a process of its own


def run_k6(program: str, load: str, seconds: float, customers: int) -> tuple[float, float]:
    script = K6.replace("CUSTOMERS", str(customers)).replace("SECONDS", f"{seconds + WARM_UP_S:g}")
    script = script.replace("URL", URL, 1).replace("LOAD", load)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "load.js").write_text(script)
        summary = Path(folder) / "summary.json"
        command = [
            "taskset",
            "-c",
            "0",
            program,
            "run",
            "--quiet",
            "--no-usage-report",
            f"--summary-export={summary}",
        ]
        before = os.times()
        subprocess.run([*command, f"{folder}/load.js"], check=True, capture_output=True)
        after = os.times()
        metrics = json.loads(summary.read_text())["metrics"]["http_reqs"]
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return metrics["rate"], cpu_s / metrics["count"] * 1e6


def measure(contender: str, load: str, options: argparse.Namespace) -> tuple[float, float]:
    if contender == "k6":
        return run_k6(options.k6, load, options.seconds, options.customers)
    command = [sys.executable, __file__, "--child", contender, load]
    command += ["--seconds", str(options.seconds), "--customers", str(options.customers)]
    places = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    rate, cpu_us = done.stdout.split()
    return float(rate), float(cpu_us)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--customers", type=int, default=64)
    parser.add_argument("--only", choices=CONTENDERS, action="append", help="contenders beside ours")
    parser.add_argument("--k6", default=shutil.which("k6"), help="path of the k6 program")
    parser.add_argument("--child", nargs=2, metavar=("CONTENDER", "LOAD"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_in_this_process(*options.child, options.seconds, options.customers)
    if shutil.which("nginx") is None:
        print("skipped: nginx, the server of this benchmark, is not installed")
        return
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: the benchmark needs two cores, one for nginx and one for the client")
        return
    wanted = {"ours", *(options.only or CONTENDERS)} - (set() if options.k6 else {"k6"})
    contenders = [one for one in CONTENDERS if one in wanted]
    with nginx():
        for load in LOADS:
            rounds = [{one: measure(one, load, options) for one in contenders} for _ in range(options.rounds)]
            print(
                f"\n{load}: {options.rounds} rounds of {options.seconds:g} s, {options.customers} customers"
            )
            for one in contenders:
                rate = statistics.median(result[one][0] for result in rounds)
                cpu_us = statistics.median(result[one][1] for result in rounds)
                ratio = statistics.median(result["ours"][0] / result[one][0] for result in rounds)
                cpu = statistics.median(result[one][1] / result["ours"][1] for result in rounds)
                print(f"  {one:12} {rate:9,.0f} requests/s {cpu_us:8.1f} us CPU each", end="   ")
                print(f"ours: {ratio:5.2f}x the requests/s, 1/{cpu:.2f} of the CPU")


if __name__ == "__main__":
    main()
