"""A name that has another address than when it was confirmed, with real look-ups in a network of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.truth, pytest.mark.alone]


def test_a_name_that_moves_is_not_loaded_by_workers_or_by_plain_locust_users(tmp_path):
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip(
            "a network of its own needs root, unshare and iproute2: apt-get install iproute2 util-linux"
        )
    if subprocess.run(["unshare", "-mn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make a namespace")
    script = Path(__file__).with_name("moved_names.py")
    done = subprocess.run(
        ["unshare", "-mn", sys.executable, script, tmp_path], capture_output=True, text=True, timeout=170,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["distributed"].keys() == {"host_not_allowed"}
    assert found["plain"].keys() == {"host_not_allowed"}
    assert found["received"] == {}
