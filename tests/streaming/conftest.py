"""A run file that grows, and servers on loopback that receive its stream."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from streamed_run import batch_of, meta
from streaming_ports import free_port

from doorbuster.records.writer import RunWriter


@pytest.fixture
def new_run(tmp_path) -> Callable[..., RunWriter]:
    """Create a run file; nothing is recorded yet."""

    def create(folder: Path = tmp_path / "run") -> RunWriter:
        return RunWriter.create(folder, meta(), {"web": np.full(60, 7)})

    return create


@pytest.fixture
def recorded(new_run) -> Callable[..., Path]:
    """A finished run of some seconds, recorded by two workers; returns its folder."""

    def record(seconds: int = 3) -> Path:
        with new_run() as writer:
            for second in range(seconds):
                writer.write([batch_of(second, "one"), batch_of(second, "two")])
            writer.finish("finished")
        return writer.path.parent

    return record


class Received:
    """Requests that an HTTP receiver has got."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []


@pytest.fixture
def receiver() -> Iterator[Callable[..., tuple[str, Received]]]:
    """HTTP receivers that answer with the statuses given, the last one for ever."""
    servers: list[ThreadingHTTPServer] = []

    def start(*statuses: int, body: bytes = b"") -> tuple[str, Received]:
        received = Received()

        class Page(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                content = self.rfile.read(int(self.headers["Content-Length"]))
                number = len(received.bodies)
                received.bodies.append(content)
                received.headers.append(dict(self.headers))
                self.send_response(statuses[min(number, len(statuses) - 1)])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", received

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def running(command: list[str], ready_url: str, folder: Path) -> Iterator[None]:
    """A server of the system; skips when its program is not installed."""
    if shutil.which(command[0]) is None:
        package = {"influxd": "influxdb"}.get(command[0], command[0])
        pytest.skip(f"{command[0]} is not installed (Debian: apt-get install {package})")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(ready_url, timeout=1):
                break
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            assert time.monotonic() < until, f"{command[0]} did not start"
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory) -> Iterator[Callable[..., list]]:
    """A real Prometheus that receives remote writes; call it with a query, `.url` is its address."""
    folder, port = tmp_path_factory.mktemp("prometheus"), free_port()
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n")
    url = f"http://127.0.0.1:{port}"
    command = [
        "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
        "--enable-feature=native-histograms",
    ]  # fmt: skip
    with running(command, f"{url}/-/ready", folder):
        yield url


@pytest.fixture(scope="session")
def influxdb(tmp_path_factory) -> Iterator[str]:
    """A real InfluxDB 1 with a database named `shop`; its address."""
    folder, port, backup = tmp_path_factory.mktemp("influxdb"), free_port(), free_port()
    (folder / "influxdb.conf").write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{backup}"\n'
        f'[meta]\ndir = "{folder}/meta"\n[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\n'
        f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
    )
    url = f"http://127.0.0.1:{port}"
    with running(["influxd", "-config", f"{folder}/influxdb.conf"], f"{url}/ping", folder):
        urllib.request.urlopen(f"{url}/query?q=CREATE+DATABASE+shop", data=b"").read()
        yield url
