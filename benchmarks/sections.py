"""Cost of all report sections, in seconds and megabytes, by the length of the run.

    python -m benchmarks sections
    python -m benchmarks.sections [--hours 1 24] [--series 40] [--profile] [--plot build/sections.svg]

Writes synthetic run files (every series in every second, orders and their ledger, one worker's health), then
runs every section of analysis/ on each in a separate process. Time is processor time, user and system, so
that other work on the machine does not count. Targets: below 3 s and 300 MB for an hour of 40 series, below
20 s and 600 MB for a day. The plot shows cost over seconds x series and the exponent of its growth, fitted to
the cost beyond that of a one-minute run.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import math
import os
import pstats
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.targets import TargetResult, table
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    OrderAttempt,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack, pack_groups
from doorbuster.records.ledger import Ledger, LedgerLine, LedgerOrder, LedgerStock
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter

ROOT = Path(__file__).parents[1]
REQUESTS = 12  # per series and second
SIZES = ((0.5, 40), (1, 20), (1, 40), (1, 80), (2, 40), (4, 40), (8, 40), (24, 40))  # hours, series
PLOT = Path("build/sections.svg")
TARGETS = {1: (3.0, 300.0), 24: (20.0, 600.0)}  # hours: seconds, megabytes
SCENARIO = """\
title: Benchmark
target: {{shop: {{profile: replatformed}}}}
demand:
  peak: 40 customers/s
  curve:
    stages:
    - {{for: {quarter}s, at: 30%}}
    - {{for: {quarter}s, to: 100%}}
    - {{for: {quarter}s, at: 100%}}
    - {{for: {quarter}s, at: 30%}}
channels: {{web: {{share: 100%, journeys: {{browse: 1, buy: 1}}}}}}
thresholds:
  can_order: ["rate>=99%"]
  http_req_duration: ["p(95)<1s"]
  "http_req_duration{{step:checkout}}": ["p(99)<3s"]
"""


def series_keys(count: int) -> list[SeriesKey]:
    """Channels, journeys, steps and outcomes as a large shop has them."""
    steps = ("home", "category", "search", "product", "add_to_basket", "basket", "checkout_page", "checkout")
    ends = (("ok", ""), ("ok", ""), ("ok", ""), ("failed", "status_503"), ("abandoned", "impatient"))
    return [
        SeriesKey(
            ("web", "app")[number % 2], ("buy", "browse")[number // 20 % 2], steps[number % 8],
            *ends[number // 8 % 5],
        )
        for number in range(count)
    ]  # fmt: skip


def write(folder: Path, *, seconds: int, series: int) -> None:
    """One synthetic run file."""
    rng = np.random.default_rng(1)
    keys = list(dict.fromkeys(series_keys(series)))
    keys += [SeriesKey("web", "buy", f"step{number}", "ok", "") for number in range(series - len(keys))]
    meta = RunMeta(
        run_id="bench", title="Benchmark", scenario_name="bench",
        scenario_text=SCENARIO.format(quarter=seconds // 4), storefront="reference",
        target_url="http://127.0.0.1", seed=1, workers=1, started_at_unix_ns=time.time_ns(),
        duration_s=float(seconds),
    )  # fmt: skip
    with RunWriter.create(folder, meta, {"web": np.full(seconds, 40)}) as writer:
        for start in range(0, seconds, 600):
            writer.write(batches(rng, keys, start, min(start + 600, seconds)))
        orders = tuple(
            LedgerOrder(
                f"M{n}",
                f"bench:{n}",
                "web",
                2500,
                float(n),
                n + 5.0,
                (LedgerLine(f"sku-{n % 500}", 1, 2500),),
            )
            for n in range(seconds)
        )
        sold = np.bincount(np.arange(seconds) % 500, minlength=500).tolist()
        stock = tuple(LedgerStock(f"sku-{i}", 10**6, 10**6 - n, n) for i, n in enumerate(sold))
        writer.write_ledger(Ledger(orders, stock, seconds + 1.0))
        writer.finish("finished")


def batches(rng: np.random.Generator, keys: list[SeriesKey], first: int, end: int) -> Iterator[Batch]:
    """One report a second."""
    late = pack([50] * 40)
    groups = np.repeat(np.arange(len(keys)), REQUESTS)
    for second in range(first, end):
        blobs = pack_groups(groups, rng.lognormal(11.5, 0.8, groups.size).astype(np.int64), len(keys))
        rows = tuple(
            RequestSecond(second, key, REQUESTS, 4800, 108_000, blob, blob, blob)
            for key, blob in zip(keys, blobs, strict=True)
        )
        customers = tuple(
            CustomerCount(second, *row)
            for row in (
                ("web", "browse", "served", "", "", 1, None, 15),
                ("app", "browse", "served", "", "", 1, None, 9),
                ("web", "buy", "served", "", "", 1, 1, 8), ("app", "buy", "served", "", "", 1, 1, 5),
                ("web", "buy", "abandoned", "checkout", "impatient", 1, 0, 1),
                ("web", "browse", "turned_away", "home", "status_503", 0, None, 1),
                ("app", "browse", "abandoned", "product", "impatient", 0, None, 1),
            )
        )  # fmt: skip
        order = OrderAttempt(
            f"bench:{second}", "web", "buy", float(second), second + 1.0, "acknowledged", "", f"M{second}",
            2500, ((f"sku-{second % 500}", 1, 2500),),
        )  # fmt: skip
        health = HealthSecond(second, 0.4, 1.0, 200, 3, 0, 80_000_000, late)
        yield Batch(
            "w0", second, final=False, requests=rows, customers=customers,
            arrivals=(ArrivalCount(second, "web", 40, 0),), orders=(order,), health=(health,),
        )  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Cost of all sections of one run file."""

    seconds: int
    series: int
    cpu_s: float
    wall_s: float
    mb: float
    file_mb: float
    sections: dict[str, float]

    @property
    def rows(self) -> int:
        return self.seconds * self.series

    @property
    def target(self) -> tuple[float, float] | None:
        """Limits in seconds and megabytes."""
        return TARGETS.get(self.seconds / 3600) if self.series == 40 else None


