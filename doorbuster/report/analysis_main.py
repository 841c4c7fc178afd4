"""Running one analysis script on its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from doorbuster.errors import DoorbusterError
from doorbuster.records.reader import Run
from doorbuster.report.render.terminal import print_section
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Section


def main(analyse: Callable[[RunContext], Section]) -> None:
    """Run one analysis script alone: `python analysis/latency.py reports/<run>` prints its section."""
    script = Path(sys.argv[0]).name
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.stderr.write(
            f"usage: python {script} RUN    (RUN = a folder below reports/, or its run.sqlite)\n"
        )
        raise SystemExit(2)
    try:
        with Run.open(Path(sys.argv[1])) as run:
            section = analyse(RunContext(run))
    except DoorbusterError as error:
        sys.stderr.write(f"{script}: {error}\n")
        raise SystemExit(int(error.exit_code)) from None
    print_section(section)
