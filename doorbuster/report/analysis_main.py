"""Running one analysis script on its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from doorbuster.errors import DoorbusterError
from doorbuster.output import protect_streams, say, say_lines
from doorbuster.records.reader import Run
from doorbuster.report.render.terminal import print_section
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Section


def main(analyse: Callable[[RunContext], Section]) -> None:
    """Run one analysis script alone: `python analysis/latency.py reports/<run>` prints its section."""
    protect_streams()
    script = Path(sys.argv[0]).name
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        say(f"usage: python {script} RUN    (RUN = a folder below reports/, or its run.sqlite)", error=True)
        raise SystemExit(2)
    try:
        with Run.open(Path(sys.argv[1])) as run:
            section = analyse(RunContext(run))
    except DoorbusterError as error:
        say_lines(f"{script}: {error}", error=True)
        raise SystemExit(int(error.exit_code)) from None
    print_section(section)
