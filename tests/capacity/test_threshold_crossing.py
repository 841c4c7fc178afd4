"""Where a line through noisy levels crosses its bound."""

from __future__ import annotations

from doorbuster.capacity.threshold_crossing import QueuePrior, RatePoint, find_crossing


def test_theory_widens_the_interval_of_a_quiet_stretch_and_never_narrows_that_of_a_noisy_one():
    points = [RatePoint(70.0, -0.6, 0.2, 10, 75.0), RatePoint(85.0, 0.6, 0.2, 10, 75.0)]

    def width(bound_s):
        return find_crossing(points, QueuePrior(100.0, 0.01, 0.0, bound_s)).half_width_ratio

    assert width(1e-9) == width(1e-3) < width(0.2) < width(2.0)
