"""`doorbuster compare --run` from the command line: real rehearsals of a real server, files and exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.truth
def test_a_target_compared_with_itself_gives_its_noise_floor(tmp_path, doorbuster, one_page, stall_server):
    url = stall_server("--service-ms", 5)
    scenario = one_page(url, tmp_path / "scenario", peak=20, length_s=2)
    out = tmp_path / "out"
    done = doorbuster(
        "compare", "--run", scenario, "--a", url, "--a-a", "--pairs", 2, "--out", out,
        "--locustfile", ROOT / "tests/load/one_step.py", "--gate", "http_req_duration typical", timeout_s=300,
    )  # fmt: skip
    assert done.returncode in (0, 96), done.stderr
    assert sorted(path.name for path in (out / "a").iterdir()) == ["01", "02"]
    noise = json.loads((out / "noise-floor.json").read_text(encoding="utf-8"))
    assert [metric["key"] for metric in noise["metrics"]] == ["http_req_duration typical"]
    again = doorbuster("compare", "--paired", out / "a", "--", out / "b", "--out", tmp_path / "again")
    assert again.returncode in (0, 95, 96), again.stderr
    document = json.loads((tmp_path / "again" / "compare.json").read_text(encoding="utf-8"))
    assert {metric["basis"] for metric in document["metrics"] if metric["ratio"]} == {"pairs"}
