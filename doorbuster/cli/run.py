"""`doorbuster run`: run a scenario and report the verdict."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbuster.cli.baseline_choice import baseline_option, baseline_runs, baseline_values, check_baseline
from doorbuster.cli.live_page import live_option, open_live_page, publish_verdict
from doorbuster.cli.options import (
    DEFAULT_LOCUSTFILE,
    Number,
    WholeNumber,
    confirm_option,
    out_option,
    profile_option,
    seed_option,
    url_option,
    workers_option,
)
from doorbuster.cli.pipeline_output import github_option, write_github
from doorbuster.cli.program_name import program_name
from doorbuster.cli.results import announce_failure, announce_verdict, marked_summary, upload_results
from doorbuster.cli.streams import check_stream, every_option, open_stream, record_tallies, stream_option
from doorbuster.output import say, say_lines, say_wrapped

if TYPE_CHECKING:
    from doorbuster.cli.run_workflow import JudgedRun
    from doorbuster.compare.baseline_values import BaselineValues
    from doorbuster.gate import Verdict
    from doorbuster.scenario import LocustScenario, Scenario


class RunCommand(click.Command):
    """Keeps everything after "--" for Locust, also when no scenario is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[LOCUST_OPTIONS] = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])


LOCUST_OPTIONS = "doorbuster.locust_options"


