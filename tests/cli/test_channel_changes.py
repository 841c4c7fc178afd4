"""The change of a channel against the baseline, in the words of the first screen."""

from __future__ import annotations

import pytest

from doorbuster.cli.channel_changes import _points
from doorbuster.stats.difference import ValueWithInterval


@pytest.mark.parametrize(
    ("low", "value", "high", "text"),
    [
        (-0.889, -0.70, -0.297, "−70.0 pp (−88.9 to −29.7)"),  # wide, but a loss without doubt
        (-0.124, -0.02, 0.084, "−2.0 pp (−12.4 to +8.4)"),
        (-1.0, 0.0, 1.0, "too few to tell"),
        (None, 0.1, 0.3, "+10.0 pp (? to +30.0)"),
    ],
)
def test_only_an_interval_around_no_change_can_be_too_wide(low, value, high, text):
    assert _points(ValueWithInterval(value, low, high)) == text
