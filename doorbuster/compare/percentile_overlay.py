"""The percentiles of the requests of both builds, one above the other: a static chart and the page's data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from doorbuster.records.histogram import Histogram
from doorbuster.records.outcome import RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.interactive.page_data import comparison_data
from doorbuster.report.section import Chart, Series, metric_series, time_metric
from doorbuster.stats.latency_quantiles import TimeBlock
from doorbuster.stats.windows import window_quantiles

_SHARES = (*(at / 50 for at in range(1, 50)), 0.99, 0.995, 0.999)


@dataclass(frozen=True, slots=True)
class PercentileOverlay:
    """A chart of both builds, None where one has no requests; `data` is what the page's script reads."""

    chart: Chart | None
    data: str


def percentile_overlay(baseline: Sequence[Path], candidate: Sequence[Path]) -> PercentileOverlay:
    """The percentiles of all requests of each build, past abandoned ones."""
    with ExitStack() as opened:
        arms = [[opened.enter_context(Run.open(path)) for path in paths] for paths in (baseline, candidate)]
        lines = [_line(name, runs) for name, runs in zip(("baseline", "candidate"), arms, strict=True)]
        data = comparison_data(*arms)
    if any(all(value is None for value in line.y) for line in lines):
        return PercentileOverlay(None, data)
    chart = Chart(
        "lines", "Response time by percentile, all requests", "percentile", "response time",
        tuple(100 * share for share in _SHARES), tuple(lines), x_unit="", y_unit="ms", log_y=True,
    )  # fmt: skip
    return PercentileOverlay(chart, data)


def _line(name: str, runs: Sequence[Run]) -> Series:
    ends: dict[str, list[Histogram]] = {}
    for run in runs:
        for end, times in run.histograms_by(lambda key: key.outcome).items():
            ends.setdefault(end, []).append(times)

    def pooled(end: RequestOutcome) -> Histogram:
        return Histogram.empty().merge(*ends.get(end, ()))

    block = TimeBlock(pooled(RequestOutcome.OK), pooled(RequestOutcome.ABANDONED))
    found = [time_metric(one) for one in window_quantiles(block, _SHARES)]
    return metric_series(name, found, "planned" if name == "baseline" else RequestOutcome.OK, band=False)
