"""`doorbuster export`: latencies of a run for HdrHistogram tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import run_argument
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.records.reader import Kind


_TIMES = {"response": "response times", "service": "service times", "first_byte": "times to the first byte"}


@click.command("export")
@run_argument
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write, e.g. sample.hlog. Default: run.hlog in the run folder.",
)
@click.option(
    "--kind",
    default="response",
    show_default=True,
    type=click.Choice(["response", "service", "first_byte"]),
    help="Latency from the intended start (response), from the actual start (service), or to the first byte.",
)
def command(run: Path, out: Path | None, kind: Kind) -> int:
    """Export the latencies of RUN as an HdrHistogram interval log: one tag per step, one interval per second.

    \b
    Example: doorbuster export reports/sample --out sample.hlog
    """
    from doorbuster.cli.progress import each
    from doorbuster.errors import UsageError
    from doorbuster.records.export import export_hlog
    from doorbuster.records.reader import Run
    from doorbuster.units import format_count

    file = out or (run if run.is_dir() else run.parent) / "run.hlog"
    with Run.open(run) as opened:
        try:
            with file.open("w", encoding="utf-8") as log:
                lines, requests = export_hlog(opened, log, kind=kind, track=each)
        except OSError as error:
            raise UsageError(
                f"cannot write {file}: {error.strerror}; choose another file with --out"
            ) from error
    say(
        f"{file}: {_TIMES[kind]} of {format_count(requests)} requests in {format_count(lines)} lines, one "
        "for each second and tag (channel, journey, step and result)"
    )
    return 0
