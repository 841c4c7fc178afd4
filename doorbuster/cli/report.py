"""`doorbuster report`: write the report of a recorded run again."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.live_page import show_replay
from doorbuster.cli.options import Number, WholeNumber, refuse_given, run_argument
from doorbuster.errors import UsageError
from doorbuster.output import say


@click.command("report")
@run_argument
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for index.html, summary.md, junit.xml and summary.json. Default: the run folder.",
)
@click.option(
    "--baseline",
    metavar="NAME|DIR",
    help="Runs whose percentiles the page shows beside those of RUN: a baseline or a folder of runs.",
)
@click.option("--pdf", is_flag=True, help="Also write report.pdf: a page for the board and an appendix.")
@click.option(
    "--replay",
    is_flag=True,
    help="Show the run again on the live page, for a presentation, instead of writing its report.",
)
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=Number(min=0.1, max=10_000),
    metavar="FACTOR",
    help="With --replay: speed, e.g. 10 for ten times as fast as the run was.",
)
@click.option(
    "--live",
    type=WholeNumber(0, 65_535),
    metavar="PORT",
    help="With --replay: port of the live page on 127.0.0.1, e.g. 8090. Default: a free one.",
)
@click.pass_context
def command(
    ctx: click.Context,
    run: Path,
    out: Path | None,
    baseline: str | None,
    pdf: bool,
    replay: bool,
    speed: float,
    live: int | None,
) -> int:
    """Write the report of RUN again: index.html, summary.md, junit.xml and summary.json.

    Uses the thresholds recorded with the run.

    \b
    Example: doorbuster report reports/sample --out /tmp/report
             doorbuster report reports/sample --pdf
             doorbuster report reports/candidate --baseline main
             doorbuster report reports/sample --replay --speed 10
    """
    if replay:
        if out is not None:
            raise UsageError("--replay writes nothing; leave out --out")
        if pdf:
            raise UsageError("--replay writes nothing; leave out --pdf")
        if baseline is not None:
            raise UsageError("--replay writes nothing; leave out --baseline")
        return show_replay(run, speed=speed, port=live or 0)
    refuse_given(ctx, ("speed", "live"), "has no effect without --replay")
    from doorbuster.cli.baseline_choice import baseline_runs
    from doorbuster.cli.run_workflow import recorded_run_scenario, write_everything
    from doorbuster.errors import ExitCode
    from doorbuster.records.reader import Run
    from doorbuster.report.write import check_folder

    with Run.open(run) as opened:
        scenario = recorded_run_scenario(opened)
    folder = out or (run if run.is_dir() else run.parent)
    check_folder(folder)
    before = () if baseline is None else baseline_runs(baseline)
    if baseline is not None and not before:
        raise UsageError(
            f"--baseline {baseline}: a history keeps no percentiles; name a baseline or a folder"
        )
    judged = write_everything(run, scenario, folder, pdf=pdf, baseline_runs=before)
    judged.print_failed_scripts()
    say(judged.verdict.sentence)
    say(f"report:  {folder / 'index.html'}")
    if pdf:
        say(f"pdf:     {folder / 'report.pdf'}")
    return int(ExitCode.SCRIPT_EXCEPTION) if judged.analysed.errors else 0
