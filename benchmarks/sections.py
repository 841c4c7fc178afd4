"""What all sections of the report cost, in seconds and megabytes, by the length of the run.

    python benchmarks/sections.py [--hours 1 24] [--series 40] [--profile]

Writes synthetic run files (every series in every second, orders and their ledger, one worker's health), then
runs every section of analysis/ on each in a process of its own and prints time and peak memory. Targets: an
hour of 40 series below 3 s and 300 MB, a day below 20 s and 600 MB.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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
from doorbuster.records.meta import RunMeta
from doorbuster.records.run import Run
from doorbuster.records.runfile import RunWriter

ROOT = Path(__file__).parents[1]
REQUESTS = 12  # per series and second
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


def analyse(path: Path, *, profile: bool) -> None:
    """Every section, one after the other, as the report does it; prints one line of JSON."""
    from doorbuster.report import load_analysis

    spent = {}
    began_s = time.perf_counter()
    tracer = cProfile.Profile()
    if profile:
        tracer.enable()
    with Run.open(path) as run:
        for script in sorted((ROOT / "analysis").glob("*.py")):
            started_s = time.perf_counter()
            load_analysis(script)(run)
            spent[script.stem] = time.perf_counter() - started_s
    tracer.disable()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"s": time.perf_counter() - began_s, "mb": peak_mb, "sections": spent}))
    if profile:
        pstats.Stats(tracer, stream=sys.stderr).sort_stats("cumtime").print_stats(35)


def main() -> None:
    """Write, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, nargs="+", default=[0.25, 0.5, 1, 2, 4, 24])
    parser.add_argument("--series", type=int, nargs="+", default=[40])
    parser.add_argument("--profile", action="store_true", help="print where the time went")
    parser.add_argument("--keep", type=Path, default=None, help="keep the run files here")
    parser.add_argument("--analyse", type=Path, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.analyse:
        analyse(options.analyse, profile=options.profile)
        return
    print(
        f"{'hours':>6} {'series':>7} {'file':>9} {'time':>8} {'memory':>9} {'us per s x series':>18}  target"
    )
    with tempfile.TemporaryDirectory() as name:
        for series in options.series:
            for hours in options.hours:
                measure(options.keep or Path(name), hours, series, profile=options.profile)


def measure(folder: Path, hours: float, series: int, *, profile: bool) -> None:
    """One line of the table."""
    seconds = round(hours * 3600)
    path = folder / f"{seconds}x{series}"
    if not path.exists():
        write(path, seconds=seconds, series=series)
    words = [sys.executable, __file__, "--analyse", str(path), *(["--profile"] if profile else [])]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    size_mb = (path / "run.sqlite").stat().st_size / 1e6
    each_us = found["s"] / (seconds * series) * 1e6
    limit = TARGETS.get(int(hours)) if series == 40 and hours in TARGETS else None
    kept = "" if limit is None else ("met" if found["s"] < limit[0] and found["mb"] < limit[1] else "MISSED")
    numbers = f"{size_mb:6.0f} MB {found['s']:6.2f} s {found['mb']:6.0f} MB {each_us:18.2f}"
    print(f"{hours:6g} {series:7} {numbers}  {kept}")
    print("       " + ", ".join(f"{name} {s:.2f} s" for name, s in found["sections"].items()))


if __name__ == "__main__":
    main()
