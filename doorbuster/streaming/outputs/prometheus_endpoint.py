"""A /metrics page in the text format of Prometheus, version 0.0.4, for servers that scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from doorbuster.errors import UsageError
from doorbuster.streaming.metric import Labels, StreamedMetric, Update
from doorbuster.streaming.outputs.prometheus_samples import families, samples

PATH = "/metrics"
_TIMEOUT_S = 5.0
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n"})


class PrometheusEndpoint:
    """Serves the latest update until the run ends."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._server: ThreadingHTTPServer | None = None
        self._metrics: tuple[StreamedMetric, ...] = ()

    def open(self) -> None:
        owner = self

        class MetricsPage(BaseHTTPRequestHandler):
            timeout = _TIMEOUT_S

            def do_GET(self) -> None:
                found = self.path.partition("?")[0] == PATH
                body = exposition(owner._metrics) if found else f"see {PATH}\n".encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Scrapes are not logged."""

        try:
            self._server = _Server(self._address, MetricsPage)
        except OSError as error:
            host, port = self._address
            raise UsageError(
                f"metrics={host}:{port}: cannot listen there: {error.strerror}; choose another port"
            ) from error
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def send(self, update: Update) -> None:
        self._metrics = (*update.metrics, *update.k6_metrics)

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A scraper that goes away is not an error of the run."""


def exposition(metrics: Iterable[StreamedMetric]) -> bytes:
    """The page: help, type and samples of every metric."""
    lines = []
    for metric, kind in families(metrics):
        lines.append(f"# HELP {metric.name} {metric.meaning.translate(_HELP_ESCAPES)}")
        lines.append(f"# TYPE {metric.name} {kind}")
        lines.extend(f"{name}{_labels(labels)} {value:.17g}" for name, labels, value in samples(metric))
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _labels(labels: Labels) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels)
    return f"{{{pairs}}}" if pairs else ""
