"""`python -m tests.fuzz [TARGET ...]`: run the fuzzers and print their results as a table."""

from __future__ import annotations

import argparse
import sys
import time
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.runner import run_cases

TARGETS = (
    "scenarios",
    "run_files",
    "recordings",
    "ledgers",
    "answers",
    "messages",
    "master_messages",
    "result_files",
    "histories",
    "seasons",
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all", metavar="TARGET")
    parser.add_argument("--seed", type=int, default=0, help="number of the first case (default 0)")
    parser.add_argument("--cases", type=int, default=10**9, help="cases of each target")
    parser.add_argument("--seconds", type=float, default=60, help="time for each target (default 60)")
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"unknown target {', '.join(sorted(unknown))}; choose from {', '.join(TARGETS)}")
    failed = False
    print(f"{'target':<16}{'cases':>9}{'findings':>10}{'seconds':>9}  results")
    for target in options.targets or TARGETS:
        case = import_module(f"tests.fuzz.{target}").case
        began = time.monotonic()
        with TemporaryDirectory() as folder:
            report = run_cases(
                case, Path(folder), first=options.seed, count=options.cases, seconds=options.seconds
            )
        results = ", ".join(f"{name} {n:,}" for name, n in sorted(report.results.items()))
        spent = time.monotonic() - began
        print(
            f"{target:<16}{report.cases:>9,}{len(report.findings):>10,}{spent:>9.0f}  {results}", flush=True
        )
        for kind, n in report.kinds().most_common(20):
            number, _, trace = next(one for one in report.findings if one[1] == kind)
            print(f"  {n} x {kind}\n  repeat: python -m tests.fuzz {target} --seed {number} --cases 1")
            print("    " + "\n    ".join(trace.splitlines()[-12:]), flush=True)
        failed = failed or bool(report.findings)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
