"""`doorbuster report`: the report of a recorded run, written again."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.options import run_argument


@click.command("report")
@run_argument
@click.option(
    "--out",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for index.html, summary.md, junit.xml and summary.json. Default: the run's own folder.",
)
def command(run: Path, out: Path | None) -> int:
    """Write the report of RUN: index.html for people, summary.md, junit.xml and summary.json for machines.

    Judges with the thresholds of the scenario as it was recorded.

    \b
    Example: doorbuster report reports/sample --out /tmp/report
    """
    from doorbuster.cli.pipeline import recorded_scenario, write_everything
    from doorbuster.errors import ExitCode
    from doorbuster.records.reader import Run

    with Run.open(run) as opened:
        scenario = recorded_scenario(opened)
    folder = out or (run if run.is_dir() else run.parent)
    judged = write_everything(run, scenario, folder)
    judged.print_failed_scripts()
    click.echo(judged.verdict.sentence)
    click.echo(f"report:  {folder / 'index.html'}")
    return int(ExitCode.SCRIPT_EXCEPTION) if judged.analysed.errors else 0