@dataclass(frozen=True)
class Growth:
    """cost = factor * rows ** exponent, with the 95 % interval of the exponent."""

    factor: float
    exponent: float
    low: float
    high: float


def analyse(path: Path, *, profile: bool) -> None:
    """Run every section in sequence, as the report does; prints one line of JSON."""
    from doorbuster.report import RunContext, load_analysis

    spent = {}
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    tracer = cProfile.Profile()
    if profile:
        tracer.enable()
    with Run.open(path) as run:
        for script in sorted((ROOT / "analysis").glob("*.py")):
            started_s = time.process_time()
            load_analysis(script)(RunContext(run))
            spent[script.stem] = time.process_time() - started_s
    tracer.disable()
    peak_mb = _peak_mb()
    wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    print(json.dumps({"cpu_s": cpu_s, "wall_s": wall_s, "mb": peak_mb, "sections": spent}))
    if profile:
        pstats.Stats(tracer, stream=sys.stderr).sort_stats("cumtime").print_stats(35)


def _peak_mb() -> float:
    """The most memory this program had; `ru_maxrss` would tell that of the process it was started from."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def measure(folder: Path, seconds: int, series: int, *, profile: bool = False) -> Cost:
    """Write a run file, unless the folder has it, and run the sections on it in a process of its own."""
    path = folder / f"{seconds}x{series}"
    if not path.exists():
        write(path, seconds=seconds, series=series)
    words = [
        sys.executable,
        "-m",
        "benchmarks.sections",
        "--analyse",
        str(path),
        *(["--profile"] if profile else []),
    ]
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return Cost(
        seconds, series, file_mb=(path / "run.sqlite").stat().st_size / 1e6, **json.loads(done.stdout)
    )


def growth(costs: Sequence[Cost], fixed_s: float) -> Growth:
    """The exponent of the growth of the cost beyond the fixed one: a line through the logarithms."""
    from scipy.special import stdtrit
    from scipy.stats import linregress

    x = np.log([cost.rows for cost in costs])
    y = np.log([cost.cpu_s - fixed_s for cost in costs])
    line = linregress(x, y)
    half = line.stderr * stdtrit(len(costs) - 2, 0.975)
    return Growth(math.exp(line.intercept), line.slope, line.slope - half, line.slope + half)


def draw(costs: Sequence[Cost], fixed_s: float, grown: Growth, path: Path) -> None:
    """The plot: a point for each run, the fitted curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    rows = np.geomspace(min(cost.rows for cost in costs), max(cost.rows for cost in costs))
    axes.plot(rows, fixed_s + grown.factor * rows**grown.exponent, color="#888888", label="fitted")
    for series in sorted({cost.series for cost in costs}):
        some = [cost for cost in costs if cost.series == series]
        axes.plot([cost.rows for cost in some], [cost.cpu_s for cost in some], "o", label=f"{series} series")
    axes.set(
        xscale="log", yscale="log", xlabel="seconds of the run x series", ylabel="processor time, s",
        title=f"All sections cost (seconds x series) to the power of {grown.exponent:.2f} "
        f"({grown.low:.2f} to {grown.high:.2f})",
    )  # fmt: skip
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.grid(visible=True, which="both", alpha=0.2)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def describe(costs: Sequence[Cost]) -> str:
    """The table of costs."""
    rows = []
    for cost in costs:
        each_us = cost.cpu_s / cost.rows * 1e6
        numbers = (f"{cost.cpu_s:.2f} s", f"{cost.wall_s:.2f} s", f"{cost.mb:.0f} MB", f"{each_us:.2f} us")
        rows.append((f"{cost.seconds / 3600:g} h", cost.series, f"{cost.file_mb:.0f} MB", *numbers))
    head = ("run", "series", "file", "processor", "elapsed", "memory", "per second x series")
    return table(head, rows)


