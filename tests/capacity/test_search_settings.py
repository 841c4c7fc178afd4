"""Search settings from options; invalid values are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from doorbuster.capacity.search import SearchSettings

SETTINGS = SearchSettings(start_rate_per_s=40.0, max_rate_per_s=400.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"start_rate_per_s": 0.0},
            "start_rate_per_s must be above 0 and at most max_rate_per_s (got 0.0 and 400.0)",
        ),
        (
            {"start_rate_per_s": 500.0},
            "start_rate_per_s must be above 0 and at most max_rate_per_s (got 500.0 and 400.0)",
        ),
        ({"growth": 1.0}, "growth must be above 1 (got 1.0)"),
    ],
)
def test_senseless_settings_are_refused(arguments, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the whole message is compared)
        replace(SETTINGS, **arguments)
    assert str(caught.value) == message
