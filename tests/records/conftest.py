"""Shared values of the record tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from doorbuster.records.batch import Batch, RequestSecond, SeriesKey
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta

# The same examples each time, so that a red build is red again; no deadline: the machine may be busy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def hdr_logs() -> Path:
    """Real HdrHistogram logs, which are not shipped with the project."""
    folder = Path(__file__).parents[3] / "shared" / "data" / "hdrhistogram"
    if not folder.is_dir():
        pytest.skip(
            "the reference data (shared/data/hdrhistogram beside the checkout) is not on this machine"
        )
    return folder


@pytest.fixture
def make_meta() -> Callable[..., RunMeta]:
    """Metadata of a run, with any field replaced."""

    def make(**changes: Any) -> RunMeta:
        return RunMeta(
            run_id="r1",
            title="A sale",
            scenario_name="sale",
            scenario_text="title: A sale\n",
            storefront="reference",
            target_url="http://127.0.0.1:8080",
            seed=7,
            workers=1,
            started_at_unix_ns=1_700_000_000_000_000_000,
            duration_s=10.0,
        ).changed(**changes)

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """A report holding requests given as {(second, step): [latency in us, ...]}."""

    def make(
        seq: int = 0,
        requests: dict[tuple[int, str], list[int]] | None = None,
        *,
        worker: str = "w0",
        outcome: str = "ok",
        **rest: Any,
    ) -> Batch:
        rows = []
        for (second, step), values in (requests or {}).items():
            series = SeriesKey("web", "buy", step, outcome, "" if outcome == "ok" else "status_5xx")
            blobs = [pack([value // part for value in values]) for part in (1, 2, 4)]
            rows.append(
                RequestSecond(second, series, len(values), 10 * len(values), 100 * len(values), *blobs)
            )
        return Batch(worker=worker, seq=seq, requests=tuple(rows), **rest)

    return make
