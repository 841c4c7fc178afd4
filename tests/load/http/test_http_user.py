"""Locust files of the usual kinds, ported by changing their base class, run by the real locust command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

PORTED = Path(__file__).parent / "ported"
PROJECT = Path(__file__).parents[3]
USERS = 4
LIMIT_S = 60.0


def run_locust(file: str, server, needs: Counter[str], *options: str, exit_code: int) -> tuple[dict, str]:
    """Requests and failures by "METHOD name", as Locust counted them, and what it wrote to stderr.

    The run ends when the server has seen what the test needs, however long a busy machine takes for it.
    """
    load = ("--users", str(USERS), "--spawn-rate", str(USERS), "--stop-timeout", "10")
    place = ("-f", str(PORTED / file), "--host", server.url)
    command = [sys.executable, "-m", "locust", "--headless", "--json", *place, *load, *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, cwd=PORTED, **pipes) as process:
        try:
            _wait_until_seen(server, needs, process)
            process.send_signal(signal.SIGTERM)
            output, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == exit_code, said
    entries = {f"{entry['method']} {entry['name']}": entry for entry in json.loads(output)}
    return entries, said


def _wait_until_seen(server, needs: Counter[str], process: subprocess.Popen) -> None:
    give_up_at = time.monotonic() + LIMIT_S
    while missing := needs - seen_by_server(server, lambda path: path.partition("?")[0]):
        assert time.monotonic() < give_up_at, f"never seen: {missing}"
        assert process.poll() is None, "Locust ended by itself"
        time.sleep(0.02)


def seen_by_server(server, group) -> Counter[str]:
    return Counter(f"{request.method} {group(request.path)}" for request in server.requests)


def counted(entries: dict) -> dict[str, int]:
    return {key: entry["num_requests"] for key, entry in entries.items()}


def assert_all_counted(entries: dict, seen: Counter[str]) -> None:
    """Everything the server saw is counted, but for what Locust itself broke off at the end of the run.

    A user that waits when the run ends is killed one turn of the loop later. If its wait is over by then, it
    has sent one more request, which nobody will hear of: at most one per user.
    """
    lost = seen - Counter(counted(entries))
    assert Counter(counted(entries)) - seen == Counter()
    assert lost.total() <= USERS


def test_the_quickstart_runs_unchanged_and_every_request_is_counted(server):
    needs = Counter({"POST /login": USERS, "GET /hello": 8, "GET /world": 8, "GET /item": 16})
    entries, _ = run_locust("quickstart.py", server, needs, exit_code=0)

    assert_all_counted(entries, seen_by_server(server, lambda path: path.partition("?")[0]))
    assert set(entries) == {"POST /login", "GET /hello", "GET /world", "GET /item"}
    assert entries["POST /login"]["num_requests"] == 4
    assert all(entry["num_failures"] == 0 for entry in entries.values())
    assert entries["GET /item"]["total_content_length"] == 4 * entries["GET /item"]["num_requests"]
    assert entries["GET /item"]["min_response_time"] > 0
    assert server.connections == 4


def test_a_shop_with_task_sets_and_catch_response_counts_what_the_file_decides(server):
    for product in range(100):
        page = b'{"name": "x"}' if product % 2 else b'{"name": "x", "price": 3}'
        server.routes[f"/product/{product}"] = lambda peer, page=page: peer.answer(page)
    server.routes["/sold-out"] = lambda peer: peer.answer(b"", status="404 Not Found")
    server.routes["/cart"] = lambda peer: peer.answer(b"", "Set-Cookie: basket=1; Path=/")
    server.routes["/checkout"] = lambda peer: peer.answer("naïve".encode("latin-1"), status="503 Busy")
    server.routes["/old-thanks"] = lambda peer: peer.answer(b"", "Location: /thanks", status="302 Found")
    server.routes["/status"] = lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")

    needs = Counter({"GET /old-thanks": 12, "POST /checkout": 12, "GET /thanks": 12, "GET /sold-out": 2})
    needs += Counter({f"GET /product/{product}": 1 for product in range(1, 8)})
    entries, errors = run_locust("shop.py", server, needs, exit_code=1)

    def group(path: str) -> str:
        return "/product/[id]" if path.startswith("/product/") else path.partition("?")[0]

    seen = seen_by_server(server, group)
    thanks = seen.pop("GET /thanks")
    assert_all_counted(entries, seen)
    assert 0 <= thanks - entries["GET /old-thanks"]["num_requests"] <= USERS
    paths = [request.path for request in server.requests]
    odd = {str(product) for product in range(1, 100, 2)}
    failures = {key: entry["num_failures"] for key, entry in entries.items() if entry["num_failures"]}
    assert set(failures) == {"GET /product/[id]", "POST /checkout"}
    assert failures["POST /checkout"] == entries["POST /checkout"]["num_requests"]
    wrong = sum(path.rpartition("/")[2] in odd for path in paths if path.startswith("/product/"))
    assert 0 <= wrong - failures["GET /product/[id]"] <= USERS
    assert "no price on the page" in errors
    assert "payment is down: naïve" in errors
    later = [request for request in server.requests if request.path == "/checkout"]
    assert {request.headers["cookie"] for request in later} == {"basket=1"}


def test_a_json_api_with_rest_and_a_token_works(server):
    server.routes["/api/login"] = lambda peer: peer.answer(b'{"token": "t0k3n"}')
    server.routes["/api/orders"] = lambda peer: peer.answer(b'{"orders": [1]}')
    server.routes["/api/broken"] = lambda peer: peer.answer(b"<html>")
    for_stamped = server.routes

    class Stamped(dict):
        def get(self, path, default=None):
            return super().get(path.partition("?")[0], default)

    server.routes = Stamped(for_stamped, **{"/api/stamped": lambda peer: peer.answer(b"{}")})
    needs = Counter({"GET /api/orders": 12, "GET /api/broken": 8, "GET /api/stamped": 4})
    entries, _ = run_locust("rest_api.py", server, needs, exit_code=1)

    seen = seen_by_server(server, lambda path: "/api/stamped?_=..." if "stamped" in path else path)
    assert_all_counted(entries, seen)
    failed = {key for key, entry in entries.items() if entry["num_failures"]}
    assert failed == {"GET /api/broken"}
    assert entries["GET /api/broken"]["num_failures"] == entries["GET /api/broken"]["num_requests"]
    assert {request.headers["x-traffic"] for request in server.requests} == {"load-test"}
    orders = [request for request in server.requests if request.path == "/api/orders"]
    assert {request.headers["authorization"] for request in orders} == {"Bearer t0k3n"}


def test_the_event_has_every_field_locust_documents(server, tmp_path):
    file = tmp_path / "fields.py"
    file.write_text(
        "import json, sys\n"
        "from locust import task, events, constant\n"
        "from doorbuster.load.locust_plugin.http_user import HttpUser\n"
        "class OneUser(HttpUser):\n"
        "    wait_time = constant(60)\n"
        "    def context(self):\n"
        "        return {'who': 'ann'}\n"
        "    @task\n"
        "    def once(self):\n"
        "        self.client.get('/good', name='step', context={'step': 1})\n"
        "        self.client.get('/broken')\n"
        "        self.client.get('/after')\n"  # once it is seen, what came before has been counted
        "@events.request.add_listener\n"
        "def heard(**fields):\n"
        "    fields['response'] = fields['response'].status_code\n"
        "    fields['exception'] = fields['exception'] and str(fields['exception'])\n"
        "    print('EVENT', json.dumps(fields), file=sys.stderr)\n"
    )
    server.reply("/broken", b"")
    needs = Counter(("GET /good", "GET /broken", "GET /after"))
    entries, errors = run_locust(str(file), server, needs, "--users", "1", exit_code=1)

    heard = [json.loads(line[6:]) for line in errors.splitlines() if line.startswith("EVENT ")]
    good, broken = heard[:2]
    assert good["response_time"] > 0
    assert abs(good["start_time"] - broken["start_time"]) < 60
    for event in (good, broken):
        del event["response_time"], event["start_time"]
    assert good == {
        "request_type": "GET",
        "name": "step",
        "response_length": 4,
        "exception": None,
        "context": {"who": "ann", "step": 1},
        "response": 200,
        "url": f"{server.url}/good",
    }
    assert broken["exception"] == "closed_early: closed before any byte of the answer"
    assert (broken["response"], broken["context"]) == (0, {"who": "ann"})
    assert counted(entries).items() >= {"GET step": 1, "GET /broken": 1}.items()


def test_the_client_needs_neither_locust_nor_monkey_patching():
    code = (
        "import sys, socket; import doorbuster.load.http; import gevent.monkey; "
        "assert 'locust' not in sys.modules; assert not gevent.monkey.is_module_patched('socket')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True, timeout=30)


def test_a_user_class_without_a_host_is_named():
    entries = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(PORTED / "quickstart.py"), "--headless", "-t", "1s"],
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no host to load: set `host` on the user class, or start Locust with --host URL" in entries.stderr


pytestmark = pytest.mark.alone
