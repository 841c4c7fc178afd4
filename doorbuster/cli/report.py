"""`doorbuster report`: write the report of a recorded run again."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.options import run_argument
from doorbuster.output import say


@click.command("report")
@run_argument
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for index.html, summary.md, junit.xml and summary.json. Default: the run folder.",
)
def command(run: Path, out: Path | None) -> int:
    """Write the report of RUN again: index.html, summary.md, junit.xml and summary.json.

    Uses the thresholds recorded with the run.

    \b
    Example: doorbuster report reports/sample --out /tmp/report
    """
    from doorbuster.cli.run_workflow import recorded_run_scenario, write_everything
    from doorbuster.errors import ExitCode
    from doorbuster.records.reader import Run

    with Run.open(run) as opened:
        scenario = recorded_run_scenario(opened)
    folder = out or (run if run.is_dir() else run.parent)
    judged = write_everything(run, scenario, folder)
    judged.print_failed_scripts()
    say(judged.verdict.sentence)
    say(f"report:  {folder / 'index.html'}")
    return int(ExitCode.SCRIPT_EXCEPTION) if judged.analysed.errors else 0
