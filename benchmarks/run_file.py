"""Time to write and read the run file of an hour.

    python -m benchmarks run_file
    python -m benchmarks.run_file [--seconds 3600] [--series 40] [--requests 12]

Writes a file with `series` request series a second and `requests` latencies each into a temporary folder,
reads it in the ways that the analyses do, and prints milliseconds, megabytes and peak memory.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.targets import TargetResult
from doorbuster.records.batch import (
    ArrivalCount,
    Batch,
    CustomerCount,
    HealthSecond,
    RequestSecond,
    SeriesKey,
)
from doorbuster.records.histogram import pack
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.writer import RunWriter

LIMIT_MS = 10.0  # one second is written once a second, by the process that also leads the run


def _second(second: int, keys: list[SeriesKey], latencies_us: np.ndarray) -> Batch:
    return Batch(
        worker="w0",
        seq=second,
        requests=tuple(
            RequestSecond(second, key, row.size, 400 * row.size, 9000 * row.size, *[pack(row.tolist())] * 3)
            for key, row in zip(keys, latencies_us, strict=True)
        ),
        customers=tuple(
            CustomerCount(second, "web", f"journey{number}", "served", "", "", 1, None, 5)
            for number in range(8)
        ),
        arrivals=(ArrivalCount(second, "web", 40, 0),),
        health=(HealthSecond(second, 0.4, 1.0, 200, 3, 0, 80_000_000, pack([50] * 40)),),
    )


def _timed(name: str, work: Callable[[], object]) -> None:
    started_s = time.perf_counter()
    work()
    print(f"{name:<58} {(time.perf_counter() - started_s) * 1e3:9.1f} ms")


def run(*, seconds: int = 900, series: int = 40, requests: int = 12) -> list[TargetResult]:
    """Write, read, print."""
    rng = np.random.default_rng(1)
    keys = [SeriesKey("web", f"journey{number % 8}", f"step{number}", "ok", "") for number in range(series)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        meta = RunMeta(
            run_id="bench", title="bench", scenario_name="bench", scenario_text="", storefront="reference",
            target_url="http://127.0.0.1", seed=1, workers=1, started_at_unix_ns=time.time_ns(),
            duration_s=float(seconds),
        )  # fmt: skip
        batches = [
            _second(second, keys, rng.lognormal(11.5, 0.8, (series, requests)).astype(np.int64))
            for second in range(seconds)
        ]
        with RunWriter.create(folder, meta, {"web": np.full(seconds, 40)}) as writer:
            took_ms = [_written(writer, batch) for batch in batches]
            _timed("finish", lambda: writer.finish("finished"))
        del batches
        print(f"{'write, one second: mean':<58} {np.mean(took_ms):9.2f} ms")
        print(f"{'write, one second: worst':<58} {max(took_ms):9.2f} ms")
        rows = seconds * series
        size_mb = (folder / "run.sqlite").stat().st_size / 1e6
        print(f"{f'file of {rows:,} rows, {rows * requests:,} requests':<58} {size_mb:9.1f} MB")
        _read(folder)
    middle_ms = float(np.median(took_ms))
    text = f"writing a second of {series} series takes <= {LIMIT_MS:g} ms, in the middle of {seconds:,}"
    return [TargetResult(text, f"{middle_ms:.1f} ms", middle_ms <= LIMIT_MS)]


def _written(writer: RunWriter, batch: Batch) -> float:
    started_s = time.perf_counter()
    writer.write([batch])
    return (time.perf_counter() - started_s) * 1e3


def _read(folder: Path) -> None:
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    with Run.open(folder) as opened:
        _timed("one histogram of everything", opened.histogram)
        by = opened.histograms_by
        _timed("histograms_by step", lambda: by(lambda s: s.step))
        _timed("histograms_by everything, per second", lambda: by(lambda _: "all", bucket_s=1))
        _timed("histograms_by journey, per minute", lambda: by(lambda s: s.journey, bucket_s=60))
        _timed("histograms_by step, per second", lambda: by(lambda s: s.step, bucket_s=1))
        _timed("request_counts by step, per second", lambda: opened.request_counts(lambda s: s.step))
        _timed("outcome_totals", opened.outcome_totals)
        _timed("lateness", opened.lateness)
    after_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{'peak memory before and after reading':<58} {before_mb:9.0f} MB {after_mb:6.0f} MB")


def main() -> None:
    """Run it with other sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--requests", type=int, default=12, help="per series and second")
    options = parser.parse_args()
    for target_result in run(**vars(options)):
        print(target_result)


if __name__ == "__main__":
    main()
