"""The concurrency sweep of `doorbuster capacity --concurrency`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.cli.live_page import LivePage, publish_answer
from doorbuster.cli.series_watch import SeriesWatch, about
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.capacity.result_file import ScalingPoint
    from doorbuster.capacity.search import SearchSettings
    from doorbuster.live.state import SeriesView, StageView
    from doorbuster.scenario import Scenario


def run_sweep(
    plan: Scenario,
    levels: str,
    channel: str | None,
    settings: SearchSettings,
    out: Path | None,
    locustfile: str,
    options: list[str],
    page: LivePage,
    *,
    quiet: bool,
) -> int:
    """Run a concurrency sweep, write its report and return the exit code."""
    from doorbuster.capacity.concurrency_sweep import (
        ConcurrencySweep,
        choose_channel,
        hold_s_within,
        parse_concurrency,
    )
    from doorbuster.capacity.runner import open_shop
    from doorbuster.cli.run_workflow import new_run_folder
    from doorbuster.errors import DoorbusterError, ExitCode

    parsed = parse_concurrency(levels)
    hold_s = hold_s_within(settings.budget_s, settings.warmup_s, len(parsed))
    chosen = choose_channel(plan, channel)
    folder = new_run_folder(out, plan.name)
    sweep = ConcurrencySweep(plan, chosen, tuple(parsed), settings.warmup_s, hold_s, folder,
                             locustfile, tuple(options))  # fmt: skip
    shown = SweepView(page, parsed, chosen, settings.warmup_s + hold_s, quiet=quiet)
    with open_shop(plan, folder / "shop.log") as shop:
        try:
            interrupted = sweep.run(shop, shown.add, shown.watch)
        except DoorbusterError:
            _conclude_sweep(folder, page)
            raise
    _conclude_sweep(folder, page)
    return int(ExitCode.INTERRUPTED) if interrupted else 0


class SweepView:
    """Shows the levels of a concurrency sweep."""

    def __init__(
        self, page: LivePage, levels: Sequence[int], channel: str, level_s: float, *, quiet: bool
    ) -> None:
        self._levels, self._channel, self._level_s, self._quiet = levels, channel, level_s, quiet
        self._points: list[ScalingPoint] = []
        self._watch = SeriesWatch(page, self._view, quiet=quiet)

    def add(self, point: ScalingPoint) -> None:
        """Show a measured level."""
        self._points.append(point)
        self._watch.publish()
        if not self._quiet:
            say(f"concurrency {point.n:5g}  {_throughput(point)}", error=True)

    @contextmanager
    def watch(self, level: int, folder: Path) -> Iterator[Callable[[], None]]:
        """Show the level that is measured into a folder; call the result about once a second."""
        from doorbuster.live.state import StageView

        left = len(self._levels) - len(self._points)
        head = f"concurrency {level}, {len(self._points) + 1} of {len(self._levels)}"
        began_s = time.monotonic()
        with self._watch.run(folder, head, lambda: StageView(f"{level} users", "running", "")) as look:
            yield lambda: look(f"about {about(left * self._level_s - (time.monotonic() - began_s))} left")

    def _view(self, running: StageView | None) -> SeriesView:
        from doorbuster.live.state import SeriesView, StageView

        done = [StageView(f"{point.n:g} users", "pass", _throughput(point)) for point in self._points]
        sentence = f"{len(done)} of {len(self._levels)} levels measured"
        stages = (*done, running) if running else tuple(done)
        return SeriesView(f"Throughput of {self._channel} by concurrency", sentence, stages)


def _throughput(point: ScalingPoint) -> str:
    return f"{point.per_s:.4g} requests/s, mean response time {point.response_s or 0:.3g} s"


def _conclude_sweep(folder: Path, page: LivePage) -> None:
    """Write the report of the run with the highest throughput, with the curve on top."""
    from doorbuster.capacity.result_file import find_scaling
    from doorbuster.cli.run_workflow import show_section, write_combined_report

    found = find_scaling(folder / "run.sqlite")
    if found is not None and found.best_point is not None:
        page.publish(step="report")
        write_combined_report(folder, folder / found.best_point.source)
        publish_answer(page, f"{found.best_point.n:g} users: {_throughput(found.best_point)}", folder)
        show_section(folder, "scalability")
