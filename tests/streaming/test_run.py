"""`doorbuster run --stream-to` and `doorbuster stream`: options, losses, and what the run file records."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from doorbuster.records.reader import Run

SCENARIO = """
title: A small load
target: {storefront: reference, shop: {profile: replatformed, query_time: 1ms, products: 200}}
demand: {peak: 10 customers/s, curve: {stages: [{for: 4s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 100}, patience: none, think: {constant: 50ms}}}
thresholds: {can_browse: ["rate>=1%"]}
drain: 10s
"""


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "load.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


def test_a_receiver_that_cannot_be_used_is_refused_before_the_run(doorbuster, scenario, tmp_path):
    (tmp_path / "file").touch()
    blocked = f"jsonl={tmp_path}/file/x.jsonl"
    done = doorbuster("run", scenario, "--out", tmp_path / "run", "--stream-to", blocked, cwd=tmp_path)
    assert (done.returncode, "x.jsonl: cannot be written: " in done.stderr) == (2, True)
    assert not (tmp_path / "run" / "run.sqlite").exists()


def test_a_recorded_run_gives_one_update(doorbuster, recorded, tmp_path):
    done = doorbuster("stream", recorded(), "--to", "jsonl=x.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "note: stream to jsonl=x.jsonl: 1 update sent, none lost\n")
    rows = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    requests = [row["value"] for row in rows if row.get("metric") == "doorbuster_requests_total"]
    assert sum(requests) == 2 * 3 * 21 * 5


@pytest.mark.truth
def test_a_receiver_that_got_nothing_sets_the_exit_code(doorbuster, recorded, tmp_path):
    done = doorbuster("stream", recorded(), "--to", "otlp=http://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 97
    assert "1 of 1 update lost; first reason: Connection refused" in done.stderr


@pytest.mark.truth
def test_the_stream_of_several_workers_ends_with_what_the_run_file_counts(doorbuster, scenario, tmp_path):
    done = doorbuster(
        "run", scenario, "--out", "run", "--quiet", "--workers", "2", "--stream-to", "jsonl=x.jsonl",
        "--stream-to", "otlp=http://127.0.0.1:1", cwd=tmp_path,
    )  # fmt: skip
    assert "note: stream to otlp=http://127.0.0.1:1: " in done.stderr
    assert "first reason: Connection refused" in done.stderr
    totals: dict[str, float] = {}
    for line in (tmp_path / "x.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row.get("metric") == "doorbuster_requests_total":
            key = json.dumps([row.get(name) for name in ("channel", "step", "outcome", "cause")])
            assert row["value"] >= totals.get(key, 0)  # a counter never falls
            totals[key] = row["value"]
    with Run.open(tmp_path / "run") as run:
        assert sum(totals.values()) == sum(n.sum() for n in run.request_counts(lambda _: "all").values())
        said = [event.text for event in run.events() if event.kind == "stream"]
    assert said[0].endswith(" updates sent, none lost")
    assert "updates lost; first reason: Connection refused" in said[1]


@pytest.mark.truth
def test_a_killed_stream_is_stated_and_ends_no_run(scenario, tmp_path):
    command = [
        sys.executable, "-m", "doorbuster", "run", str(scenario), "--out", "run", "--quiet",
        "--stream-to", "jsonl=x.jsonl",
    ]  # fmt: skip
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (tmp_path / "x.jsonl").exists() or not (tmp_path / "x.jsonl").stat().st_size:
        assert time.monotonic() < until
        time.sleep(0.05)
    (stream,) = [one for one in psutil.Process(run.pid).children() if "doorbuster.streaming" in one.cmdline()]
    os.kill(stream.pid, signal.SIGKILL)
    _, said = run.communicate(timeout=120)
    assert run.returncode in (0, 96)
    assert "the number of lost updates is unknown: the process that streams was killed" in said
