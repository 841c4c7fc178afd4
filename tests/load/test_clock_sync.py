"""Offsets of another machine's clocks, from exchanges with known delays."""

from __future__ import annotations

import pytest

from doorbuster.load.coordination.clock_sync import ClockExchange, ClockReading, clock_offset

BOOTED_S = 70.0  # the counter at Unix second 0


def exchange(
    sent_s: float, *, ahead_s: float, there_s: float, back_s: float, counter_ahead_s: float = 0.0
) -> ClockExchange:
    """A message that takes `there_s` to a machine whose clocks are ahead, and `back_s` back."""

    def ours(at_s: float) -> ClockReading:
        return ClockReading(at_s, at_s + BOOTED_S)

    at_s = sent_s + there_s
    theirs = ClockReading(at_s + ahead_s, at_s + BOOTED_S + counter_ahead_s)
    return ClockExchange(ours(sent_s), theirs, ours(at_s + back_s))


def test_the_offset_is_exact_for_equal_delays_in_both_directions():
    found = clock_offset([exchange(100.0, ahead_s=3.5, there_s=0.02, back_s=0.02)])
    assert found.wall_s == pytest.approx(3.5)
    assert found.uncertainty_s == pytest.approx(0.02)


def test_wall_clock_and_counter_have_separate_offsets():
    found = clock_offset([exchange(9.0, ahead_s=-5.0, there_s=0.01, back_s=0.01, counter_ahead_s=86_400.0)])
    assert found.wall_s == pytest.approx(-5.0)
    assert found.counter_s == pytest.approx(86_400.0)


@pytest.mark.parametrize("there_s", [0.0, 0.005, 0.03, 0.04])
def test_the_error_is_never_larger_than_the_stated_uncertainty(there_s):
    found = clock_offset(
        [exchange(5.0, ahead_s=-60.0, counter_ahead_s=7.0, there_s=there_s, back_s=0.04 - there_s)]
    )
    assert abs(found.wall_s - -60.0) <= found.uncertainty_s + 1e-9
    assert abs(found.counter_s - 7.0) <= found.uncertainty_s + 1e-9


def test_the_fastest_exchange_counts():
    slow = exchange(1.0, ahead_s=2.0, there_s=0.5, back_s=0.1)
    quick = exchange(2.0, ahead_s=2.0, there_s=0.001, back_s=0.001)
    assert clock_offset([slow, quick, slow]).uncertainty_s == pytest.approx(0.001)


def test_there_is_no_offset_without_an_exchange():
    assert clock_offset([]) is None


def test_an_offset_is_printed_with_its_uncertainty():
    found = clock_offset([exchange(1.0, ahead_s=-0.25, there_s=0.001, back_s=0.001)])
    assert str(found) == "-250.0 ms ± 1.0 ms"
