"""Breaks runs on purpose, round after round, and counts the guarantees that held: `make faults`.

    python tests/faults/drill.py --rounds 20 --jobs 2 [NAME...]

Each round is a run of its own in a folder of its own, with a random moment that depends on the seed. A round
counts as kept if everything that docs/reliability.md guarantees for this fault held. The exit code is 1 if a
round did not.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from experiment import Experiment, SkippedError
from faults import FAULTS as ON_ONE_HOST
from host_faults import HOST_FAULTS

FAULTS = {**ON_ONE_HOST, **HOST_FAULTS}


def one_round(name: str, number: int, seed: int, folder: Path) -> tuple[str, str]:
    """(kept, violated or skipped; why)."""
    rng = Random(f"{seed}/{name}/{number}")
    run = Experiment(folder / f"{list(FAULTS).index(name):02}-{number:03}", rng)
    try:
        FAULTS[name](run)
    except SkippedError as skipped:
        return "skipped", str(skipped)
    except Exception:  # noqa: BLE001  an experiment that fails counts, and the drill goes on
        run.violations.append(traceback.format_exc(limit=-3))
    finally:
        run.close()
    if run.violations:
        return "violated", f"round {number} in {run.folder}: {'; '.join(run.violations)}"
    shutil.rmtree(run.folder, ignore_errors=True)
    return "kept", ""


def main() -> int:
    """Run the drill and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(FAULTS)}; default: all")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="rounds at the same time")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = [name for name in FAULTS if not options.names or any(word in name for word in options.names)]
    folder = Path(tempfile.mkdtemp(prefix="doorbuster-faults-"))
    counts: dict[str, Counter[str]] = {name: Counter() for name in names}
    reasons: list[str] = []
    talking = threading.Lock()
    began_s = time.monotonic()

    def count(name: str, number: int) -> None:
        result, why = one_round(name, number, options.seed, folder)
        with talking:
            counts[name][result] += 1
            if why:
                reasons.append(f"{name}: {why}")
            print(
                f"{time.monotonic() - began_s:6.0f} s  {result:8}  {name}  {why}", file=sys.stderr, flush=True
            )

    with ThreadPoolExecutor(options.jobs) as pool:
        for number in range(options.rounds):
            for name in names:
                pool.submit(count, name, number)
    print("| fault | rounds | kept | violated | skipped |\n|---|---|---|---|---|")
    for name, count_of in counts.items():
        rounds = count_of.total() - count_of["skipped"]
        print(f"| {name} | {rounds} | {count_of['kept']} | {count_of['violated']} | {count_of['skipped']} |")
    for reason in dict.fromkeys(reasons):
        print(f"\n{reason}", file=sys.stderr)
    return int(any(count_of["violated"] for count_of in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
