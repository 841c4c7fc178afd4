"""Histories with invented runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from doorbuster.history.identity import TimelineKey
from doorbuster.history.store import History, HistoryRun, Sample, StoredMetric

KEY = TimelineKey("smoke 1a2b3c4d", "https://shop.example", "Linux x86_64, 2 cores, 8 GB", "main")
DAY_NS = 86_400 * 10**9


@pytest.fixture
def fill(tmp_path) -> Callable[..., Path]:
    """Writes a history: one run a day, with the values of each metric in turn; None leaves a metric out."""

    def write(
        metrics: Mapping[StoredMetric, Sequence[float | None]],
        *,
        key: TimelineKey = KEY,
        commits: Sequence[str] = (),
        name: str = "history.sqlite",
    ) -> Path:
        path = tmp_path / name
        with History.open(path, create=True) as history:
            for at, values in enumerate(zip(*metrics.values(), strict=True)):
                commit = commits[at] if commits else f"{at:012x}"
                run = HistoryRun(f"{key.branch}-{at}", (20_000 + at) * DAY_NS, commit, "pass")
                pairs = zip(metrics, values, strict=True)
                history.add(key, run, {metric: Sample(value) for metric, value in pairs if value is not None})
        return path

    return write
