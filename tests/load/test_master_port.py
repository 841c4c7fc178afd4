"""Messages of strangers to the master's port, as bytes on a socket, while a run goes on."""

from __future__ import annotations

import random

import msgpack
import pytest
import zmq

from doorbuster.load.coordination.messages import BATCH, CLOCK
from doorbuster.records.reader import Run

pytestmark = pytest.mark.alone

SEED = 14


def malformed(worker: str, stranger: str) -> list[list[bytes]]:
    """Frames that no worker sends: broken bytes, wrong shapes, foreign names, and random changes of both."""
    pack, rng = msgpack.packb, random.Random(SEED)
    wrong = [
        [b""], [b"\xc1"], [b"\xff" * 300], [b"\x93\x01"], [b"\x91" * 5000], [pack("text")], [pack([])],
        [pack(["stats"])], [pack(["stats", None, stranger, 4])], [pack({"__datetime__": 1})],
        [pack([["stats"], {}, stranger])], [pack([None, None, None])], [b"one", b"two", b"three"],
        [pack(["client_ready", 7, stranger])], [pack(["client_ready", {"a": 1}, stranger])],
        [pack(["heartbeat", None, stranger])], [pack(["heartbeat", {"state": 1}, stranger])],
        [pack(["spawning_complete", None, stranger])], [pack(["exception", None, stranger])],
        [pack(["locustfile", None, stranger])], [pack(["nothing-known", {}, stranger])],
        [pack(["stats", {"stats": "x", "errors": 7}, stranger])],
    ]  # fmt: skip
    wrong += [
        [pack([kind, {}, worker])] for kind in ("client_stopped", "quit", "spawning", "heartbeat", BATCH)
    ]
    reports = (None, {}, [], "x", {"run_id": 1, "worker": worker, "seq": 0, "final": True})
    wrong += [[pack([kind, data, stranger])] for kind in (BATCH, CLOCK) for data in reports]
    changed = []
    for frames in wrong:
        for _ in range(20):
            data = bytearray(frames[0] or b"\x00")
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            changed.append([bytes(data)])
    return wrong + changed


def test_malformed_messages_neither_lose_a_worker_nor_end_the_run(start_run, worker, port, stall_server):
    live = start_run(stall_server("--service-ms", "2"), [worker()] * 2, peak=40, length_s=4)
    live.wait_for_second(1)
    ((name,), *_) = live.rows("SELECT name FROM workers WHERE name LIKE '%!_%' ESCAPE '!'")
    context = zmq.Context()
    sent = 0
    for stranger in ("stranger", "other"):
        sender = context.socket(zmq.DEALER)
        sender.setsockopt(zmq.IDENTITY, stranger.encode())
        sender.setsockopt(zmq.LINGER, 2000)
        sender.connect(f"tcp://127.0.0.1:{port}")
        for frames in malformed(name, stranger):
            sender.send_multipart(frames)
            sent += 1
        sender.close()
    context.term()
    code = live.end()
    with Run.open(live.run_folder) as run:
        assert run.meta.status == "finished"
        assert [event.text for event in run.events() if event.kind == "worker_lost"] == []
        assert {len(live.planned_s())} == {live.delivered(), run.outcome_totals().served}
        assert all(report.final and not report.missing for report in run.workers())
    assert sent > 1000
    assert "skipped a message" in live.output
    assert code in (0, 96)  # the scenario has no thresholds
