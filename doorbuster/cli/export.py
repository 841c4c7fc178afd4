"""`doorbuster export`: what a run recorded, for the tools of HdrHistogram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import run_argument

if TYPE_CHECKING:
    from doorbuster.records.reader import Kind


@click.command("export")
@run_argument
@click.option(
    "--out",
    default=None,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write. Default: run.hlog beside the run file.",
)
@click.option(
    "--kind",
    default="response",
    show_default=True,
    type=click.Choice(["response", "service", "first_byte"]),
    help="Times from the intended start, from the actual start, or to the first byte.",
)
def command(run: Path, out: Path | None, kind: Kind) -> int:
    """Write the times of RUN as an HdrHistogram interval log: a tag per step, an interval per second.

    \b
    Example: doorbuster export reports/sample --out sample.hlog
    """
    from doorbuster.errors import UsageError
    from doorbuster.records.export import export_hlog
    from doorbuster.records.reader import Run

    file = out or (run if run.is_dir() else run.parent) / "run.hlog"
    with Run.open(run) as opened:
        try:
            with file.open("w", encoding="utf-8") as log:
                count = export_hlog(opened, log, kind=kind)
        except OSError as error:
            raise UsageError(
                f"{file} cannot be written: {error.strerror}; name another with --out"
            ) from error
    click.echo(f"{file}: {count} intervals")
    return 0
