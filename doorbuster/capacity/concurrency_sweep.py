"""A concurrency sweep: one run for each number of concurrent customers of one channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from doorbuster.capacity.bound_distance import mean_error
from doorbuster.capacity.load_step_scenario import concurrency_text
from doorbuster.capacity.result_file import ScalingPoint, ScalingResult
from doorbuster.capacity.runner import OpenedShop, run_scenario
from doorbuster.errors import UsageError
from doorbuster.records.reader import Run
from doorbuster.scenario import Scenario

MIN_HOLD_S = 5.0
OVERHEAD_S = 6.0  # time to start and end a run
MAX_CONCURRENCY = 10_000
POLL_EVERY_S = 0.2


def parse_concurrency(text: str) -> list[int]:
    """The levels in "1,2,4,8", lowest first.

    Raises: UsageError unless there are at least two different whole numbers from 1 on.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= MAX_CONCURRENCY for part in parts):
        raise UsageError(
            f"--concurrency: must be whole numbers from 1 to {MAX_CONCURRENCY:,}, "
            f'such as "1,2,4,8" (got {text!r})'
        )
    levels = sorted({int(part) for part in parts})
    if len(levels) < 2:
        raise UsageError(f"--concurrency: needs at least two different levels (got {text!r})")
    return levels


def choose_channel(plan: Scenario, name: str | None) -> str:
    """The channel to vary: the named one, the only closed one, or the open one with the largest share."""
    if name is not None:
        if name not in plan.channels:
            raise UsageError(
                f"--channel: {plan.name} has no channel {name!r}; choose from {', '.join(plan.channels)}"
            )
        return name
    closed = [known for known, channel in plan.channels.items() if not channel.is_open]
    if len(closed) == 1:
        return closed[0]
    shares = {
        known: channel.share_ratio or 0.0 for known, channel in plan.channels.items() if channel.is_open
    }
    if closed or not shares:
        raise UsageError(f"--channel: choose the channel to vary: {', '.join(closed)}")
    return max(shares, key=lambda known: shares[known])


def hold_s_within(budget_s: float, warmup_s: float, levels: int) -> float:
    """Measured seconds at each level, for a sweep that fits the budget."""
    return float(int(max(MIN_HOLD_S, budget_s / levels - warmup_s - OVERHEAD_S)))


Watch = Callable[[int, Path], AbstractContextManager[Callable[[], None]]]
"""Shows the level that is measured into a folder; what it gives is called about once a second."""


@dataclass(frozen=True, slots=True)
class ConcurrencySweep:
    """The parameters of a sweep, except the addresses of the shop."""

    plan: Scenario
    channel: str
    levels: tuple[int, ...]
    warmup_s: float
    hold_s: float
    folder: Path
    locustfile: str
    options: tuple[str, ...]

    def run(self, shop: OpenedShop, show: Callable[[ScalingPoint], None], watch: Watch) -> bool:
        """Measure and record one point after the other; True when Ctrl-C ended the sweep early."""
        title = f"{self.plan.title}: {self.channel}"
        result = ScalingResult("sweep", title, self.channel, finished=False)
        try:
            for number, level in enumerate(self.levels, start=1):
                point = self._point(shop, level, number, watch)
                result = replace(result, points=(*result.points, point))
                result.write(self.folder)
                show(point)
        except KeyboardInterrupt:
            return True
        replace(result, finished=True).write(self.folder)
        return False

    def _point(self, shop: OpenedShop, level: int, number: int, watch: Watch) -> ScalingPoint:
        folder = self.folder / f"{number:02d}-concurrency-{level}"
        length_s, seed = self.warmup_s + self.hold_s, self.plan.seed + number
        text = concurrency_text(
            self.plan,
            self.channel,
            level,
            for_s=length_s,
            url=shop.url,
            seed=seed,
            metrics_url=shop.metrics_url,
        )
        what = f"the run at concurrency {level}"
        with watch(level, folder) as look:
            run_scenario(
                text, folder, self.locustfile, self.options,
                what=what, every_s=POLL_EVERY_S, look=lambda _: look(),
            )  # fmt: skip
        with Run.open(folder) as run:
            return measure_point(run, level, first=round(self.warmup_s), seconds=int(self.hold_s))


def measure_point(run: Run, level: int, *, first: int, seconds: int) -> ScalingPoint:
    """Successful requests per second after the warm-up, with a 95 % interval.

    Successive seconds are correlated, so the standard error is that of `bound_distance`.
    """
    answered = run.request_counts(lambda series: True if series.succeeded else None)
    counts = np.zeros(seconds)
    found = answered[True][first : first + seconds] if answered else counts
    counts[: found.size] = found
    times = run.histogram(match=lambda series: series.succeeded, seconds=(first, first + seconds))
    per_s, (error, dof) = float(counts.mean()), mean_error(counts)
    half = float(stdtrit(dof, 0.975)) * error if math.isfinite(error) else None
    mean_s = None if times.mean_us is None else times.mean_us / 1e6
    low, high = (None, None) if half is None else (max(0.0, per_s - half), per_s + half)
    return ScalingPoint(level, per_s, low, high, mean_s, seconds, run.path.parent.name)
