"""`doorbuster run`: run a scenario and report the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorbuster.cli.baseline_choice import baseline_option, check_baseline
from doorbuster.cli.live_page import live_option, open_live_page
from doorbuster.cli.options import (
    DEFAULT_LOCUSTFILE,
    Number,
    WholeNumber,
    confirm_option,
    out_option,
    profile_option,
    refuse_given,
    seed_option,
    url_option,
    workers_option,
)
from doorbuster.cli.pipeline_output import github_option
from doorbuster.cli.results import announce_failure, upload_results
from doorbuster.cli.run_plan import plan_run
from doorbuster.cli.run_steps import EndedRun, RunOptions, print_result, record_run, report_run
from doorbuster.cli.streams import every_option, stream_option
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.cli.run_workflow import JudgedRun
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
def command(ctx: click.Context, /, **given: Any) -> int:
    """Run SCENARIO against its shop, evaluate the thresholds and write the report.

    SCENARIO is a YAML file or the name of a bundled one; a plain Locust file also runs without one. Options
    for Locust itself go after "--".

    \b
    Example: doorbuster run ms-christmas-2004
             doorbuster run ms-christmas-2004 --profile replatformed
             doorbuster run my-peak.yaml --url https://staging.example.com --confirm-host staging.example.com
             doorbuster run --locustfile locustfile.py --users 50 --spawn-rate 5 --run-time 5m
    """
    from doorbuster.cli.run_workflow import find_locustfiles
    from doorbuster.errors import ExitCode, RecordError
    from doorbuster.output import say_lines
    from doorbuster.upload import open_destination

    options = RunOptions(**given, locust_options=ctx.meta[LOCUST_OPTIONS])
    if not options.expect_workers:
        refuse_given(ctx, ("bind", "bind_port"), "has no effect without --expect-workers N")
    options.check()
    destination = None if options.upload is None else open_destination(options.upload)
    locustfiles = find_locustfiles(options.locustfile or DEFAULT_LOCUSTFILE)
    plan = plan_run(options.plan_options)
    if options.baseline is not None:
        check_baseline(options.baseline, plan.thresholds)
    page = ctx.with_resource(open_live_page(options.live, plan.title))
    recorded = record_run(options, plan, locustfiles, page)
    if not recorded.has_run_file:
        announce_failure(recorded.process.failure_message())
        return int(recorded.process.failure_code())
    recorded.print_notes()
    try:
        judged = report_run(options, plan, recorded, page)
    except RecordError as error:
        if recorded.process.exit_code() != ExitCode.NOT_RECORDED:
            raise
        say_lines(str(error), error=True)
        return int(ExitCode.NOT_RECORDED)
    print_result(options, plan, judged, recorded.folder)
    upload_code = upload_results(recorded.folder, destination)
    return _exit_code(plan, judged, recorded, locustfiles) or upload_code


def _exit_code(
    plan: Scenario | LocustScenario, judged: JudgedRun, recorded: EndedRun, locustfiles: str
) -> int:
    """That of the verdict, unless Locust's own code says something worse."""
    from doorbuster.errors import ExitCode
    from doorbuster.scenario import LocustScenario

    own_code = recorded.process.exit_code()
    if isinstance(plan, LocustScenario) and own_code and judged.exit_code == ExitCode.PASS:
        say(
            f"exit code {own_code}: set by {locustfiles} or Locust, see {recorded.folder / 'locust.log'}",
            error=True,
        )
        return own_code
    if recorded.process.asked and judged.exit_code == ExitCode.NOT_RECORDED:  # killed by a second Ctrl-C
        return int(ExitCode.INTERRUPTED)
    return judged.exit_code
