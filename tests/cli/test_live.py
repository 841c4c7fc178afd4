"""The live view: it fits every terminal, says what it must there, and takes no time from the generator."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from doorbuster.cli import live
from doorbuster.cli.live_view import ScreenSize, one_line_of, picture, sparkline, stopping_message
from doorbuster.live import monitor
from doorbuster.live.state import ThresholdView

SAMPLE = Path(__file__).parents[2] / "reports" / "sample"


class Process:
    """A process that runs for `seconds` of a simulated clock."""

    asked = 0

    def __init__(self, seconds: float) -> None:
        self.now_s, self.ends_s = 0.0, seconds
        self.worked_s = 0.0
        self.refreshes = 0

    def is_running(self) -> bool:
        return self.now_s < self.ends_s

    def sleep(self, seconds: float) -> str:
        self.now_s += seconds
        return ""

    def refresh(self) -> None:
        """Takes longer as the run grows, like reading a growing file."""
        self.refreshes += 1
        took_s = 1e-4 * self.now_s
        self.now_s += took_s
        self.worked_s += took_s


def watch(process: Process, monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: process.now_s)
    monkeypatch.setattr(time, "process_time", lambda: process.worked_s)
    live._until_over(process, process.refresh, lambda: None, process.sleep)


def test_the_live_view_of_a_long_run_uses_at_most_a_twentieth_of_a_core(monkeypatch):
    process = Process(3600.0)
    watch(process, monkeypatch)
    assert process.worked_s < 0.05 * 3600.0


def test_the_live_view_of_a_short_run_refreshes_every_second(monkeypatch):
    process = Process(60.0)
    watch(process, monkeypatch)
    assert process.refreshes >= 59


class Stopping:
    """A process that is asked to stop at its second look, by a key or by Ctrl-C, and by a key once more."""

    def __init__(self, *, interrupts: bool) -> None:
        self.asked = self.looks = 0
        self.interrupts = interrupts
        self.said: list[str] = []

    def is_running(self) -> bool:
        self.looks += 1
        return self.looks < 6

    def ask_to_stop(self) -> None:
        self.asked += 1
        self.said.append("asked")

    def wait(self, _: float) -> str:
        if self.looks == 2 and self.interrupts:
            raise KeyboardInterrupt
        return "q" if self.looks in (2, 4) else ""


@pytest.mark.parametrize("interrupts", [False, True])
def test_q_and_ctrl_c_stop_the_run_and_say_so_before_the_next_refresh(interrupts):
    process = Stopping(interrupts=interrupts)
    said = process.said
    live._until_over(process, lambda: said.append("refresh"), lambda: said.append("told"), process.wait)
    assert process.asked == 1  # a later q does not kill
    assert said[said.index("asked") + 1] == "told"


@pytest.fixture(scope="module")
def peak():
    """The sample run 40 s after its start, in a collapse."""
    usual, monitor.time.sleep = time.sleep, lambda _: None
    try:
        return next(one for one in monitor.replay(SAMPLE, speed=1.0) if one.at_s >= 40)
    finally:
        monitor.time.sleep = usual


def drawn(state, columns: int, rows: int, *, message: str = "", **options) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=True, **options)
    size = ScreenSize(columns, rows, ascii_only=options.pop("ascii_only", False))
    console.print(picture(state, size, message=message))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize(
    ("columns", "rows"), [(40, 16), (60, 24), (80, 24), (100, 30), (149, 40), (150, 24), (200, 24), (200, 60)]
)
def test_the_picture_fits_the_terminal(peak, columns, rows):
    hostile = "a very long name " * 30
    states = (peak, replace(peak, title=hostile, thresholds=peak.thresholds * 9, channels=peak.channels * 9))
    for state in states:
        lines = drawn(state, columns, rows, color_system=None)
        assert len(lines) < rows
        assert max(len(line) for line in lines) <= columns


def test_the_picture_has_the_worst_first_and_counts_what_does_not_fit(peak):
    text = "\n".join(drawn(peak, 80, 24, color_system=None))
    assert "FAIL    can_browse: rate>=99%" in text
    assert "thresholds (4 more)" in text
    assert "peak, 40 s of 1m15s, 35 s left" in text
    assert "last 10 s" in text
    assert "generator healthy" in text
    everything = "\n".join(drawn(peak, 200, 60, color_system=None))
    assert all(one.name in everything for one in peak.channels)
    assert "more)" not in everything.split("worst steps")[0]


def test_no_colour_is_needed_to_read_the_picture(peak):
    plain, coloured = drawn(peak, 80, 24, color_system=None), drawn(peak, 80, 24, color_system="standard")
    assert "\x1b[" not in "".join(plain)
    assert "\x1b[1;31mFAIL" in "".join(coloured)


def test_a_terminal_without_block_characters_gets_others():
    assert sparkline([0.0, 1.0, 2.0, None], 10, ascii_only=True) == "_=# "
    assert sparkline([0.0, 0.5, 1.0], 10, ratio=True) == "▁▅█"
    assert sparkline([0.0, 0.0], 10) == "▁▁"


def test_a_silent_shop_is_not_shown_as_a_fast_one(peak):
    measures = tuple(replace(one, recent=None) if one.name == "p95" else one for one in peak.measures)
    text = "\n".join(drawn(replace(peak, measures=measures, silent_s=14.2), 80, 24, color_system=None))
    assert "silent 14 s" in text


def test_the_line_of_a_log_has_phase_and_percent(peak):
    line = one_line_of(peak)
    assert line.startswith(" 53 % peak, 40 s of 1m15s, 35 s left: 77 in the shop, could order 77.3 %")
    assert "failing: can_browse: rate>=99%" in line


def test_the_message_of_a_stop_counts_the_customers():
    assert stopping_message(105) == ("stopping: 105 customers are sent home; press Ctrl-C again to end now")
    assert stopping_message(1) == "stopping: 1 customer is sent home; press Ctrl-C again to end now"
    assert stopping_message(None) == "stopping: press Ctrl-C again to end now"


def test_hostile_names_are_text(peak):
    evil = ThresholdView("[bold]x[/bold] \x1b[2J", "fail", "1", "s")
    text = "\n".join(
        drawn(replace(peak, title="[red]a[/red]", thresholds=(evil,)), 80, 24, color_system=None)
    )
    assert "[red]a[/red]" in text
    assert "[bold]x[/bold]" in text


KEYS = """
from doorbuster.cli.keys import pressed_keys
with pressed_keys() as wait:
    print("ready", flush=True)
    found = ""
    while "q" not in found:
        found += wait(20)
    print("pressed", repr(found), flush=True)
import termios, sys
print("echo", bool(termios.tcgetattr(0)[3] & termios.ECHO), flush=True)
"""


def test_a_key_arrives_without_enter_and_the_terminal_is_as_before():
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", KEYS], stdin=side, stdout=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)), text=True,
    )  # fmt: skip
    try:
        assert process.stdout.readline() == "ready\n"
        os.write(main, b"q")
        assert process.stdout.read() == "pressed 'q'\necho True\n"
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
        os.close(main)
        os.close(side)
