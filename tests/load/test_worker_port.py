"""A master that sends a worker malformed, foreign and repeated messages, as bytes on the channel."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import zmq

from doorbuster.load.coordination.messages import ACKNOWLEDGED, ASSIGNMENT, CLOCK, CLOSE, TAKE_OVER
from tests.fuzz.master_messages import orders
from tests.load.test_master_port import malformed

ROOT = Path(__file__).parent.parent.parent
LOCUST = [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py"]
KINDS = {"assignment": ASSIGNMENT, "take_over": TAKE_OVER, "close": CLOSE, "acknowledged": ACKNOWLEDGED}
LIMIT_MS = 60_000

pytestmark = pytest.mark.truth


class Master:
    """The master's end of the channel, without a master behind it."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self.port = str(self._socket.bind_to_random_port("tcp://127.0.0.1"))
        self._worker = b""

    def receive(self, kind: str) -> dict:
        """The content of the next message of a kind."""
        while self._socket.poll(LIMIT_MS):
            self._worker, data = self._socket.recv_multipart()
            found, content, _ = msgpack.unpackb(data, strict_map_key=False)
            if found == kind:
                return content
        raise AssertionError(f"no {kind} within {LIMIT_MS} ms")

    @property
    def worker(self) -> str:
        return self._worker.decode()

    def send(self, kind: str, content: object, to: str = "") -> None:
        self.send_bytes(msgpack.packb((kind, content, to or self.worker)))

    def send_bytes(self, *frames: bytes) -> None:
        self._socket.send_multipart([self._worker, *frames])

    def close(self) -> None:
        self._socket.close(linger=0)
        self._context.term()


@pytest.fixture
def master():
    made = Master()
    yield made
    made.close()


def test_a_worker_answers_after_whatever_its_master_sent(master, tmp_path):
    log = (tmp_path / "worker.log").open("w")
    worker = subprocess.Popen(
        [*LOCUST, "--worker", "--master-port", master.port], cwd=ROOT, stdout=log, stderr=log
    )
    try:
        master.receive("client_ready")
        master.send("ack", {"index": 0})
        master.send("heartbeat", None)
        for frames in malformed("nobody", "stranger"):
            master.send_bytes(*frames)
        for kind, content in orders("20261129T000000-cccccc")[1:5]:  # before any assignment
            master.send(KINDS[kind], content)
        for kind in KINDS.values():
            for content in (None, [], "x", {}, {"run_id": 1}, {"run_id": "x", "rows": b"1", "cause": "y"}):
                master.send(kind, content)
        for users in (None, {}, {"timestamp": "x"}, {"timestamp": 1.0, "user_classes_count": {"Nobody": 9}}):
            master.send("spawn", users)
        master.send("quit", None, to="stranger")
        asked = [time.time(), time.perf_counter()]
        master.send(CLOCK, {"sent": asked})
        answer = master.receive(CLOCK)
        assert answer["sent"] == asked
        assert answer["pid"] > 0
        assert worker.poll() is None
        master.send("quit", None)
        worker.wait(timeout=60)
    finally:
        worker.kill()
        worker.wait()
        log.close()
    said = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in said
    assert "refused a message of the master (doorbuster_take_over)" in said
    assert "skipped a message of the master ('spawn')" in said
