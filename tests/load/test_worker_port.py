"""A master that sends a worker malformed, foreign and repeated messages, as bytes on the channel."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import msgpack
import pytest
import zmq

from doorbuster.errors import ExitCode
from doorbuster.load.coordination.messages import (
    ACKNOWLEDGED,
    ASSIGNMENT,
    CLOCK,
    CLOSE,
    TAKE_OVER,
    Assignment,
)
from tests.fuzz.master_messages import orders
from tests.load.test_master_port import malformed

ROOT = Path(__file__).parent.parent.parent
LOCUST = [sys.executable, "-m", "locust", "-f", "locustfiles/retail_peak.py"]
KINDS = {"assignment": ASSIGNMENT, "take_over": TAKE_OVER, "close": CLOSE, "acknowledged": ACKNOWLEDGED}
LIMIT_S = 60

pytestmark = pytest.mark.truth


class Master:
    """The master's end of the channel, without a master behind it."""

    def __init__(self) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self.port = str(self._socket.bind_to_random_port("tcp://127.0.0.1"))
        self._worker = b""

    def receive(self, kind: str, limit_s: float = LIMIT_S) -> dict | None:
        """The content of the next message of a kind; None if there is none in time."""
        until = time.monotonic() + limit_s
        while self._socket.poll(max(until - time.monotonic(), 0.0) * 1000):
            self._worker, data = self._socket.recv_multipart()
            found, content, _ = msgpack.unpackb(data, strict_map_key=False)
            if found == kind:
                return content
        return None

    def ask(self) -> dict:
        """The worker's answer to a clock question, asked again until it listens to such questions."""
        for _ in range(LIMIT_S):
            self.send(CLOCK, {"sent": [time.time(), time.perf_counter()]})
            if (answer := self.receive(CLOCK, 1.0)) is not None:
                return answer
        raise AssertionError(f"no answer within {LIMIT_S} s")

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


@pytest.fixture
def start_worker(master, tmp_path):
    """A function to a worker of that master, which writes to worker.log."""
    started = []

    def start() -> subprocess.Popen:
        with (tmp_path / "worker.log").open("w") as log:
            worker = subprocess.Popen(
                [*LOCUST, "--worker", "--master-port", master.port], cwd=ROOT, stdout=log, stderr=log
            )
        started.append(worker)
        master.receive("client_ready")
        master.send("ack", {"index": 0})
        master.send("heartbeat", None)
        master.ask()
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait()


def test_a_worker_answers_after_whatever_its_master_sent(master, start_worker, tmp_path):
    worker = start_worker()
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
    assert master.ask()["pid"] > 0
    assert worker.poll() is None
    master.send("quit", None)
    worker.wait(timeout=60)
    said = (tmp_path / "worker.log").read_text()
    assert "Traceback" not in said
    assert "refused a message of the master (doorbuster_take_over)" in said
    assert "skipped a message of the master ('spawn')" in said


def test_a_worker_that_would_run_another_plan_ends_with_the_reason(master, start_worker, tmp_path):
    """Such as one with another version of doorbuster, or with another locustfile."""
    worker = start_worker()
    content = orders("20261129T000000-dddddd")[0][1]
    wanted = Assignment.from_wire(content)
    summary = wanted.schedule.model_copy(update={"sum_s": wanted.schedule.sum_s + 1.0})
    master.send(ASSIGNMENT, wanted.model_copy(update={"schedule": summary}).to_wire())
    assert worker.wait(timeout=60) == ExitCode.USAGE
    said = (tmp_path / "worker.log").read_text()
    assert "this worker computes another schedule" in said
    assert "install the same versions of doorbuster and numpy on both; this worker ends" in said
    assert "Traceback" not in said
