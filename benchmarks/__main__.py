"""Runs the benchmarks of load generator, run file, report and shop: python -m benchmarks [NAME...]

The clients of a benchmark run in turn on core 0; nginx, the target, runs on core 1. Each benchmark prints a
table and compares it with the published figures. The exit code is 1 if a figure is missed.
"""

from __future__ import annotations

import argparse
import os
import sys

from benchmarks import (
    access_log_speed,
    arrivals,
    concurrent_users,
    http2,
    import_speed,
    journey,
    master,
    memory,
    recording,
    run_file,
    sections,
    shop,
)
from benchmarks.server import MissingError

BENCHMARKS = {
    "recording": recording, "arrivals": arrivals, "concurrent_users": concurrent_users, "memory": memory,
    "journey": journey, "master": master, "http2": http2,
    "run_file": run_file, "shop": shop, "sections": sections,
    "access_log_speed": access_log_speed,
    "import_speed": import_speed,
}  # fmt: skip


def main() -> int:
    """Run the benchmarks that are named, or all."""
    described = "\n".join(
        f"  {name:16} {(module.__doc__ or '').splitlines()[0]}" for name, module in BENCHMARKS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, epilog=f"benchmarks:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; default: all"
    )
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if len(os.sched_getaffinity(0)) < 2:
        print("skipped: the benchmarks need two cores, one for the generator and one for nginx")
        return 0
    target_results = []
    for name in names:
        print(f"\n== {name}: {(BENCHMARKS[name].__doc__ or '').splitlines()[0]}\n", flush=True)
        try:
            target_results += BENCHMARKS[name].run()
        except MissingError as missing:
            print(f"skipped: {missing}")
    print("\n" + "\n".join(map(str, target_results)))
    return 0 if all(one.met for one in target_results) else 1


if __name__ == "__main__":
    sys.exit(main())
