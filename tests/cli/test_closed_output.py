"""A reader that leaves, such as `head`, ends the output of a command but not the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from doorbuster.errors import ExitCode

TINY = """
title: "One second of customers"
target:
  storefront: reference
  shop: {profile: replatformed, query_time: 0ms, products: 48}
demand: {peak: 5 customers/s, curve: {stages: [{for: 2s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}, think: {constant: 10ms}}}
thresholds:
  http_req_failed: ["rate<=0%"]
drain: 5s
"""


def leave_after(lines: int, *args: object, cwd, errors=subprocess.PIPE):
    """The exit code and standard error of a command whose reader leaves after some lines."""
    command = [sys.executable, "-m", "doorbuster", *map(str, args)]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        for _ in range(lines):
            assert process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read() if process.stderr else ""
        return process.wait(timeout=60), said


@pytest.mark.parametrize(("args", "lines"), [(("--help",), 0), (("check", "smoke"), 1)])
def test_what_follows_is_dropped_without_a_message(tmp_path, args, lines):
    assert leave_after(lines, *args, cwd=tmp_path) == (0, "")


def test_a_report_in_the_terminal_ends_quietly(root, tmp_path):
    code, said = leave_after(1, "analyse", root / "reports/sample", cwd=tmp_path)
    assert (code, said) == (0, "")


def test_a_run_ends_with_its_report_and_its_verdict(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    code, _ = leave_after(0, "run", "tiny.yaml", "--out", "run", cwd=tmp_path, errors=subprocess.STDOUT)
    assert code == ExitCode.PASS
    assert {"index.html", "junit.xml", "run.sqlite"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert not (tmp_path / "run" / "run.sqlite-wal").exists()


def test_an_error_is_still_an_error(tmp_path):
    code, said = leave_after(0, "check", "nothing.yaml", cwd=tmp_path)
    assert code == ExitCode.INVALID_CONFIGURATION
    assert "nothing.yaml" in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_an_error_in_one_sentence(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "doorbuster", "check", "smoke"],
            cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.stderr == "standard output: No space left on device; the rest was not written\n"
    assert done.returncode == ExitCode.USAGE
