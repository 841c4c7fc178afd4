"""Progress of commands in a log: silent when quick, then a line with percent and an estimate."""

from __future__ import annotations

import time

import pytest

from doorbuster.cli import progress
from doorbuster.cli.series_watch import about


@pytest.fixture
def clock(monkeypatch):
    """The clock of the helper, which only the test moves."""

    class Clock:
        now_s = 100.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now_s)
    return Clock


def test_quick_work_says_nothing(clock, capsys):
    for _ in progress.each("reading", range(10)):
        clock.now_s += 0.1
    assert capsys.readouterr() == ("", "")


def test_slow_work_says_how_much_is_left_every_ten_seconds(clock, capsys):
    assert list(_slow(clock)) == list(range(30))
    out, error = capsys.readouterr()
    assert out == ""
    assert error.splitlines() == ["reading: 33 %, about 20 s left", "reading: 67 %, about 10 s left"]


def _slow(clock):
    for item in progress.each("reading", range(30)):
        clock.now_s += 1.0
        yield item


def test_work_inside_other_work_is_part_of_its_step(clock, capsys):
    for _ in progress.each("reading the runs", range(4)):
        for _ in progress.each("analysing the run", range(3)):
            clock.now_s += 1.0
    assert "analysing" not in capsys.readouterr().err


def test_quiet_work_is_quiet_and_an_error_leaves_nothing_behind(clock, capsys):
    def fails():
        for _ in progress.each("reading", range(5)):
            clock.now_s += 10.0
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fails()
    for _ in progress.each("reading", range(5), quiet=True):
        clock.now_s += 10.0
    assert capsys.readouterr().err == ""
    for _ in progress.each("reading", range(5)):
        clock.now_s += 10.0
    assert "reading: 20 %, about 40 s left" in capsys.readouterr().err


def test_an_estimate_is_no_finer_than_it_is():
    assert [about(seconds) for seconds in (-5, 3, 94, 700)] == ["10 s", "10 s", "1m30s", "12m"]
