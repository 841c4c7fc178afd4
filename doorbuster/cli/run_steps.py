"""The steps of `doorbuster run`: check the options, record, report, print."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from doorbuster.bundled import scenario_argument
from doorbuster.cli.baseline_choice import baseline_runs, baseline_values
from doorbuster.cli.live_page import publish_verdict
from doorbuster.cli.pipeline_output import write_github
from doorbuster.cli.program_name import program_name
from doorbuster.cli.results import announce_verdict, marked_summary
from doorbuster.cli.run_plan import PlanOptions, locust_arguments
from doorbuster.cli.streams import check_stream, open_stream, record_tallies
from doorbuster.output import say, say_lines, say_wrapped

if TYPE_CHECKING:
    from doorbuster.cli.live_page import LivePage
    from doorbuster.cli.run_workflow import JudgedRun
    from doorbuster.locust_process import LocustProcess
    from doorbuster.scenario import LocustScenario, Scenario


_ALL_ADDRESSES = ("0.0.0.0", "::", "*")  # noqa: S104  to which no worker can connect


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The options of `doorbuster run`, as given on the command line; locust_options: those after "--"."""

    scenario: str | None
    locustfile: str | None
    url: str | None
    confirm_hosts: tuple[str, ...]
    profile: str | None
    seed: int | None
    no_retries: bool
    users: int | None
    spawn_rate: float | None
    run_time: str | None
    out: Path | None
    workers: int
    expect_workers: int
    bind: str
    bind_port: int
    upload: str | None
    print_summary: bool
    destinations: tuple[str, ...]
    every_s: float | None
    baseline: str | None
    github: bool | None
    live: int | None
    quiet: bool
    locust_options: tuple[str, ...]

    @property
    def plan_options(self) -> PlanOptions:
        """Those that decide what the run does."""
        same = {one.name for one in fields(PlanOptions)} & {one.name for one in fields(self)}
        return PlanOptions(
            **{name: getattr(self, name) for name in same},
            failures_pass=_exit_code_on_error(self.locust_options) == "0",
        )

    def check(self) -> None:
        """Raises: UsageError for options that contradict each other."""
        from doorbuster.errors import UsageError
        from doorbuster.locust_process import check_key, check_port

        if self.workers and self.expect_workers:
            raise UsageError(
                "--workers (this machine) and --expect-workers (other machines) cannot be combined"
            )
        if self.expect_workers:
            check_key(self.bind)
            check_port(self.bind, self.bind_port)
        if any(one in ("-H", "--host") or one.startswith("--host=") for one in self.locust_options):
            raise UsageError("name the target with --url URL instead of Locust's --host")


