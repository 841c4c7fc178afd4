"""`doorbuster gate`: the verdict on a recorded run, for CI pipelines."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.baseline_choice import baseline_option, baseline_values, find_named_runs
from doorbuster.output import say


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
    type=click.IntRange(1, 255),
    metavar="N",
    help="Exit code when a threshold failed, e.g. 3. Default: 99.",
)
@click.option(
    "--inconclusive-exit-code",
    type=click.IntRange(0, 255),
    metavar="N",
    help="Exit code when the verdict is inconclusive, e.g. 0. Default: 96.",
)
@baseline_option
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
) -> int:
    """Evaluate the thresholds of RUN, print one line per threshold and set the exit code.

    \b
    Example: doorbuster gate reports/sample --fail-exit-code 3
             doorbuster gate reports/candidate --baseline main
             doorbuster gate --candidate variant-b --baseline main
    """
    from doorbuster.cli.run_workflow import find_run_scenario, judge_run, recorded_run_scenario
    from doorbuster.errors import ExitCode
    from doorbuster.records.reader import Run

    *further, newest = _candidates(run, candidate)
    with Run.open(newest) as opened:
        scenario = find_run_scenario(scenario_name) if scenario_name else recorded_run_scenario(opened)
        values = None
        if baseline is not None:
            values = baseline_values(baseline, (*further, opened.path), scenario.thresholds)
        judged = judge_run(opened, scenario, baseline=values, further_runs=further)
    judged.print_failed_scripts()
    for result in judged.results:
        say(f"{result.status:<13} {result.threshold}")
        say(f"{'':<13} {result.sentence}")
    say(judged.verdict.sentence)
    for reason in judged.verdict.reasons:
        say(f"  - {reason}")
    remapped = {ExitCode.FAIL: fail_exit_code, ExitCode.INCONCLUSIVE: inconclusive_exit_code}
    mapped = remapped.get(ExitCode(judged.exit_code))
    return judged.exit_code if mapped is None else mapped


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
