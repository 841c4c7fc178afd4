"""`doorbuster capacity`: how many customers can the shop take before it breaks its promises?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import (
    confirm_option,
    locustfile_option,
    profile_option,
    seed_option,
    url_option,
    workers_option,
)

if TYPE_CHECKING:
    from doorbuster.capacity.load_step import Measured, Plateau, Proposal
    from doorbuster.capacity.runner import PlateauRunner
    from doorbuster.capacity.search import SearchSettings
    from doorbuster.capacity.search_result import SearchResult
    from doorbuster.scenario import Scenario


@click.command("capacity")
@click.argument("scenario")
@profile_option
@url_option
@seed_option
@confirm_option
@click.option(
    "--out",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the search, its runs and its report, new or empty. Default: reports/<time>-<scenario>.",
)
@locustfile_option
@workers_option
@click.option("--start", default=None, metavar="RATE", help="First rate. Default: a quarter of the demand.")
@click.option("--highest", default=None, metavar="RATE", help="No rate above this. Default: safety.max_rate.")
@click.option("--budget", default="590s", show_default=True, metavar="TIME", help="Time for the search.")
@click.option(
    "--settle",
    default=None,
    metavar="TIME",
    help="Time at the start of each plateau that is not judged. Default: the longest visit of a journey.",
)
@click.option(
    "--sweep",
    "sweep",
    default=None,
    metavar="SEATS",
    help="No search: so many customers of one channel in a loop, such as 1,2,4,8,16,32, a run for each.",
)
@click.option(
    "--channel",
    default=None,
    metavar="NAME",
    help="With --sweep: whose seats. Default: the closed channel, or the open one with the largest share.",
)
@click.option("--quiet", is_flag=True, help="No line per plateau, only the answer.")
def command(
    scenario: str,
    profile: str | None,
    url: str | None,
    seed: int | None,
    confirm_host: str | None,
    out: Path | None,
    locustfile: str,
    workers: int,
    start: str | None,
    highest: str | None,
    budget: str,
    settle: str | None,
    sweep: str | None,
    channel: str | None,
    quiet: bool,
) -> int:
    """Search the highest rate of customers at which every threshold of SCENARIO still holds.

    Sends the scenario's own mix of customers at constant rates, one plateau after the other, each a run of
    its own in the folder of the search. Ctrl-C keeps what is known.

    \b
    Example: doorbuster capacity ms-christmas-2004 --profile replatformed
    """
    from doorbuster.capacity.runner import PlateauRunner, open_shop
    from doorbuster.capacity.threshold_indicators import binding_thresholds
    from doorbuster.cli.capacity_settings import refuse_a_short_budget, settings_of
    from doorbuster.cli.pipeline import find_locustfile, find_scenario, new_run_folder
    from doorbuster.errors import DoorbusterError, ExitCode, UsageError
    from doorbuster.locust_process import local_workers

    if channel is not None and sweep is None:
        raise UsageError("--channel goes with --sweep; a search sends the customers of all channels")
    if sweep is not None and (start or highest):
        raise UsageError("--start and --highest are for a search; with --sweep the seats are the load")
    plan = find_scenario(scenario, profile=profile, url=url, seed=seed)
    who_comes = find_locustfile(locustfile)
    options = [*(["--confirm-host", confirm_host] if confirm_host else []),
               *(local_workers(workers) if workers else [])]  # fmt: skip
    settings = settings_of(plan, start=start, highest=highest, budget=budget, settle=settle)
    if sweep is not None:
        return _sweep(plan, sweep, channel, settings, out, who_comes, options, quiet=quiet)
    thresholds = binding_thresholds(plan.thresholds)
    if not thresholds:
        raise UsageError(
            f"{plan.name} has no threshold that more customers could break; add one to thresholds"
        )
    refuse_a_short_budget(settings)
    folder = new_run_folder(out, plan)
    if not quiet:
        click.secho(plan.title, bold=True, err=True)
    with open_shop(plan, folder / "shop.log") as address:
        runner = PlateauRunner(plan, thresholds, folder, address, who_comes, tuple(options))
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
    sweep: str,
    channel: str | None,
    settings: SearchSettings,
    out: Path | None,
    locustfile: Path,
    options: list[str],
    *,
    quiet: bool,
) -> int:
    """The closed sweep, its report and its exit code."""
    from doorbuster.capacity.runner import open_shop
    from doorbuster.cli.pipeline import new_run_folder
    from doorbuster.cli.sweep import LOST_S, SHORTEST_HOLD_S, Sweep, choose_channel, parse_seats
    from doorbuster.errors import DoorbusterError, ExitCode

    seats = parse_seats(sweep)
    hold_s = max(SHORTEST_HOLD_S, settings.budget_s / len(seats) - settings.settle_s - LOST_S)
    chosen = choose_channel(plan, channel)
    folder = new_run_folder(out, plan)
    todo = Sweep(plan, chosen, tuple(seats), settings.settle_s, float(int(hold_s)), folder, locustfile,
                 tuple(options))  # fmt: skip
    with open_shop(plan, folder / "shop.log") as address:
        try:
            interrupted = todo.run(address, quiet=quiet)
        except DoorbusterError:
            _conclude_sweep(folder)
            raise
    _conclude_sweep(folder)
    return int(ExitCode.INTERRUPTED) if interrupted else 0


def _conclude_sweep(folder: Path) -> None:
    """The report of the points that are known: that of the run that did most, with the curve on top."""
    from doorbuster.capacity.scaling_result import find_scaling

    found = find_scaling(folder / "run.sqlite")
    if found is not None and found.points:
        best = max(found.points, key=lambda point: point.per_s)
        write_report(folder, folder / best.source)
        tell_section(folder, "scalability")


class _Search:
    """The history of one search, on screen and on disk."""

    def __init__(self, runner: PlateauRunner, settings: SearchSettings, *, quiet: bool) -> None:
        self._runner = runner
        self._settings = settings
        self._quiet = quiet
        self._history: list[Plateau] = []

    @property
    def has_begun(self) -> bool:
        """Whether there is a plateau to tell of."""
        return bool(self._history)

    def until_answered(self) -> bool:
        """Run what the search proposes until it has its answer; whether somebody stopped it before."""
        from doorbuster.capacity.load_step import Proposal, judge_plateau
        from doorbuster.capacity.search import next_step

        try:
            while isinstance(step := next_step(self._history, self._settings), Proposal):
                measured = self._with_view(step)
                self._history.append(judge_plateau(measured))
                self.record(finished=False)
                self._tell_plateau(self._history[-1])
        except KeyboardInterrupt:
            return True
        return False

    def record(self, *, finished: bool) -> SearchResult:
        """Write what is known now."""
        from doorbuster.capacity.search import answer_so_far
        from doorbuster.cli.capacity_answer import result_of

        found = answer_so_far(self._history, self._settings)
        folders = [
            self._runner.folder_of(plateau.measured.proposal, number)
            for number, plateau in enumerate(self._history, start=1)
        ]
        result = result_of(self._runner.plan, found, self._history, folders, finished=finished)
        result.write(self._runner.folder)
        return result

    def _with_view(self, step: Proposal) -> Measured:
        from rich.console import Console
        from rich.live import Live

        console, number = Console(stderr=True), len(self._history) + 1
        if self._quiet or not console.is_terminal:
            return self._runner.run(step, number, lambda _: None)
        with Live(self._bracket(step, ""), console=console, transient=True, refresh_per_second=4) as live:
            return self._runner.run(step, number, lambda text: live.update(self._bracket(step, text)))

    def _bracket(self, step: Proposal, progress: str) -> str:
        return f"{self._known()}  now {step.kind} at {step.rate_per_s:.4g}/s ({step.why}) {progress}"

    def _known(self) -> str:
        """The bracket so far, such as "holds 20/s, breaks 40/s"."""
        from doorbuster.capacity.evidence import Standing

        known = Standing.of(self._history)
        under, over = known.under, known.over
        parts = [
            f"holds {under.rate_per_s:.4g}/s" if under else "",
            f"breaks {over.rate_per_s:.4g}/s" if over else "",
        ]
        return ", ".join(part for part in parts if part) or "nothing known yet"

    def _tell_plateau(self, plateau: Plateau) -> None:
        if not self._quiet:
            sign = {"pass": "✓", "fail": "✗", "unsure": "?", "invalid": "!"}[plateau.status]
            click.echo(f"{sign} {plateau.rate_per_s:8.4g}/s  {plateau.kind:<13} {plateau.why}", err=True)
            click.secho(f"  {self._known()}", dim=True, err=True)


def _conclude(folder: Path, result: SearchResult) -> None:
    """The answer, and its report: that of the run at the highest rate that held, with the search on top."""
    from doorbuster.capacity.answer import MEANINGS

    if result.plateaus:
        limit = result.rate_per_s or 0.0
        usable = [plateau for plateau in result.plateaus if plateau.status != "invalid"] or list(
            result.plateaus
        )
        below = [plateau for plateau in usable if plateau.rate_per_s <= limit]
        shown = max(below, key=lambda p: (p.rate_per_s, p.seconds)) if below else usable[0]
        write_report(folder, folder / shown.run)
    click.echo()
    click.secho(result.sentence, bold=True)
    if not result.finished:
        click.echo("  - The search was interrupted: this is what was known by then.")
    for flag in result.flags:
        if flag in MEANINGS:
            click.echo(f"  - {MEANINGS[flag]}")
    click.echo(f"took:    {result.elapsed_s:.0f} s, {len(result.plateaus)} plateaus")
    if result.plateaus:
        click.echo(f"report:  {folder / 'index.html'}")


def write_report(folder: Path, run_folder: Path) -> None:
    """The report of one of its runs in the folder above them, with what they say together on top."""
    from doorbuster.cli.pipeline import recorded_scenario, write_everything
    from doorbuster.records.reader import Run

    shutil.copyfile(run_folder / "run.sqlite", folder / "run.sqlite")
    with Run.open(folder) as run:
        scenario = recorded_scenario(run)
    write_everything(folder, scenario).tell_failed_scripts()


def tell_section(folder: Path, name: str) -> None:
    """One section in the terminal, and where the report is."""
    from doorbuster.cli.pipeline import analysis_scripts
    from doorbuster.records.reader import Run
    from doorbuster.report import analyse_run, print_section

    with Run.open(folder) as run:
        analysed = analyse_run(run, [path for path in analysis_scripts() if path.stem == name])
    for section in analysed.sections:
        print_section(section)
    click.echo(f"report:  {folder / 'index.html'}")