@click.command("run", cls=RunCommand)
@click.argument("scenario", required=False)
@profile_option
@url_option
@seed_option
@confirm_option
@out_option("the run and its report")
@click.option(
    "-f",
    "--locustfile",
    metavar="FILE",
    help="Locustfile to run: a path, the name of a bundled file, or several with commas between them; also "
    "a plain Locust file. "
    f"Default: {DEFAULT_LOCUSTFILE}.",
)
@click.option(
    "-u",
    "--users",
    type=WholeNumber(min=1),
    metavar="N",
    help="Number of users of a plain Locust file, e.g. 50. Default: the scenario's, or Locust's.",
)
@click.option(
    "-r",
    "--spawn-rate",
    type=Number(min=0, min_open=True),
    metavar="RATE",
    help="Users of a plain Locust file started per second, e.g. 5. Default: the scenario's, or Locust's.",
)
@click.option(
    "-t",
    "--run-time",
    metavar="TIME",
    help="Duration of a plain Locust file's run, e.g. 5m. Default: the scenario's, or its load shape's.",
)
@workers_option
@click.option(
    "--expect-workers",
    default=0,
    type=WholeNumber(0, 10_000),
    metavar="N",
    help="Wait for N workers on other machines (`doorbuster worker`) to generate the load. Default: 0.",
)
@click.option(
    "--bind",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address that remote workers connect to. One that other machines reach needs DOORBUSTER_KEY.",
)
@click.option(
    "--bind-port",
    default=5557,
    show_default=True,
    type=WholeNumber(1, 65535),
    metavar="PORT",
    help="Port that remote workers connect to.",
)
@click.option(
    "--no-retries",
    is_flag=True,
    help="Turn off reloads and retries. Compare with a normal run to see how much retries add to overload.",
)
@stream_option("--stream-to")
@every_option("--stream-every")
@click.option(
    "--upload",
    metavar="URL",
    help="Send the files of the run there: s3://BUCKET/PATH, https://HOST/PATH (PUT) or file:///PATH.",
)
@click.option(
    "--print-summary",
    is_flag=True,
    help="Print summary.md between two markers, so that the log of a pod or job has the whole verdict.",
)
@baseline_option
@github_option
@live_option
@click.option("--quiet", is_flag=True, help="Print only the verdict, without the live view.")
@click.pass_context
def command(
    ctx: click.Context,
    scenario: str | None,
    profile: str | None,
    url: str | None,
    seed: int | None,
    confirm_hosts: tuple[str, ...],
    out: Path | None,
    locustfile: str | None,
    users: int | None,
    spawn_rate: float | None,
    run_time: str | None,
    workers: int,
    expect_workers: int,
    bind: str,
    bind_port: int,
    no_retries: bool,
    upload: str | None,
    print_summary: bool,
    destinations: tuple[str, ...],
    every_s: float | None,
    baseline: str | None,
    github: bool | None,
    live: int | None,
    quiet: bool,
) -> int:
    """Run SCENARIO against its shop, evaluate the thresholds and write the report.

    SCENARIO is a YAML file or the name of a bundled one; a plain Locust file also runs without one. Options
    for Locust itself go after "--".

    \b
    Example: doorbuster run ms-christmas-2004
             doorbuster run ms-christmas-2004 --profile replatformed
             doorbuster run my-peak.yaml --url https://staging.example.com --confirm-host staging.example.com
             doorbuster run --locustfile locustfile.py --users 50 --spawn-rate 5 --run-time 5m
    """
    from doorbuster.cli.live import say_if_log, watch
    from doorbuster.cli.run_workflow import find_locustfiles, new_run_folder, scenario_file, write_everything
    from doorbuster.errors import ExitCode, RecordError, UsageError
    from doorbuster.locust_process import LocustProcess, check_key, check_port, local_workers
    from doorbuster.scenario import LocustScenario
    from doorbuster.upload import open_destination

    if workers and expect_workers:
        raise UsageError("--workers (this machine) and --expect-workers (other machines) cannot be combined")
    if expect_workers:
        check_key(bind)
        check_port(bind, bind_port)
    locust_options: tuple[str, ...] = ctx.meta[LOCUST_OPTIONS]
    if any(option in ("-H", "--host") or option.startswith("--host=") for option in locust_options):
        raise UsageError("name the target with --url URL instead of Locust's --host")
    destination = None if upload is None else open_destination(upload)
    locustfiles = find_locustfiles(locustfile or DEFAULT_LOCUSTFILE)
    plan = plan_run(
        scenario,
        locustfile,
        {"--profile": profile, "--seed": seed, "--no-retries": no_retries or None},
        {"--users": users, "--spawn-rate": spawn_rate, "--run-time": run_time},
        url=url,
        confirm_hosts=confirm_hosts,
        exit_code_on_error=_exit_code_on_error(locust_options),
    )
    if baseline is not None:
        check_baseline(baseline, plan.thresholds)
    page = ctx.with_resource(open_live_page(live, plan.title))
    name = plan.name if plan.source_path is not None else Path(locustfiles.split(",")[0]).stem
    check_stream(destinations, every_s)
    folder = new_run_folder(out, name)
    options = ["--scenario", str(scenario_file(plan, folder, name)), "--run-folder", str(folder)]
    if isinstance(plan, LocustScenario):
        options += users_options(plan)
    for host in confirm_hosts:
        options += ["--confirm-host", host]
    if workers:
        options += local_workers(workers)
    if expect_workers:
        options += ["--master", "--expect-workers", str(expect_workers)]
        options += ["--master-bind-host", bind, "--master-bind-port", str(bind_port)]
        say(
            f"run on each worker machine: doorbuster worker --master-host {bind} --master-port {bind_port}",
            error=True,
        )
    stream = open_stream(folder, destinations, every_s)
    process = LocustProcess(locustfiles, [*options, *locust_options], folder)
    last_state = None
    try:
        last_state = watch(process, folder, plan, quiet=quiet, page=page, expected_workers=expect_workers)
    except KeyboardInterrupt:  # before the live view started
        process.stop()
    process.exit_code()
    record_tallies(stream, folder)
    if not (folder / "run.sqlite").exists():
        announce_failure(process.failure_message())
        return int(process.failure_code())
    if why := process.error_message():
        say_lines(why, error=True)
    for note in process.notes():
        say(f"note: {note}", error=True)
    try:
        values: BaselineValues | None = None
        before: tuple[Path, ...] = ()
        if baseline is not None:
            values = baseline_values(baseline, [folder / "run.sqlite"], plan.thresholds)
            values.write(folder)
            before = baseline_runs(baseline)
        if not quiet:
            say_if_log("writing the report …")
        page.publish(step="report")
        judged = write_everything(folder, plan, baseline=values, quiet=quiet, baseline_runs=before)
        publish_verdict(page, judged.verdict, judged.results, last_state, folder)
    except RecordError as error:
        if process.exit_code() != ExitCode.NOT_RECORDED:
            raise
        say_lines(str(error), error=True)
        return int(ExitCode.NOT_RECORDED)
    except KeyboardInterrupt:
        say(f"the run is recorded; write its report with: {program_name()} report {folder}", error=True)
        raise
    judged.print_failed_scripts()
    write_github(judged, (folder / "summary.md").read_text(encoding="utf-8"), folder, wanted=github)
    if print_summary:
        say_lines(marked_summary(folder))
    _print_verdict(judged, folder, plan, requests=not quiet)
    upload_code = upload_results(folder, destination)
    own_code = process.exit_code()
    if isinstance(plan, LocustScenario) and own_code and judged.exit_code == ExitCode.PASS:
        say(f"exit code {own_code}: set by {locustfiles} or Locust, see {folder / 'locust.log'}", error=True)
        return own_code
    if process.asked and judged.exit_code == ExitCode.NOT_RECORDED:  # killed by a second Ctrl-C
        return int(ExitCode.INTERRUPTED)
    return judged.exit_code or upload_code


