"""The target of the benchmarks: nginx with the five pages of a shop, alone on the second core.

nginx counts the requests it has answered (stub_status), so that no generator reports its own speed.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

SERVER_CORE = 1
HOME_BYTES = 10_000
SEARCH_BYTES = 2_500
_START_LIMIT_S = 5.0
_LOG_FLUSH_S = 2.0
_CONF = """
daemon off; master_process on; worker_processes 1; worker_cpu_affinity %(mask)s; worker_rlimit_nofile 40000;
pid nginx.pid; error_log error.log;
events { worker_connections 36000; multi_accept on; }
http {
  log_format began '$msec $request_time'; access_log off; etag off;
  keepalive_requests 1000000000; keepalive_timeout 600s; open_file_cache max=100; default_type text/html;
  client_body_temp_path body; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {
    listen 127.0.0.1:%(port)d backlog=8192;
    root pages;
    location = /status { stub_status; }
    location = /small { access_log small.log began buffer=256k flush=1s; return 200 "ok"; }
    location = /home { }
    location = /search { default_type application/json; }
    location /product/ { default_type application/json; return 200 '{"sku": "P7", "price_pence": 3500}'; }
    location = /basket { add_header Set-Cookie "basket=b7; Path=/; HttpOnly"; return 200 "added"; }
    location = /checkout { return 201 '{"order_ref": "R1"}'; }
  }
}
"""


class MissingError(Exception):
    """A benchmark cannot run here; the text says what is missing and how to get it."""


class Nginx:
    """A running server; `answered` is its own count of requests."""

    def __init__(self, port: int, folder: Path) -> None:
        self._folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self._asked = 0

    def answered(self) -> int:
        """Requests answered to others than this method."""
        return int(self._status().split("\n")[2].split()[2]) - self._asked

    def connections(self) -> int:
        """Connections that others than this method hold open."""
        return int(self._status().split("\n")[0].split()[-1]) - 1

    def began_at_unix_s(self) -> np.ndarray:
        """When each request for /small began, to the millisecond, ascending."""
        time.sleep(_LOG_FLUSH_S)
        ended_s, took_s = np.loadtxt(self._folder / "small.log", unpack=True)
        return np.sort(ended_s - took_s)

    def _status(self) -> str:
        with urllib.request.urlopen(f"{self.url}/status", timeout=5) as page:
            text: str = page.read().decode()
        self._asked += 1
        return text


@contextmanager
def nginx() -> Iterator[Nginx]:
    """nginx in a folder of its own, gone afterwards. Raises: MissingError."""
    if shutil.which("nginx") is None:
        raise MissingError(
            "nginx, the server of the benchmarks, is not installed: apt-get install nginx-light"
        )
    port = _free_port()
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder, "pages")
        pages.mkdir()
        (pages / "home").write_text("y" * HOME_BYTES)
        (pages / "search").write_text(_search_page())
        Path(folder).chmod(0o755)
        conf = Path(folder, "nginx.conf")
        conf.write_text(_CONF % {"port": port, "mask": format(1 << SERVER_CORE, "b")})
        process = subprocess.Popen(["nginx", "-p", folder, "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield Nginx(port, Path(folder))
        finally:
            process.terminate()
            process.wait()


def _search_page() -> str:
    """A JSON document of about SEARCH_BYTES with products; the first one's id is what a customer reads."""
    products = [
        {"id": f"P{number}", "name": "Tinsel and lights", "price_pence": 350} for number in range(7, 200)
    ]
    while len(text := json.dumps({"products": products})) > SEARCH_BYTES:
        products.pop()
    return text


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up_at:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise MissingError("nginx did not start: is another one in the way?")
