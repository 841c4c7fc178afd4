"""Master and workers with a shared key: who has it gets in, and nobody else learns or changes anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import msgpack
import pytest
import zmq

from doorbuster.errors import UsageError
from doorbuster.load.coordination.messages import BATCH
from doorbuster.load.locust_plugin.channel_key import KEY_VARIABLE, channel_keys
from doorbuster.locust_process import KEY_VARIABLE as COMMAND_KEY_VARIABLE
from doorbuster.locust_process import check_key
from doorbuster.records.reader import Run

SECRET, OTHER = "a secret of the master and its workers", "another secret of somebody else"


def test_both_ends_derive_the_same_keys_and_other_secrets_others():
    keys = channel_keys(SECRET)
    assert keys == channel_keys(SECRET) == channel_keys(f" {SECRET}\n")
    assert len({*keys.master, *keys.worker, *channel_keys(OTHER).master, *channel_keys(OTHER).worker}) == 8
    for pair in keys:
        assert zmq.curve_public(pair.secret) == pair.public


def test_command_and_load_read_the_same_variable():
    assert COMMAND_KEY_VARIABLE == KEY_VARIABLE  # the command must not import what imports Locust


def test_a_secret_that_can_be_guessed_is_refused():
    with pytest.raises(UsageError, match=r"has 8 characters, it needs at least 16.*openssl rand -hex 32"):
        channel_keys("password")
    with pytest.raises(UsageError, match="has 0 characters"):
        channel_keys(" " * 20)


@pytest.mark.parametrize("address", ["0.0.0.0", "*", "10.0.0.5", "::", "master.example.com"])
def test_an_address_that_others_reach_needs_a_key(address, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="need a shared key: set DOORBUSTER_KEY"):
        check_key(address)
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    check_key(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_the_loopback_address_needs_none(address, monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    check_key(address)


class Recorder:
    """Passes the bytes of one connection on to the master, and keeps what the worker sent."""

    def __init__(self, port: int) -> None:
        self.sent = bytearray()
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        worker, _ = self._listener.accept()
        self._listener.close()
        for _ in range(200):
            try:
                master = socket.create_connection(("127.0.0.1", self._to))
                break
            except OSError:
                threading.Event().wait(0.05)
        threading.Thread(target=self._pump, args=(master, worker, bytearray()), daemon=True).start()
        self._pump(worker, master, self.sent)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        try:
            while data := source.recv(65_536):
                kept += data
                target.sendall(data)
        except OSError:
            pass
        finally:
            target.close()
            source.close()


def strange_sockets(context: zmq.Context, port: int) -> list[zmq.Socket]:
    """Without a key; with that of another secret; with the worker's pair but a guess for the master's."""
    found = []
    mine, other = channel_keys(SECRET), channel_keys(OTHER)
    for pair, server in (
        (None, None),
        (other.worker, other.master.public),
        (mine.worker, other.master.public),
    ):
        made = context.socket(zmq.DEALER)
        made.setsockopt(zmq.IDENTITY, f"stranger{len(found)}".encode())
        made.setsockopt(zmq.LINGER, 0)
        if pair is not None:
            made.curve_serverkey, made.curve_publickey, made.curve_secretkey = (
                server,
                pair.public,
                pair.secret,
            )
        made.connect(f"tcp://127.0.0.1:{port}")
        found.append(made)
    return found


@pytest.mark.truth
@pytest.mark.alone
def test_strangers_and_recorded_bytes_get_nothing_and_change_nothing(start_run, worker, port, stall_server):
    recorder = Recorder(port)
    with_key = {KEY_VARIABLE: SECRET}
    workers = [worker(environment=with_key), worker(environment=with_key, master_port=recorder.port)]
    live = start_run(stall_server("--service-ms", "2"), workers, peak=40, length_s=4, environment=with_key)
    live.wait_for_second(1)
    ((name,), *_) = live.rows("SELECT name FROM workers WHERE name LIKE '%!_%' ESCAPE '!'")
    context = zmq.Context()
    strangers = strange_sockets(context, port)
    for one in strangers:
        identity = one.getsockopt(zmq.IDENTITY).decode()
        for message in (
            ("client_ready", -1, identity), ("locustfile", {"version": "2.47.0"}, identity),
            ("quit", None, name), (BATCH, {"run_id": "x", "worker": name, "seq": 0, "final": True}, name),
        ):  # fmt: skip
            try:
                one.send(msgpack.packb(message), zmq.NOBLOCK)
            except zmq.Again:  # the connection ended in the handshake
                break
    for data in (bytes(recorder.sent), b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n", os.urandom(5000)):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(data)
            raw.settimeout(0.2)
            try:
                while raw.recv(65_536):
                    pass
            except OSError:
                pass
    answers = [one for one in strangers if one.poll(500)]
    for one in strangers:
        one.close()
    context.term()
    code = live.end()
    assert answers == []
    assert len(recorder.sent) > 1000
    assert SECRET.encode() not in recorder.sent
    assert b"one-page" not in recorder.sent, "what workers send is encrypted"
    with Run.open(live.run_folder) as run:
        assert run.meta.status == "finished"
        assert [event.text for event in run.events() if event.kind == "worker_lost"] == []
        assert {len(live.planned_s())} == {live.delivered(), run.outcome_totals().served}
        assert all(report.final and not report.missing for report in run.workers())
    assert "a connection to the master's port was refused: it has no key, or another one" in live.output
    assert SECRET not in live.output
    assert code in (0, 96)  # the scenario has no thresholds


@pytest.mark.truth
@pytest.mark.alone
@pytest.mark.parametrize("secrets", [(SECRET, OTHER), (SECRET, ""), ("", OTHER)])
def test_a_worker_that_is_refused_ends_with_the_reason(secrets, port, tmp_path):
    of_master, of_worker = secrets
    command = [sys.executable, "-m", "doorbuster", "run", "smoke", "--out", tmp_path / "run", "--quiet",
               "--expect-workers", "1", "--bind-port", str(port)]  # fmt: skip
    plain = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    said = tmp_path / "said"
    with said.open("w") as output:
        master = subprocess.Popen(
            command, env=plain | ({KEY_VARIABLE: of_master} if of_master else {}), stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        done = subprocess.run(
            [sys.executable, "-m", "doorbuster", "worker", "--master-port", str(port)], capture_output=True,
            text=True, timeout=60, env=plain | ({KEY_VARIABLE: of_worker} if of_worker else {}), check=False,
        )  # fmt: skip
        give_up_at = time.monotonic() + 20
        while "was refused" not in said.read_text() and time.monotonic() < give_up_at:
            time.sleep(0.1)
        notes = [line for line in said.read_text().splitlines() if line.startswith("note: ")]
    finally:
        master.terminate()
        master.wait(timeout=30)
    (note,) = notes  # while it waits, not at its end
    theirs = "no key, or another one" if of_master else "a key, and there is none here"
    assert note.startswith(f"note: a connection to the master's port was refused: it has {theirs}")
    assert done.returncode == 2
    assert "refuses this worker" in done.stderr
    assert "Traceback" not in done.stderr
