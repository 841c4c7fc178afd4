"""HTTP/2 against nginx: what the server saw, one connection for each customer, HTTP/1.1 where needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import gevent
import pytest
from tls_server import free_port, is_listening, make_certificate

from doorbuster.errors import ScenarioError
from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.protocols.goaway_filter import GoawayFilter
from doorbuster.load.protocols.http2_client import Http2Client
from doorbuster.records.reader import Run
from doorbuster.scenario import read_scenario

ROOT = Path(__file__).parents[3]

CONF = """
daemon off; worker_processes 1; pid nginx.pid; error_log error.log; user root;
events {{ worker_connections 512; }}
http {{
  log_format seen '$server_protocol $request_method $request_uri $status $connection $content_length'
    ' $ssl_session_reused $host $http_cookie';
  access_log access.log seen; default_type text/plain; http2_max_concurrent_streams {streams};
  client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  client_max_body_size 20m; keepalive_requests {requests};
  server {{
    listen 127.0.0.1:{port} ssl {http2}; ssl_certificate cert.pem; ssl_certificate_key key.pem;
    root pages;
    location = /hello {{ add_header Set-Cookie "basket=b7; Path=/"; return 200 "hello"; }}
    location = /moved {{ return 302 /hello; }}
    location = /gone {{ return 410 "gone"; }}
    location = /drop {{ return 444; }}
    location = /upload {{ dav_methods PUT; }}
    location / {{ }}
  }}
}}
"""


class NginxServer:
    """A server with a certificate of its own."""

    def __init__(self, folder, *, http2=True, streams=128, requests=1000):
        self._folder = folder
        port = free_port()
        (folder / "pages").mkdir()
        (folder / "pages" / "large.bin").write_bytes(os.urandom(3_000_000))
        make_certificate(folder)
        text = CONF.format(port=port, http2="http2" if http2 else "", streams=streams, requests=requests)
        (folder / "nginx.conf").write_text(text)
        self.ca_file = str(folder / "cert.pem")
        self.url = f"https://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            ["nginx", "-e", "error.log", "-p", folder, "-c", "nginx.conf"], stderr=subprocess.PIPE
        )
        assert is_listening(port), self.process.stderr.read()

    def seen(self, n, method="GET"):
        """The last n lines of the access log, as words; waits for the last to have this method."""
        lines = []
        for _ in range(100):
            lines = [line.split() for line in (self._folder / "access.log").read_text().splitlines()]
            if len(lines) >= n and lines[-1][1] == method:
                break
            time.sleep(0.02)
        return lines[-n:]

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    if shutil.which("nginx") is None or shutil.which("openssl") is None:
        pytest.skip("needs nginx and openssl: apt-get install nginx-light openssl")
    pytest.importorskip("h2")
    started = {}

    def begin(**options):
        key = tuple(sorted(options.items()))
        if key not in started:
            started[key] = NginxServer(tmp_path_factory.mktemp("nginx"), **options)
        return started[key]

    yield begin
    for server in started.values():
        server.end()


@pytest.fixture
def open_client():
    clients = []

    def begin(server, **settings):
        step = CurrentStep()
        step.name, step.deadline_at = "step", time.perf_counter() + 10
        client = Http2Client(
            server.url, settings=HttpSettings(ca_file=server.ca_file, **settings), step=step,
            on_exchange=step.exchanges.append,
        )  # fmt: skip
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.close()


def test_requests_of_a_customer_share_one_connection(start, open_client):
    server = start()
    client = open_client(server)
    for _ in range(5):
        answer = client.get("/hello", params={"n": 1})
        assert (answer.status_code, answer.text) == (200, "hello")
    other = open_client(server)
    assert other.get("/hello").text == "hello"
    seen = server.seen(6)
    assert {words[0] for words in seen} == {"HTTP/2.0"}
    assert len({words[4] for words in seen[:5]}) == 1
    assert seen[5][4] != seen[0][4]
    assert client.connections_opened == 1
    first, *rest = client.step.exchanges
    assert first.connect_s > 0
    assert not first.reused
    assert all(one.reused and not one.connect_s for one in rest)
    assert [one.protocol for one in client.step.exchanges] == ["HTTP/2", "", "", "", ""]
    assert all(one.cause == "" and one.started_at < one.first_byte_at <= one.ended_at for one in rest)


def test_cookies_redirects_and_statuses_are_those_of_http(start, open_client):
    client = open_client(start())
    answer = client.get("/moved")
    assert [one.status_code for one in answer.history] == [302]
    assert answer.text == "hello"
    client.get("/hello")
    assert start().seen(1)[0][-1] == "basket=b7"
    assert client.get("/gone").error.cause == "status_4xx"
    assert [one.status for one in client.step.exchanges] == [302, 200, 200, 410]


def test_large_bodies_in_both_directions(start, open_client):
    client = open_client(start())
    assert len(client.get("/large.bin").content) == 3_000_000
    body = os.urandom(1_500_000)
    assert client.put("/upload", data=body).status_code in (201, 204, 405)
    (words,) = start().seen(1, "PUT")
    assert words[5] == "1500000"
    assert client.step.exchanges[0].bytes_received > 3_000_000
    assert client.step.exchanges[1].bytes_sent > 1_500_000


def test_parallel_requests_are_streams_of_one_connection(start, open_client):
    client = open_client(start())
    answers = client.get_all(["/hello"] * 40 + ["/large.bin"] * 3)
    assert [len(answer.content) for answer in answers] == [5] * 40 + [3_000_000] * 3
    assert client.connections_opened == 1


def test_more_requests_than_streams_wait_for_their_turn(start, open_client):
    client = open_client(start(streams=2))
    client.get("/hello")  # with its answer, the server states its limit
    assert [answer.text for answer in client.get_all(["/hello"] * 20)] == ["hello"] * 20
    assert client.connections_opened == 1


def test_a_connection_that_the_server_ends_is_replaced(start, open_client):
    server = start(requests=3)
    client = open_client(server)
    assert [client.get("/hello").text for _ in range(8)] == ["hello"] * 8
    assert client.connections_opened == 3
    assert all(one.cause == "" for one in client.step.exchanges)
    resumed = {words[4]: words[6] for words in server.seen(8)}
    assert list(resumed.values()) == [".", "r", "r"], "a customer resumes its own TLS session"


def test_a_host_header_of_the_caller_is_the_authority(start, open_client):
    server = start()
    assert open_client(server).get("/hello", headers={"Host": "other.example"}).text == "hello"
    assert server.seen(1)[0][7] == "other.example"


def frame(kind: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, 0]) + (0).to_bytes(4) + payload


@pytest.mark.parametrize("size", [1, 3, 9, 10, 1000])
def test_goaway_frames_are_taken_out_whatever_the_pieces(size):
    others = [frame(4, b""), frame(0, b"x" * 40), frame(6, b"12345678")]
    stream = b"".join([others[0], frame(7, (5).to_bytes(4) + bytes(4) + b"bye"), *others[1:]])
    found = GoawayFilter()
    kept = b"".join(found.feed(stream[at : at + size]) for at in range(0, len(stream), size))
    assert kept == b"".join(others)
    assert found.last_stream_id == 5


def test_a_server_without_http2_gets_http1(start, open_client):
    server = start(http2=False)
    client = open_client(server)
    assert [client.get("/hello").text for _ in range(3)] == ["hello"] * 3
    assert {words[0] for words in server.seen(3)} == {"HTTP/1.1"}
    assert client.connections_opened == 1, "the connection that was opened to ask is used"
    first, *rest = client.step.exchanges
    assert (first.protocol, first.reused) == ("HTTP/1.1 instead of HTTP/2", False)
    assert first.connect_s > 0
    assert all(one.reused and not one.protocol for one in rest)


def test_the_time_limit_of_the_step_holds(start, open_client):
    client = open_client(start())
    client.get("/hello")
    client.step.deadline_at = time.perf_counter() - 1
    assert client.get("/large.bin").error.cause == "total_timeout"


def test_a_server_that_drops_the_connection_is_a_failure(start, open_client):
    client = open_client(start())
    assert client.post("/drop", data=b"x").error.cause in ("reset", "closed_early")
    assert client.get("/hello").text == "hello"


def test_an_unknown_certificate_is_tls(start):
    step = CurrentStep()
    step.deadline_at = time.perf_counter() + 5
    client = Http2Client(start().url, settings=HttpSettings(), step=step)
    assert client.get("/hello").error.cause == "tls"
    client.close()


def test_greenlets_that_are_killed_do_not_stop_the_others(start, open_client):
    client = open_client(start())
    client.get("/hello")
    doomed = [gevent.spawn(client.get, "/large.bin") for _ in range(4)]
    gevent.sleep(0.001)
    gevent.killall(doomed)
    assert [answer.text for answer in client.get_all(["/hello"] * 5)] == ["hello"] * 5
    assert client.connections_opened <= 2


SCENARIO = """
title: A shop over HTTP/2
target:
  storefront: "custom:one-page"
  url: "{url}"
  protocol: h2
  rules: [{{step: order_status, contains: hello}}]
