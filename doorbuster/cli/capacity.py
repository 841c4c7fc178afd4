"""`doorbuster capacity`: the highest arrival rate at which the shop meets its thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.capacity_sweep import run_sweep
from doorbuster.cli.live_page import LivePage, live_option, open_live_page, publish_answer
from doorbuster.cli.options import (
    confirm_option,
    locustfile_option,
    out_option,
    profile_option,
    seed_option,
    url_option,
    workers_option,
)
from doorbuster.cli.series_watch import SeriesWatch, about
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.capacity.load_step import LoadStep, MeasuredStep, ProposedStep
    from doorbuster.capacity.result_file import SearchResult
    from doorbuster.capacity.runner import LoadStepRunner
    from doorbuster.capacity.search import SearchSettings
    from doorbuster.capacity.search_bracket import SearchBracket
    from doorbuster.live.state import SeriesView, StageView


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
@live_option
@click.option("--quiet", is_flag=True, help="Print only the answer, not one line per load step.")
@click.pass_context
def command(
    ctx: click.Context,
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
    live: int | None,
    quiet: bool,
) -> int:
    """Find the highest arrival rate at which the shop still meets every threshold of SCENARIO.

    Sends the scenario's mix of customers at a series of constant rates. Each load step is a run of its own in
    the folder of the search. Ctrl-C ends the search and keeps the results so far.

    \b
    Example: doorbuster capacity ms-christmas-2004 --profile replatformed
    """
    from doorbuster.capacity.runner import LoadStepRunner, open_shop
    from doorbuster.capacity.scenario_bound_distances import binding_thresholds, unused_thresholds
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
        page = ctx.with_resource(open_live_page(live, plan.title))
        return run_sweep(plan, concurrency, channel, settings, out, locustfiles, options, page, quiet=quiet)
    if not thresholds:
        raise UsageError(
            f"{plan.name} has no threshold that a higher rate can violate; add one, e.g. "
            'http_req_duration: ["p(95)<1s"]'
        )
    check_budget(settings)
    for text in unused_thresholds(plan.thresholds):
        say(f"not used by the search: {text}", style="dim", error=True)
    page = ctx.with_resource(open_live_page(live, plan.title))
    folder = new_run_folder(out, plan.name)
    if not quiet:
        say(plan.title, style="bold", error=True)
    with open_shop(plan, folder / "shop.log") as shop:
        runner = LoadStepRunner(plan, thresholds, folder, shop, locustfiles, tuple(options))
        search = _Search(runner, settings, page, quiet=quiet)
        try:
            interrupted = search.until_answered()
        except DoorbusterError:
            if search.has_begun:
                _conclude(folder, search.record(finished=False), page)
            raise
    result = search.record(finished=not interrupted)
    _conclude(folder, result, page)
    if interrupted:
        return int(ExitCode.INTERRUPTED)
    return 0 if result.rate_per_s is not None else int(ExitCode.INCONCLUSIVE)


class _Search:
    """Runs a search, shows its progress and keeps its result file up to date."""

    def __init__(
        self, runner: LoadStepRunner, settings: SearchSettings, page: LivePage, *, quiet: bool
    ) -> None:
        self._runner = runner
        self._settings = settings
        self._quiet = quiet
        self._history: list[LoadStep] = []
        self._watch = SeriesWatch(page, self._view, quiet=quiet)

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
                self._watch.publish()
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
        from doorbuster.live.state import StageView

        number = len(self._history) + 1
        label = f"{step.rate_per_s:.4g}/s, {step.kind}"
        head = f"{self._bracket()}  now {step.kind} at {step.rate_per_s:.4g}/s ({step.why})"

        def stage() -> StageView:
            return StageView(label, "running", step.why, step.rate_per_s)

        with self._watch.run(self._runner.step_folder(step, number), head, stage) as look:
            return self._runner.run(step, number, lambda text: look(f"{text}, {self._left()}"))

    def _left(self) -> str:
        """The estimate: a search may end earlier, and never goes far beyond its budget."""
        left_s = self._settings.budget_s - self._bracket().elapsed_s
        return f"at most {about(left_s)} left"

    def _view(self, running: StageView | None) -> SeriesView:
        from doorbuster.live.state import SeriesView, StageView

        known = self._bracket()
        stages = [
            StageView(f"{one.rate_per_s:.4g}/s, {one.kind}", one.status, one.why, one.rate_per_s)
            for one in self._history
        ]
        low, high = known.highest_passing, known.lowest_failing
        sentence = f"{known}; {self._left()}".replace("no verdict yet", "No verdict yet", 1)
        return SeriesView(
            "Search for the highest rate that holds",
            sentence,
            (*stages, running) if running else tuple(stages),
            None if low is None else low.rate_per_s,
            None if high is None else high.rate_per_s,
        )

    def _bracket(self) -> SearchBracket:
        from doorbuster.capacity.search_bracket import SearchBracket

        return SearchBracket.of(self._history)

    def _print_step(self, step: LoadStep) -> None:
        if not self._quiet:
            sign = {"pass": "✓", "fail": "✗", "unsure": "?", "invalid": "!"}[step.status]
            say(f"{sign} {step.rate_per_s:8.4g}/s  {step.kind:<13} {step.why}", error=True)
            say(f"  {self._bracket()}", style="dim", error=True)


def _conclude(folder: Path, result: SearchResult, page: LivePage) -> None:
    """Print the answer; write the report of the run at the highest passing rate, with the search on top."""
    from doorbuster.capacity.capacity_result import MEANINGS
    from doorbuster.cli.run_workflow import write_combined_report

    shown = result.representative_step
    page.publish(step="report")
    if shown is not None:
        write_combined_report(folder, folder / shown.run)
    publish_answer(page, result.sentence, folder)
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
