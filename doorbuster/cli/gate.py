"""`doorbuster gate`: the verdict on a recorded run, for CI pipelines."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.options import run_argument
from doorbuster.output import say


@click.command("gate")
@run_argument
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
def command(
    run: Path, scenario_name: str | None, fail_exit_code: int | None, inconclusive_exit_code: int | None
) -> int:
    """Evaluate the thresholds of RUN, print one line per threshold and set the exit code.

    \b
    Example: doorbuster gate reports/sample --fail-exit-code 3
    """
    from doorbuster.cli.run_workflow import find_run_scenario, judge_run, recorded_run_scenario
    from doorbuster.errors import ExitCode
    from doorbuster.records.reader import Run

    with Run.open(run) as opened:
        judged = judge_run(
            opened, find_run_scenario(scenario_name) if scenario_name else recorded_run_scenario(opened)
        )
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