def plan_run(
    scenario: str | None,
    locustfile: str | None,
    customer_options: dict[str, Any],
    user_options: dict[str, Any],
    *,
    url: str | None,
    confirm_hosts: tuple[str, ...],
    exit_code_on_error: str,
) -> Scenario | LocustScenario:
    """What the run is to do: a scenario of customers, or of the users of a plain Locust file.

    Raises: UsageError for options that have no effect on it.
    """
    from doorbuster.cli.run_workflow import find_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.scenario import Scenario, locust_scenario, override

    base = find_run_scenario(scenario) if scenario is not None else None
    if base is None and locustfile is None:
        raise UsageError("name a scenario, or a plain Locust file with --locustfile")
    plain = not isinstance(base, Scenario)
    for option, value in (customer_options if plain else user_options).items():
        if value is not None:
            ours = f"{scenario}: its demand decides which customers arrive"
            raise UsageError(f"{option} has no effect on {'a plain Locust file' if plain else ours}")
    if isinstance(base, Scenario):
        profile, seed, no_retries = customer_options.values()
        return override(base, profile=profile, url=url, seed=seed, no_retries=bool(no_retries))
    if locustfile is None:
        raise UsageError(
            f"{scenario} has neither demand nor channels, so it needs a plain Locust file: add --locustfile"
        )
    run_time = user_options["--run-time"]
    return locust_scenario(
        base,
        title=f"{Path(locustfile.split(',')[0]).name}, without a scenario",
        users=user_options["--users"],
        spawn_rate=user_options["--spawn-rate"],
        run_time=f"{run_time}s" if run_time and run_time.isdigit() else run_time,
        url=url,
        allow=confirm_hosts,
        no_failures=exit_code_on_error != "0",
    )


def users_options(plan: LocustScenario) -> list[str]:
    """Locust's options for the users of a plain Locust file."""
    options = ["--exit-code-on-error", "0"]  # failed requests are a matter of the thresholds
    for option, value in (("--users", plan.locust.users), ("--spawn-rate", plan.locust.spawn_rate)):
        if value is not None:
            options += [option, f"{value:g}"]
    if plan.locust.run_time_s is not None:
        options += ["--run-time", f"{max(1, math.ceil(plan.locust.run_time_s))}s"]
    if plan.target.url is not None:
        options += ["--host", plan.target.url]
    return options


def _exit_code_on_error(locust_options: tuple[str, ...]) -> str:
    """The value of Locust's --exit-code-on-error; "" if it is not given."""
    name = "--exit-code-on-error"
    for at, option in enumerate(locust_options):
        if option.startswith(f"{name}="):
            return option.partition("=")[2]
        if option == name and at + 1 < len(locust_options):
            return locust_options[at + 1]
    return ""


def _print_verdict(
    judged: JudgedRun, folder: Path, plan: Scenario | LocustScenario, *, requests: bool
) -> None:
    """Print the verdict, its reasons, single requests, the path of the report and the next command."""
    from doorbuster.report import summary_lines

    verdict = judged.verdict
    colour = {"pass": "green", "fail": "red"}.get(verdict.status, "yellow")
    say()
    say_wrapped(verdict.sentence, style=f"bold {colour}", indent="")
    announce_verdict(verdict)
    for reason in verdict.reasons:
        say_wrapped(f"  - {reason}")
    for line in summary_lines(judged.analysed.sections) if requests else ():
        say_wrapped(line)
    say(f"report:  {folder / 'index.html'}")
    say(f"next:    {_next_command(verdict, folder, plan)}")


def _next_command(verdict: Verdict, folder: Path, plan: Scenario | LocustScenario) -> str:
    shop = getattr(plan.target, "shop", None)
    if shop is not None and shop.profile == "in-house-2004" and verdict.status == "fail":
        return f"{program_name()} run {plan.name} --profile replatformed   (the same peak, a redesigned shop)"
    if verdict.status == "inconclusive":
        return (
            f"{program_name()} analyse {folder} --section generator_health   (checks of the load generator)"
        )
    return f"{program_name()} analyse {folder}   (what matters, on one screen)"
