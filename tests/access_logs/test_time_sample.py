"""Samples that depend on times only."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.access_logs.time_sample import TimeSample


@pytest.mark.parametrize("pieces", [1, 3, 40])
def test_the_sample_does_not_depend_on_the_order_of_rows(pieces):
    rng = np.random.default_rng(1)
    times = rng.integers(0, 10**9, 5_000) * 1_000
    rows = np.column_stack((times // 7, np.arange(5_000) % 3))
    first, other = TimeSample(1_000, 2), TimeSample(1_000, 2)
    first.add(times, rows)
    for part in np.array_split(rng.permutation(5_000), pieces):
        other.add(times[part], rows[part])
    assert first.rows().tolist() == other.rows().tolist()
    assert 300 < len(first.rows()) <= 1_000  # a half or more of what fits, but for chance


def test_all_rows_stay_while_they_fit():
    sample = TimeSample(10, 1)
    sample.add(np.array([3, 1, 2]), np.array([[30], [10], [20]]))
    assert sample.rows().tolist() == [[10], [20], [30]]
