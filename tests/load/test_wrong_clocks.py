"""Workers whose clocks are wrong, run too fast or are set during a run keep the schedule."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from doorbuster.records.reader import Run

pytestmark = [pytest.mark.alone, pytest.mark.truth]

LATE_S = 0.5  # far more than a busy machine adds, far less than the clocks are wrong by


@pytest.fixture(scope="module")
def wrong_clock():
    """A function from a faketime specification to the environment of a process with such a wall clock."""
    if shutil.which("faketime") is None:
        pytest.skip("clock tests need faketime: apt-get install faketime")
    preload = subprocess.run(
        ["faketime", "-f", "+0s", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    ).stdout.strip()

    def environment(clock: str) -> dict[str, str]:
        return {"LD_PRELOAD": preload, "FAKETIME": clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    return environment


def stated_offsets_s(live) -> list[float]:
    with Run.open(live.run_folder) as run:
        texts = [event.text for event in run.events() if event.kind == "clock"]
    assert all(text.endswith("corrected") for text in texts)
    return sorted(float(re.search(r"clock ([+-][\d.]+) ms", text)[1]) / 1e3 for text in texts)


def assert_all_arrived_on_time(live) -> None:
    """By the count and the clock of the server."""
    planned_s, came_s = live.planned_s(), live.arrivals_s()
    assert len(planned_s) == len(came_s)
    assert np.quantile(np.abs(came_s - planned_s), 0.99) < LATE_S
    with Run.open(live.run_folder) as run:
        assert len(planned_s) == run.histogram("response").n == run.outcome_totals().served
        assert run.lateness().quantile_us(0.99) < LATE_S * 1e6


def test_workers_with_wrong_clocks_keep_the_schedule_and_their_offsets_are_stated(
    start_run, worker, stall_server, wrong_clock
):
    clocks = ("-5s", "+37s", "+1h x1.05")  # the last one runs 5 % too fast
    specs = [worker(environment=wrong_clock(clock)) for clock in clocks]
    live = start_run(stall_server("--service-ms", "2"), specs, peak=60, length_s=5)
    live.end()
    behind_s, ahead_s, drifting_s = stated_offsets_s(live)
    assert behind_s == pytest.approx(-5.0, abs=0.05)
    assert ahead_s == pytest.approx(37.0, abs=0.05)
    assert 3600.0 < drifting_s < 3610.0
    assert_all_arrived_on_time(live)


@pytest.mark.parametrize("set_by", ["+30s", "-30s"])
def test_a_clock_that_is_set_in_the_middle_of_a_run_moves_nothing(
    set_by, start_run, worker, stall_server, wrong_clock, tmp_path
):
    """On the master and one of two workers; no worker may be lost only because a clock was set."""
    clock = tmp_path / "clock"
    clock.write_text("+0s\n")
    settable_clock = {**wrong_clock("+0s"), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1"}
    del settable_clock["FAKETIME"]
    specs = [worker(), worker(environment=settable_clock)]
    live = start_run(
        stall_server("--service-ms", "2"), specs, peak=60, length_s=8, environment=settable_clock
    )
    started_at = live.started_at()
    live.wait_for_second(3)
    clock.write_text(f"{set_by}\n")
    live.end()
    assert_all_arrived_on_time(live)
    with Run.open(live.run_folder) as run:
        assert [event for event in run.events() if event.kind == "worker_lost"] == []
        lasted_s = run.meta.finished_at_unix_ns / 1e9 - started_at
    moved_s = float(set_by.removesuffix("s"))
    assert 8 + moved_s - 1 < lasted_s < 8 + moved_s + 15  # the clock was really set
