"""Speed of `doorbuster demand from-log`: megabytes of a combined log per second, with two processes.

    python -m benchmarks access_log_speed

Writes a combined log of a shop's day: pages, four files for each page, crawlers, 40,000 visitors. Reads it
with two processes, gives the megabytes per second on the clock and per second of processor time, and the
memory of the largest process. Target: 100 MB/s with two processes; memory below 500 MB for any size of log.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.targets import TargetResult, table

MEGABYTES = 250
TARGET_MB_PER_S = 100.0
TARGET_MB = 500.0
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
AGENTS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/{{}}.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_{{}} like Mac OS X) {WEBKIT} Mobile/15E148",
    f"Mozilla/5.0 (Linux; Android 1{{}}; Pixel 9) {WEBKIT} Chrome/140.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) {}",
)
READ = """
import resource, sys, time
from pathlib import Path
from doorbuster.access_logs import LogOptions
from doorbuster.access_logs.reading import read_logs

if __name__ == "__main__":
    began = time.perf_counter()
    log = read_logs([Path(sys.argv[1])], LogOptions(processes=2))
    took = time.perf_counter() - began
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + workers.ru_utime + workers.ru_stime
    print(took, cpu, log.counts.requests, max(own.ru_maxrss, workers.ru_maxrss) / 1024)
"""


def run() -> list[TargetResult]:
    """Read the log; the results against the targets."""
    with tempfile.TemporaryDirectory() as folder:
        path, script = Path(folder) / "access.log", Path(folder) / "read.py"
        _write_log(path)
        script.write_text(READ)
        megabytes = path.stat().st_size / 1e6
        done = subprocess.run([sys.executable, script, path], capture_output=True, text=True, check=True)
        took_s, cpu_s, requests, memory_mb = map(float, done.stdout.split())
    speed = megabytes / took_s
    figures = (megabytes, requests, speed, megabytes / cpu_s, memory_mb)
    head = ("format", "MB", "requests", "MB/s", "MB per s of processor time", "MB of memory")
    print(table(head, [("combined", *(f"{figure:,.0f}" for figure in figures))]))
    text = f"combined log, two processes >= {TARGET_MB_PER_S:g} MB/s"
    return [
        TargetResult(text, f"{speed:.0f}", speed >= TARGET_MB_PER_S),
        TargetResult(f"memory of it <= {TARGET_MB:g} MB", f"{memory_mb:.0f}", memory_mb <= TARGET_MB),
    ]


def _write_log(path: Path) -> None:
    rng = np.random.default_rng(1)
    block, second = 20_000, 0
    with path.open("w", encoding="ascii") as file:
        while file.tell() < MEGABYTES * 1e6:
            visitor = rng.integers(0, 40_000, block).tolist()
            kind = rng.choice(8, block, p=[0.03, 0.04, 0.1, 0.02, 0.01, 0.3, 0.3, 0.2]).tolist()
            number = rng.integers(1, 20_000, block).tolist()
            lines = []
            for row in range(block):
                second += row % 200 == 0
                when = datetime.fromtimestamp(1_700_000_000 + second, UTC)
                n, k, v = number[row], kind[row], visitor[row]
                address = (
                    "GET /", f"GET /category/{n % 40}?page={n % 7}", f"GET /product/{n}",
                    f"GET /search?q=word{n}", "POST /cart/add", f"GET /media/{n}.jpg",
                    f"GET /static/{n % 90}.js", f"GET /image/{n}/200x200",
                )[k]  # fmt: skip
                agent = AGENTS[v % 50 % 4].format(v % 40)
                lines.append(
                    f"10.{v >> 8 & 255}.{v & 255}.{v % 7} - - [{when:%d/%b/%Y:%H:%M:%S} +0000] "
                    f'"{address} HTTP/1.1" 200 {n} "https://shop.example/category/{n % 40}" "{agent}"\n'
                )
            file.write("".join(lines))