demand: {{peak: 20 customers/s, curve: {{stages: [{{for: 3s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{order_status: 1}}, patience: none}}}}
drain: 5s
"""


@pytest.mark.truth
def test_a_run_over_http2_has_one_connection_for_each_customer(start, tmp_path):
    server = start(streams=100)
    locustfile = (ROOT / "tests/load/one_step.py").read_text().replace('"GET", "/"', '"GET", "/hello"')
    (tmp_path / "one.py").write_text(locustfile)
    (tmp_path / "h2.yaml").write_text(SCENARIO.format(url=server.url))
    environment = {**os.environ, "SSL_CERT_FILE": server.ca_file}
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", tmp_path / "one.py", "--headless", "--only-summary",
         "--scenario", tmp_path / "h2.yaml", "--run-folder", tmp_path / "run"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90, env=environment,
    )  # fmt: skip
    assert (tmp_path / "run").exists(), done.stderr
    with Run.open(tmp_path / "run") as run:
        totals, recorded = run.outcome_totals(), run.histogram().n
        protocols = run.connections_by_protocol()
    assert totals.served == totals.planned > 40, done.stderr[-2000:]
    seen = [words for words in server.seen(recorded) if words[0] == "HTTP/2.0"]
    assert len(seen) == recorded
    assert len({words[4] for words in seen}) == totals.served
    assert protocols == {"HTTP/2": totals.served}


def test_the_scenario_refuses_what_cannot_be_http2():
    text = SCENARIO.format(url="http://127.0.0.1:80")
    with pytest.raises(ScenarioError, match="needs an https URL"):
        read_scenario(text)
    with pytest.raises(ScenarioError, match=r"must be http/1.1 or h2 \(got h3\); HTTP/3 is not supported"):
        read_scenario(text.replace("protocol: h2", "protocol: h3"))