def _exit_code_on_error(locust_options: tuple[str, ...]) -> str:
    """The value of Locust's --exit-code-on-error; "" if it is not given."""
    name = "--exit-code-on-error"
    for at, option in enumerate(locust_options):
        if option.startswith(f"{name}="):
            return option.partition("=")[2]
        if option == name and at + 1 < len(locust_options):
            return locust_options[at + 1]
    return ""


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run whose Locust process has ended; last_state: of its live view."""

    process: LocustProcess
    folder: Path
    last_state: Any

    @property
    def has_run_file(self) -> bool:
        """Whether the run began."""
        return (self.folder / "run.sqlite").exists()

    def print_notes(self) -> None:
        """Print what Locust and the master said that a user should know."""
        if why := self.process.error_message():
            say_lines(why, error=True)
        for note in self.process.new_notes():
            say(f"note: {note}", error=True)


def record_run(
    options: RunOptions, plan: Scenario | LocustScenario, locustfiles: str, page: LivePage
) -> EndedRun:
    """Run the plan and watch it; returns at its end."""
    from doorbuster.cli.live import watch
    from doorbuster.cli.run_workflow import new_run_folder
    from doorbuster.locust_process import LocustProcess

    name = plan.name if plan.source_path is not None else Path(locustfiles.split(",", maxsplit=1)[0]).stem
    check_stream(options.destinations, options.every_s)
    folder = new_run_folder(options.out, name)
    arguments = locust_arguments(
        plan, folder, name=name, confirm_hosts=options.confirm_hosts, workers=options.workers
    )
    arguments += _remote_workers(options)
    stream = open_stream(folder, options.destinations, options.every_s)
    process = LocustProcess(locustfiles, [*arguments, *options.locust_options], folder)
    last_state = None
    try:
        last_state = watch(
            process, folder, plan, quiet=options.quiet, page=page, expected_workers=options.expect_workers
        )
    except KeyboardInterrupt:  # before the live view started
        process.stop()
    process.exit_code()
    record_tallies(stream, folder)
    return EndedRun(process, folder, last_state)


def _remote_workers(options: RunOptions) -> list[str]:
    """Locust's options for workers on other machines; prints the command that starts these."""
    if not options.expect_workers:
        return []
    bind, port = options.bind, options.bind_port
    host = "ADDRESS-OF-THIS-MACHINE" if bind in _ALL_ADDRESSES else bind
    say(
        f"run on each worker machine: doorbuster worker --master-host {host} --master-port {port}", error=True
    )
    return [
        *("--master", "--expect-workers", str(options.expect_workers)),
        *("--master-bind-host", bind, "--master-bind-port", str(port)),
    ]


def report_run(
    options: RunOptions, plan: Scenario | LocustScenario, recorded: EndedRun, page: LivePage
) -> JudgedRun:
    """Judge the recorded run and write its report.

    Raises: RecordError for a run file that cannot be used.
    """
    from doorbuster.cli.live import say_if_log
    from doorbuster.cli.run_workflow import write_everything

    folder, values = recorded.folder, None
    before: tuple[Path, ...] = ()
    try:
        if options.baseline is not None:
            values = baseline_values(options.baseline, [folder / "run.sqlite"], plan.thresholds)
            values.write(folder)
            before = baseline_runs(options.baseline)
        if not options.quiet:
            say_if_log("writing the report …")
        page.publish(step="report")
        judged = write_everything(folder, plan, baseline=values, quiet=options.quiet, baseline_runs=before)
        publish_verdict(page, judged.verdict, judged.results, recorded.last_state, folder)
    except KeyboardInterrupt:
        say(f"the run is recorded; write its report with: {program_name()} report {folder}", error=True)
        raise
    return judged


def print_result(
    options: RunOptions, plan: Scenario | LocustScenario, judged: JudgedRun, folder: Path
) -> None:
    """Print the verdict, and what the options ask for besides."""
    judged.print_failed_scripts()
    write_github(judged, (folder / "summary.md").read_text(encoding="utf-8"), folder, wanted=options.github)
    if options.print_summary:
        say_lines(marked_summary(folder))
    _print_verdict(judged, folder, plan, requests=not options.quiet)


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
    say(f"next:    {_next_command(judged, folder, plan)}")


def _next_command(judged: JudgedRun, folder: Path, plan: Scenario | LocustScenario) -> str:
    from doorbuster.gate.threshold_result import failed_only_against_baseline

    verdict = judged.verdict
    if failed_only_against_baseline(judged.results):
        return f"{program_name()} compare BASELINE -- {folder}   (all metrics of both builds)"
    shop = getattr(plan.target, "shop", None)
    if shop is not None and shop.profile == "in-house-2004" and verdict.status == "fail":
        name = quote(scenario_argument(plan.name, plan.source_path))
        return f"{program_name()} run {name} --profile replatformed   (the same peak, a redesigned shop)"
    if verdict.status == "inconclusive":
        return (
            f"{program_name()} analyse {folder} --section generator_health   (checks of the load generator)"
        )
    return f"{program_name()} analyse {folder}   (what matters, on one screen)"
