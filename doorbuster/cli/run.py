"""`doorbuster run`: run a scenario and report the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.invocation import program
from doorbuster.cli.options import (
    confirm_option,
    locustfile_option,
    profile_option,
    seed_option,
    url_option,
    workers_option,
)

if TYPE_CHECKING:
    from doorbuster.cli.pipeline import JudgedRun
    from doorbuster.gate import Verdict
    from doorbuster.scenario import Scenario


@click.command("run")
@click.argument("scenario")
@profile_option
@url_option
@seed_option
@confirm_option
@click.option(
    "--out",
    "out",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="New or empty folder for the run and its report. Default: reports/<time>-<scenario>.",
)
@locustfile_option
@workers_option
@click.option(
    "--expect-workers",
    default=0,
    type=click.IntRange(0, 10_000),
    metavar="N",
    help="Wait for N workers on other machines (`doorbuster worker`) to generate the load. Default: 0.",
)
@click.option(
    "--bind",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address that remote workers connect to; unauthenticated, so use a private network.",
)
@click.option(
    "--bind-port",
    default=5557,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port that remote workers connect to.",
)
@click.option(
    "--no-retries",
    is_flag=True,
    help="Turn off reloads and retries. Compare with a normal run to see how much retries add to overload.",
)
@click.option("--quiet", is_flag=True, help="Print only the verdict, without the live view.")
@click.argument("locust_options", nargs=-1, type=click.UNPROCESSED)
def command(
    scenario: str,
    profile: str | None,
    url: str | None,
    seed: int | None,
    confirm_hosts: tuple[str, ...],
    out: Path | None,
    locustfile: str,
    workers: int,
    expect_workers: int,
    bind: str,
    bind_port: int,
    no_retries: bool,
    quiet: bool,
    locust_options: tuple[str, ...],
) -> int:
    """Run SCENARIO against its shop, evaluate the thresholds and write the report.

    SCENARIO is a YAML file or the name of a bundled one. Options for Locust itself go after "--".

    \b
    Example: doorbuster run ms-christmas-2004
             doorbuster run ms-christmas-2004 --profile replatformed
             doorbuster run my-peak.yaml --url https://staging.example.com --confirm-host staging.example.com
    """
    from doorbuster.cli.live import watch
    from doorbuster.cli.pipeline import (
        find_locustfile,
        find_scenario,
        new_run_folder,
        scenario_file,
        write_everything,
    )
    from doorbuster.errors import ExitCode, UsageError
    from doorbuster.locust_process import LocustProcess, check_port, local_workers

    if workers and expect_workers:
        raise UsageError("--workers (this machine) and --expect-workers (other machines) cannot be combined")
    if expect_workers:
        check_port(bind, bind_port)
    plan = find_scenario(scenario, profile=profile, url=url, seed=seed, no_retries=no_retries)
    locustfile_path = find_locustfile(locustfile)
    folder = new_run_folder(out, plan)
    options = ["--scenario", str(scenario_file(plan, folder)), "--run-folder", str(folder)]
    for host in confirm_hosts:
        options += ["--confirm-host", host]
    if workers:
        options += local_workers(workers)
    if expect_workers:
        options += ["--master", "--expect-workers", str(expect_workers)]
        options += ["--master-bind-host", bind, "--master-bind-port", str(bind_port)]
        click.echo(
            f"run on each worker machine: doorbuster worker --master-host {bind} --master-port {bind_port}",
            err=True,
        )
    process = LocustProcess(locustfile_path, [*options, *locust_options], folder)
    try:
        watch(process, folder, plan, quiet=quiet)
    except KeyboardInterrupt:  # before the live view started
        process.ask_to_stop()
        process.exit_code()
    if not (folder / "run.sqlite").exists():
        click.echo(process.failure_message(), err=True)
        return int(ExitCode.INTERRUPTED) if process.asked else process.exit_code() or int(ExitCode.BUG)
    if why := process.error_message():
        click.echo(why, err=True)
    try:
        judged = write_everything(folder, plan)
    except KeyboardInterrupt:
        click.echo(f"the run is recorded; write its report with: {program()} report {folder}", err=True)
        raise
    judged.print_failed_scripts()
    _print_verdict(judged, folder, plan, requests=not quiet)
    return judged.exit_code


def _print_verdict(judged: JudgedRun, folder: Path, plan: Scenario, *, requests: bool) -> None:
    """Print the verdict, its reasons, single requests, the path of the report and the next command."""
    from doorbuster.report import summary_lines

    verdict = judged.verdict
    colour = {"pass": "green", "fail": "red"}.get(verdict.status, "yellow")
    click.echo()
    click.secho(verdict.sentence, fg=colour, bold=True)
    for reason in verdict.reasons:
        click.echo(f"  - {reason}")
    for line in summary_lines(judged.analysed.sections) if requests else ():
        click.echo(line)
    click.echo(f"report:  {folder / 'index.html'}")
    click.echo(f"next:    {_next_command(verdict, folder, plan)}")


def _next_command(verdict: Verdict, folder: Path, plan: Scenario) -> str:
    shop = plan.target.shop
    if shop is not None and shop.profile == "in-house-2004" and verdict.status == "fail":
        return f"{program()} run {plan.name} --profile replatformed   (the same peak, a redesigned shop)"
    if verdict.status == "inconclusive":
        return f"{program()} analyse {folder} generator_health   (checks of the load generator)"
    return f"{program()} analyse {folder}   (all results, in the terminal)"