def target_results(costs: Sequence[Cost], grown: Growth) -> list[TargetResult]:
    """The targets of the runs that have one, and that cost grows no faster than the run."""
    found = []
    for cost in costs:
        if cost.target is not None:
            most_s, most_mb = cost.target
            found.append(
                TargetResult(
                    f"all sections of {cost.seconds / 3600:g} h x {cost.series} series"
                    f" <= {most_s:g} s, {most_mb:g} MB",
                    f"{cost.cpu_s:.1f} s of processor time, {cost.mb:.0f} MB",
                    cost.cpu_s <= most_s and cost.mb <= most_mb,
                )
            )
    exponent = f"{grown.exponent:.2f} ({grown.low:.2f} to {grown.high:.2f})"
    return [
        *found,
        TargetResult("exponent of cost over seconds x series <= 1.1", exponent, grown.high <= 1.1),
    ]


def run(
    *, sizes: Sequence[tuple[float, int]] = SIZES, folder: Path | None = None, plot: Path = PLOT,
    profile: bool = False,
) -> list[TargetResult]:  # fmt: skip
    """Measure runs of (hours, series), print the table, draw the plot."""
    with tempfile.TemporaryDirectory() as name:
        place = folder or Path(name)
        fixed_s = measure(place, 60, 40).cpu_s
        costs = [measure(place, round(hours * 3600), series, profile=profile) for hours, series in sizes]
    print(describe(costs))
    for cost in costs:
        longest = sorted(cost.sections.items(), key=lambda item: -item[1])
        print(f"{cost.seconds / 3600:g} h x {cost.series}:", ", ".join(f"{n} {s:.2f} s" for n, s in longest))
    if len(costs) < 3:
        return [
            target_result
            for target_result in target_results(costs, Growth(0, 0, 0, 0))
            if "exponent" not in target_result.text
        ]
    grown = growth(costs, fixed_s)
    draw(costs, fixed_s, grown, plot)
    print(f"a run of a minute costs {fixed_s:.2f} s; plot: {plot}")
    return target_results(costs, grown)


def main() -> None:
    """Measure the sizes that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, nargs="+", default=None)
    parser.add_argument("--series", type=int, nargs="+", default=[40])
    parser.add_argument("--profile", action="store_true", help="print where the time went")
    parser.add_argument("--keep", type=Path, default=None, help="keep the run files here")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where to draw, for three runs or more")
    parser.add_argument("--analyse", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.analyse:
        analyse(options.analyse, profile=options.profile)
        return
    sizes = SIZES
    if options.hours:
        sizes = [(hours, series) for series in options.series for hours in options.hours]
    for target_result in run(sizes=sizes, folder=options.keep, plot=options.plot, profile=options.profile):
        print(target_result)


if __name__ == "__main__":
    main()
