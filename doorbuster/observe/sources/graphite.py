"""Receives Graphite's plaintext protocol by TCP on loopback: `name value unix-time`, one a line."""

from __future__ import annotations

import socketserver
import threading
import time
from typing import Any

from doorbuster.observe.name_values import metric_name
from doorbuster.observe.sample import TargetSample, counter, sorted_labels
from doorbuster.observe.sources.received import LOOPBACK, ReceivedSamples

MAX_LINE = 4_096


class _GraphiteServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    received: ReceivedSamples
    unix_to_counter: float


class _GraphiteHandler(socketserver.StreamRequestHandler):
    """One sender; a line that cannot be parsed is counted and skipped."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _GraphiteServer)
        while line := self.rfile.readline(MAX_LINE):
            sample = parse_line(line.decode("utf-8", "replace"), server.unix_to_counter)
            if sample is None:
                server.received.refuse()
            else:
                server.received.add([sample])


def parse_line(line: str, unix_to_counter: float) -> TargetSample | None:
    """The sample of a line, with tags in Graphite's form: name;tag=value. None if it cannot be parsed."""
    parts = line.split()
    if len(parts) != 3:
        return None
    path, *tags = parts[0].split(";")
    try:
        value, sent_unix_s = float(parts[1]), float(parts[2])
    except ValueError:
        return None
    labels = sorted_labels(dict(tag.partition("=")[::2] for tag in tags))
    at = sent_unix_s + unix_to_counter if sent_unix_s > 0 else None
    return TargetSample(metric_name(path), labels, value, at=at)


class GraphiteSource:
    """One TCP port; senders are on this machine, so their clock is ours."""

    def __init__(self, *, port: int, **_: Any) -> None:
        self._received = ReceivedSamples()
        self._server = _GraphiteServer((LOOPBACK, port), _GraphiteHandler)
        self._server.received = self._received
        self._server.unix_to_counter = time.perf_counter() - time.time()
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def read(self) -> list[TargetSample]:
        return [*self._received.take(), counter("graphite_refused_total", self._received.refused)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
