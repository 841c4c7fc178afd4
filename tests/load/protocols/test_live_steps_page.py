"""The locustfile and the scenario of docs/how-to/live-steps.md, run against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from doorbuster.records.reader import Run

ROOT = Path(__file__).parents[3]
STEPS = ("watch_stock", "open_queue", "ask_place")


@pytest.mark.truth
def test_every_step_is_a_row_of_the_run_with_its_time(stream_server, tmp_path):
    page = (ROOT / "docs/how-to/live-steps.md").read_text(encoding="utf-8")
    locustfile, scenario = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)
    (tmp_path / "live.py").write_text(locustfile)
    (tmp_path / "live.yaml").write_text(scenario.replace("http://127.0.0.1:7000", stream_server.url))
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", tmp_path / "live.py", "--headless", "--only-summary",
         "--scenario", tmp_path / "live.yaml", "--run-folder", tmp_path / "run"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert (tmp_path / "run").exists(), done.stderr
    with Run.open(tmp_path / "run") as run:
        totals = run.outcome_totals()
        found = run.histograms_by(lambda series: (series.step, series.outcome), "response")
    assert totals.served == totals.planned > 40, done.stderr[-2000:]
    assert {key: one.n for key, one in found.items()} == {(step, "ok"): totals.served for step in STEPS}
    watch = found["watch_stock", "ok"].quantile_us(0.5)
    assert 20_000 <= watch < 200_000  # the second event, ten milliseconds after the first
