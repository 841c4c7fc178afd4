"""`doorbuster gate`: the verdict on a recorded run, for CI pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.baseline_choice import baseline_option, baseline_values, find_named_runs
from doorbuster.cli.options import WholeNumber
from doorbuster.cli.pipeline_output import github_option, write_github
from doorbuster.output import say, say_lines

if TYPE_CHECKING:
    from doorbuster.cli.run_workflow import JudgedRun


@click.command("gate")
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option(
    "--scenario",
    "scenario_name",
    metavar="SCENARIO",
    help="Use the thresholds of this scenario. Default: those recorded with the run.",
)
@click.option(
    "--fail-exit-code",
    type=WholeNumber(1, 255),
    metavar="N",
    help="Exit code when a threshold failed, e.g. 3. Default: 99.",
)
@click.option(
    "--inconclusive-exit-code",
    type=WholeNumber(0, 255),
    metavar="N",
    help="Exit code when the verdict is inconclusive, e.g. 0. Default: 96.",
)
@baseline_option
@click.option(
    "--out",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write the report with this verdict into a folder.",
)
@github_option
@click.option("--message", is_flag=True, help="Print only two lines for a chat such as Slack or Teams.")
@click.option(
    "--candidate",
    default=None,
    metavar="NAME|DIR",
    help="Judge this baseline or folder of runs instead of one RUN: its newest run, and relative thresholds "
    "over all of them.",
)
def command(
    run: Path | None,
    scenario_name: str | None,
    fail_exit_code: int | None,
    inconclusive_exit_code: int | None,
    baseline: str | None,
    candidate: str | None,
    out: Path | None,
    github: bool | None,
    message: bool,
) -> int:
    """Evaluate the thresholds of RUN, print one line per threshold and set the exit code.

    \b
    Example: doorbuster gate reports/sample --fail-exit-code 3
             doorbuster gate reports/candidate --baseline main
             doorbuster gate --candidate variant-b --baseline main
    """
    from doorbuster.cli.run_workflow import find_run_scenario, judge_run, recorded_run_scenario
    from doorbuster.records.reader import Run
    from doorbuster.report.render.ci_outputs import short_message
    from doorbuster.report.render.markdown import render_markdown

    *further, newest = _candidates(run, candidate)
    with Run.open(newest) as opened:
        scenario = find_run_scenario(scenario_name) if scenario_name else recorded_run_scenario(opened)
        values = None
        if baseline is not None:
            values = baseline_values(baseline, (*further, opened.path), scenario.thresholds)
        judged = judge_run(opened, scenario, baseline=values, further_runs=further)
        sections, results = judged.analysed.sections, judged.results
        markdown = render_markdown(opened, sections, results, judged.verdict, judged.overview)
        if out is not None:
            judged.write(opened, out)
        report = opened.path.with_name("index.html") if out is None else out / "index.html"
        text = short_message(opened, judged.verdict, str(report) if report.exists() else "")
    judged.print_failed_scripts()
    write_github(judged, markdown, out or newest, wanted=github)
    if message:
        say_lines(text)
        return _mapped(judged.exit_code, fail_exit_code, inconclusive_exit_code)
    _print_judged(judged)
    return _mapped(judged.exit_code, fail_exit_code, inconclusive_exit_code)


def _print_judged(judged: JudgedRun) -> None:
    """Each threshold with its sentence, then the verdict with the reasons that no threshold gave."""
    from doorbuster.report.render.overview_terminal import COLOURS

    said = {result.sentence for result in judged.results}
    for result in judged.results:
        say(f"{result.status:<13} {result.threshold}", style=COLOURS.get(result.status, "yellow"))
        say(f"{'':<13} {result.sentence}")
    status = judged.verdict.status
    say(judged.verdict.sentence, style=f"bold {COLOURS.get(status, 'yellow')}")
    for reason in judged.verdict.reasons:
        if reason not in said:
            say(f"  - {reason}")


def _mapped(code: int, fail: int | None, inconclusive: int | None) -> int:
    """The exit code that the options choose."""
    from doorbuster.errors import ExitCode

    other = {ExitCode.FAIL: fail, ExitCode.INCONCLUSIVE: inconclusive}.get(ExitCode(code))
    return code if other is None else other


def _candidates(run: Path | None, candidate: str | None) -> list[Path]:
    """The runs of the candidate, the newest last."""
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run

    if (run is None) == (candidate is None):
        raise UsageError("name one RUN, or the runs of a build with --candidate NAME")
    if run is not None:
        return [run]
    started = {}
    for path in find_named_runs(candidate or ""):
        with Run.open(path) as opened:
            started[path] = opened.meta.started_at_unix_ns
    return sorted(started, key=lambda path: started[path])
