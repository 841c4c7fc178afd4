"""`doorbuster capacity`: the highest arrival rate at which the shop meets its thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import (
    confirm_option,
    locustfile_option,
    out_option,
    profile_option,
    seed_option,
    url_option,
    workers_option,
)
from doorbuster.output import open_console, say

if TYPE_CHECKING:
    from doorbuster.capacity.load_step import LoadStep, MeasuredStep, ProposedStep
    from doorbuster.capacity.result_file import ScalingPoint, SearchResult
    from doorbuster.capacity.runner import LoadStepRunner
    from doorbuster.capacity.search import SearchSettings
    from doorbuster.capacity.search_bracket import SearchBracket
    from doorbuster.scenario import Scenario


@click.command("capacity")
@click.argument("scenario")
@profile_option
@url_option
@seed_option
@confirm_option
@out_option("the runs and the report")
@locustfile_option
@workers_option
@click.option(
    "--start-rate",
    metavar="RATE",
    help='First arrival rate, e.g. "5 customers/s". Default: a quarter of the scenario\'s peak.',
)
@click.option(
    "--max-rate",
    metavar="RATE",
    help='Highest arrival rate to try, e.g. "200 customers/s". Default: derived from safety.max_rate.',
)
@click.option(
    "--budget",
    metavar="TIME",
    help="Total time for the search, e.g. 20m. Default: 590s, or the minimum if that is longer.",
)
@click.option(
    "--warmup",
    metavar="TIME",
    help="Time excluded at the start of each load step, e.g. 10s. Default: the longest visit, 3s to 60s.",
)
@click.option(
    "--concurrency",
    metavar="LEVELS",
    help="Run a fixed list of concurrency levels for one channel instead of searching, e.g. 1,2,4,8,16,32.",
)
@click.option(
    "--channel",
    metavar="NAME",
    help="Channel for --concurrency. Default: the closed channel, or the open one with the largest share.",
)
@click.option("--quiet", is_flag=True, help="Print only the answer, not one line per load step.")
def command(
    scenario: str,
    profile: str | None,
    url: str | None,
    seed: int | None,
    confirm_hosts: tuple[str, ...],
    out: Path | None,
    locustfile: str,
    workers: int,
    start_rate: str | None,
    max_rate: str | None,
    budget: str | None,
    warmup: str | None,
    concurrency: str | None,
    channel: str | None,
    quiet: bool,
) -> int:
    """Find the highest arrival rate at which the shop still meets every threshold of SCENARIO.

    Sends the scenario's mix of customers at a series of constant rates. Each load step is a run of its own in
    the folder of the search. Ctrl-C ends the search and keeps the results so far.

    \b
    Example: doorbuster capacity ms-christmas-2004 --profile replatformed
    """
    from doorbuster.capacity.runner import LoadStepRunner, open_shop
    from doorbuster.capacity.scenario_bound_distances import binding_thresholds
    from doorbuster.capacity.search_settings import check_budget, search_settings
    from doorbuster.cli.check import check_requirements
    from doorbuster.cli.run_workflow import find_locustfiles, find_run_scenario, find_scenario, new_run_folder
    from doorbuster.errors import DoorbusterError, ExitCode, UsageError
    from doorbuster.locust_process import local_workers
    from doorbuster.scenario import NO_CAPACITY, LocustScenario

    if channel is not None and concurrency is None:
        raise UsageError("--channel requires --concurrency; a search uses all channels")
    if concurrency is not None and (start_rate or max_rate):
        raise UsageError("--start-rate and --max-rate cannot be combined with --concurrency")
    if isinstance(find_run_scenario(scenario), LocustScenario):
        raise UsageError(f"{scenario} is the scenario of a plain Locust file: {NO_CAPACITY}")
    plan = find_scenario(scenario, profile=profile, url=url, seed=seed)
    locustfiles = find_locustfiles(locustfile)
    code = check_requirements(plan, locustfiles, for_capacity=True)
    if code:
        return code
    options = [*(word for host in confirm_hosts for word in ("--confirm-host", host)),
               *(local_workers(workers) if workers else [])]  # fmt: skip
    thresholds = binding_thresholds(plan.thresholds)
    settings = search_settings(
        plan, thresholds, start_rate=start_rate, max_rate=max_rate, budget=budget, warmup=warmup
    )
    if concurrency is not None:
        return _sweep(plan, concurrency, channel, settings, out, locustfiles, options, quiet=quiet)
    if not thresholds:
        raise UsageError(
            f"{plan.name} has no threshold that a higher rate can violate; add one, e.g. "
            'http_req_duration: ["p(95)<1s"]'
        )
    check_budget(settings)
    folder = new_run_folder(out, plan.name)
    if not quiet:
        say(plan.title, style="bold", error=True)
    with open_shop(plan, folder / "shop.log") as address:
        runner = LoadStepRunner(plan, thresholds, folder, address, locustfiles, tuple(options))
        search = _Search(runner, settings, quiet=quiet)
        try:
            interrupted = search.until_answered()
        except DoorbusterError:
            if search.has_begun:
                _conclude(folder, search.record(finished=False))
            raise
    result = search.record(finished=not interrupted)
    _conclude(folder, result)
    if interrupted:
        return int(ExitCode.INTERRUPTED)
    return 0 if result.rate_per_s is not None else int(ExitCode.INCONCLUSIVE)


def _sweep(
    plan: Scenario,
    levels: str,
    channel: str | None,
    settings: SearchSettings,
    out: Path | None,
    locustfile: str,
    options: list[str],
    *,
    quiet: bool,
) -> int:
    """Run a concurrency sweep, write its report and return the exit code."""
    from doorbuster.capacity.concurrency_sweep import (
        ConcurrencySweep,
        choose_channel,
        hold_s_within,
        parse_concurrency,
    )
    from doorbuster.capacity.runner import open_shop
    from doorbuster.cli.run_workflow import new_run_folder
    from doorbuster.errors import DoorbusterError, ExitCode

    parsed = parse_concurrency(levels)
    hold_s = hold_s_within(settings.budget_s, settings.warmup_s, len(parsed))
    chosen = choose_channel(plan, channel)
    folder = new_run_folder(out, plan.name)
    sweep = ConcurrencySweep(plan, chosen, tuple(parsed), settings.warmup_s, hold_s, folder,
                             locustfile, tuple(options))  # fmt: skip
    with open_shop(plan, folder / "shop.log") as address:
        try:
            interrupted = sweep.run(address, (lambda _: None) if quiet else _print_point)
        except DoorbusterError:
            _conclude_sweep(folder)
            raise
    _conclude_sweep(folder)
    return int(ExitCode.INTERRUPTED) if interrupted else 0


def _print_point(point: ScalingPoint) -> None:
    rate = f"{point.per_s:.4g} requests/s, mean response time {point.response_s or 0:.3g} s"
    say(f"concurrency {point.n:5g}  {rate}", error=True)


def _conclude_sweep(folder: Path) -> None:
    """Write the report of the run with the highest throughput, with the curve on top."""
    from doorbuster.capacity.result_file import find_scaling
    from doorbuster.cli.run_workflow import show_section, write_combined_report

    found = find_scaling(folder / "run.sqlite")
    if found is not None and found.best_point is not None:
        write_combined_report(folder, folder / found.best_point.source)
        show_section(folder, "scalability")


class _Search:
    """Runs a search, prints its progress and keeps its result file up to date."""

    def __init__(self, runner: LoadStepRunner, settings: SearchSettings, *, quiet: bool) -> None:
        self._runner = runner
        self._settings = settings
        self._quiet = quiet
        self._history: list[LoadStep] = []

    @property
    def has_begun(self) -> bool:
        """Whether at least one load step has finished."""
        return bool(self._history)

    def until_answered(self) -> bool:
        """Run the proposed load steps until there is an answer; True when Ctrl-C ended the search early."""
        from doorbuster.capacity.load_step import ProposedStep, judge_step
        from doorbuster.capacity.search import next_step

        try:
            while isinstance(step := next_step(self._history, self._settings), ProposedStep):
                measured = self._with_view(step)
                self._history.append(judge_step(measured))
                self.record(finished=False)
                self._print_step(self._history[-1])
        except KeyboardInterrupt:
            return True
        return False

    def record(self, *, finished: bool) -> SearchResult:
        """Write the result so far."""
        from doorbuster.capacity.search import result_so_far
        from doorbuster.capacity.summary import summarise_search

        found = result_so_far(self._history, self._settings)
        folders = [
            self._runner.step_folder(step.measured.proposal, number)
            for number, step in enumerate(self._history, start=1)
        ]
        result = summarise_search(self._runner.plan, found, self._history, folders, finished=finished)
        result.write(self._runner.folder)
        return result

    def _with_view(self, step: ProposedStep) -> MeasuredStep:
        from rich.live import Live

        console, number = open_console(error=True), len(self._history) + 1
        if self._quiet or not console.is_terminal:
            return self._runner.run(step, number, lambda _: None)
        with Live(self._status_line(step, ""), console=console, transient=True, refresh_per_second=4) as live:
            return self._runner.run(step, number, lambda text: live.update(self._status_line(step, text)))

    def _status_line(self, step: ProposedStep, progress: str) -> str:
        return f"{self._bracket()}  now {step.kind} at {step.rate_per_s:.4g}/s ({step.why}) {progress}"

    def _bracket(self) -> SearchBracket:
        from doorbuster.capacity.search_bracket import SearchBracket

        return SearchBracket.of(self._history)

    def _print_step(self, step: LoadStep) -> None:
        if not self._quiet:
            sign = {"pass": "✓", "fail": "✗", "unsure": "?", "invalid": "!"}[step.status]
            say(f"{sign} {step.rate_per_s:8.4g}/s  {step.kind:<13} {step.why}", error=True)
            say(f"  {self._bracket()}", style="dim", error=True)


def _conclude(folder: Path, result: SearchResult) -> None:
    """Print the answer; write the report of the run at the highest passing rate, with the search on top."""
    from doorbuster.capacity.capacity_result import MEANINGS
    from doorbuster.cli.run_workflow import write_combined_report

    shown = result.representative_step
    if shown is not None:
        write_combined_report(folder, folder / shown.run)
    say()
    say(result.sentence, style="bold")
    if not result.finished:
        say("  - The search was interrupted; this is the result so far.")
    for flag in result.flags:
        if flag in MEANINGS:
            say(f"  - {MEANINGS[flag]}")
    say(f"time:    {result.elapsed_s:.0f} s, {len(result.load_steps)} load steps")
    if shown is not None:
        say(f"report:  {folder / 'index.html'}")
