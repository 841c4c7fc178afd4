"""Speed of `doorbuster import`: megabytes per second of processor time, beside parsing JSON line by line.

    python -m benchmarks import_speed

Writes a k6 JSON file and a JMeter CSV file of the same requests, then imports each in a process of its own.
Time is processor time. Target: 60 MB/s per core; memory below 500 MB, whatever the size of the file.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.targets import TargetResult, table

MEGABYTES = 150
TARGET_MB_PER_S = 60.0
TARGET_MB = 500.0
METRICS = (
    "http_reqs", "duration", "blocked", "connecting", "tls_handshaking", "sending", "waiting", "receiving",
    "failed",
)  # fmt: skip
IMPORT = """
import resource, sys, time
from pathlib import Path
from doorbuster.importers import ImportOptions, import_run
began = time.process_time()
info = import_run([Path(sys.argv[1])], Path(sys.argv[2]), title="t", name="n", scenario_text="title: t\\n",
                  options=ImportOptions())
print(time.process_time() - began, info.requests, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
PARSE = """
import json, sys, time
began = time.process_time()
for line in open(sys.argv[1]):
    json.loads(line)
print(time.process_time() - began)
"""


def run() -> list[TargetResult]:
    """Import both files; the results against the targets."""
    results: list[TargetResult] = []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, write in (("k6 JSON", _write_k6), ("JMeter CSV", _write_jmeter)):
            path = Path(folder) / "results"
            write(path)
            megabytes = path.stat().st_size / 1e6
            took_s, requests, memory_mb = map(float, _python(IMPORT, path, Path(folder) / f"run-{name}"))
            speed = megabytes / took_s
            ratio = ""
            if name == "k6 JSON":
                (parse_s,) = map(float, _python(PARSE, path))
                ratio = f"{parse_s / took_s:.1f}"
            cells = f"{megabytes:.0f}", f"{requests:,.0f}", f"{speed:.0f}", ratio, f"{memory_mb:.0f}"
            rows.append((name, *cells))
            results += [
                TargetResult(
                    f"import of {name} >= {TARGET_MB_PER_S:g} MB/s", f"{speed:.0f}", speed >= TARGET_MB_PER_S
                ),
                TargetResult(f"memory of it <= {TARGET_MB:g} MB", f"{memory_mb:.0f}", memory_mb <= TARGET_MB),
            ]
    print(table(("format", "MB", "requests", "MB/s", "x json.loads", "MB of memory"), rows))
    return results


def _python(program: str, *args: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def _requests() -> tuple[list[int], list[float], list[str]]:
    """Starts in ms, latencies in ms and names of 20,000 requests in a minute."""
    random = np.random.default_rng(1)
    starts = np.sort(random.integers(0, 60_000, 20_000)) + 1_764_230_400_000
    names = [f"page{place}" for place in random.integers(0, 30, 20_000)]
    return starts.tolist(), np.round(random.lognormal(4.5, 0.8, 20_000), 3).tolist(), names


def _write_repeated(path: Path, header: str, body: str) -> None:
    with path.open("w") as file:
        file.write(header)
        for _ in range(max(1, round(MEGABYTES * 1e6 / len(body)))):
            file.write(body)


def _write_k6(path: Path) -> None:
    lines = []
    for start, latency, name in zip(*_requests(), strict=True):
        moment = datetime.fromtimestamp(start / 1e3, UTC).isoformat().replace("+00:00", "Z")
        tags = {
            "expected_response": "true", "group": "", "method": "GET", "name": name, "proto": "HTTP/1.1",
            "scenario": "default", "status": "200", "url": f"http://shop/{name}",
        }  # fmt: skip
        for metric in METRICS:
            full = metric if metric == "http_reqs" else f"http_req_{metric}"
            data = {"time": moment, "value": latency, "tags": tags}
            lines.append(json.dumps({"metric": full, "type": "Point", "data": data}, separators=(",", ":")))
    _write_repeated(path, "", "\n".join(lines) + "\n")


def _write_jmeter(path: Path) -> None:
    header = (
        "timeStamp,elapsed,label,responseCode,responseMessage,threadName,dataType,success,failureMessage,bytes,"
        "sentBytes,grpThreads,allThreads,URL,Latency,IdleTime,Connect\n"
    )
    rows = [
        f"{start},{latency:.0f},{name},200,OK,Shoppers 1-{start % 50},text,true,,4096,120,50,50,"
        f"http://shop/{name},{latency:.0f},0,0\n"
        for start, latency, name in zip(*_requests(), strict=True)
    ]
    _write_repeated(path, header, "".join(rows))
