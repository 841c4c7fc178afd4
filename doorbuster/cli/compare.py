"""`doorbuster compare`: is one build slower, less reliable or the same as another?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.compare_interleaved import (
    DEFAULT_PAIRS,
    ComparisonSettings,
    InterleavedOptions,
    run_interleaved,
)
from doorbuster.cli.live_page import live_option
from doorbuster.cli.options import (
    DEFAULT_LOCUSTFILE,
    WholeNumber,
    confirm_option,
    refuse_given,
    seed_option,
    workers_option,
)
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.compare.gating import GateChoice
    from doorbuster.compare.metric_comparison import Tolerance

_DASHES = "\N{EM DASH}\N{EM DASH}"  # stands for "--" among the arguments, which click would swallow
_ONLY_WITH_RUN = (
    "a",
    "b",
    "a_a",
    "pairs",
    "budget",
    "rehearsal",
    "seed",
    "locustfile",
    "workers",
    "confirm_hosts",
    "live",
)
DEFAULT_OUT = Path("comparison")


class CompareCommand(click.Command):
    """Lets "--" stand between the arguments of both builds, with options on either side of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*args[:at], *(_DASHES for _ in args[at : at + 1]), *args[at + 1 :]])


@click.command("compare", cls=CompareCommand)
@click.argument("runs", nargs=-1, metavar="BASELINE... -- CANDIDATE...")
@click.option(
    "--tolerance",
    default="5%",
    show_default=True,
    metavar="SHARE",
    help="Change of times and counts that does not matter, e.g. 3%.",
)
@click.option(
    "--rate-tolerance",
    default="1%",
    show_default=True,
    metavar="POINTS",
    help="Change of shares that does not matter, in percentage points, e.g. 0.5%.",
)
@click.option(
    "--gate",
    "gates",
    multiple=True,
    metavar="METRIC",
    help='Metric that decides the exit code, e.g. "http_req_duration{step:pay} p(95)"; repeatable; "all" '
    "for all. Default: those of the thresholds, can_order, can_browse, failed requests and the p95.",
)
@click.option(
    "--run",
    "scenario",
    metavar="SCENARIO",
    help="Instead of recorded runs: rehearse SCENARIO against --a and --b in turn until it is decided.",
)
@click.option(
    "--a", metavar="TARGET", help="Baseline of --run: a URL, a profile of the embedded shop, or a command."
)
@click.option(
    "--b", metavar="TARGET", help="Candidate of --run: a URL, a profile of the embedded shop, or a command."
)
@click.option("--a-a", is_flag=True, help="With --run: compare --a with itself and print the noise floor.")
@click.option(
    "--pairs",
    default=DEFAULT_PAIRS,
    show_default=True,
    type=WholeNumber(2, 200),
    metavar="N",
    help="With --run: stop after at most N pairs of runs. With --a-a: make exactly N pairs.",
)
@click.option(
    "--budget",
    metavar="TIME",
    help="With --run: time limit for all runs, e.g. 20m; no pair starts that cannot finish. Default: none.",
)
@click.option(
    "--rehearsal",
    metavar="TIME",
    help="With --run: length of each run, at a constant peak rate, e.g. 30s. Default: the scenario's curve.",
)
@seed_option
@click.option(
    "-f",
    "--locustfile",
    metavar="FILE",
    help=f"With --run: locustfile to run. Default: {DEFAULT_LOCUSTFILE}.",
)
@workers_option
@confirm_option
@live_option
@click.option(
    "--paired",
    is_flag=True,
    help="The first baseline run was made together with the first candidate run, and so on.",
)
@click.option(
    "--despite",
    metavar="REASON",
    help="Compare runs although they differ in more than the build; the reason is recorded.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for compare.html, compare.md and compare.json. "
    "Default: comparison, or a new folder in reports with --run.",
)
@click.option("--pdf", is_flag=True, help="Also write compare.pdf; only for recorded runs, not with --run.")
@click.option(
    "--all-metrics", is_flag=True, help="Print every metric, not only those that changed or decide."
)
@click.option(
    "--regression-exit-code",
    default=None,
    type=WholeNumber(1, 255),
    metavar="N",
    help="Exit code when a gating metric is worse, e.g. 1. Default: 95.",
)
@click.option(
    "--inconclusive-exit-code",
    default=None,
    type=WholeNumber(0, 255),
    metavar="N",
    help="Exit code when a gating metric is undecided, e.g. 0. Default: 96.",
)
@click.pass_context
def command(
    ctx: click.Context,
    runs: tuple[str, ...],
    tolerance: str,
    rate_tolerance: str,
    gates: tuple[str, ...],
    scenario: str | None,
    a: str | None,
    b: str | None,
    a_a: bool,
    pairs: int,
    budget: str | None,
    rehearsal: str | None,
    seed: int | None,
    locustfile: str | None,
    workers: int,
    confirm_hosts: tuple[str, ...],
    live: int | None,
    paired: bool,
    despite: str | None,
    out: Path | None,
    pdf: bool,
    all_metrics: bool,
    regression_exit_code: int | None,
    inconclusive_exit_code: int | None,
) -> int:
    """Compare a candidate build with a baseline, metric by metric.

    BASELINE are recorded runs: run folders, or folders of run folders; those of the candidate follow "--".
    With one run of each, "--" may be left out. With --run, both builds are rehearsed in turn.

    \b
    Example: doorbuster compare reports/old-1 reports/old-2 reports/old-3 -- reports/new-1 reports/new-2
             doorbuster compare reports/main -- reports/branch --tolerance 3%
             doorbuster compare --run smoke --a http://127.0.0.1:8001 --b http://127.0.0.1:8002
             doorbuster compare --run smoke --a replatformed --a-a --rehearsal 20s
    """
    from doorbuster.cli.section_scripts import analyse_sections
    from doorbuster.compare.gating import GateChoice
    from doorbuster.compare.metric_comparison import Tolerance
    from doorbuster.errors import ExitCode

    if despite is not None and not despite.strip():
        raise click.UsageError('--despite needs the reason, such as --despite "new runner, same hardware"')
    allowed = Tolerance(_share("--tolerance", tolerance), _share("--rate-tolerance", rate_tolerance))
    chosen = GateChoice.parse(gates)
    if scenario is None:
        refuse_given(ctx, _ONLY_WITH_RUN, "needs --run SCENARIO")
        code = _recorded(
            runs, chosen, allowed, paired, despite or "", out or DEFAULT_OUT, all_metrics, pdf=pdf
        )
    else:
        refuse_given(ctx, ("paired", "despite", "pdf"), "is for recorded runs, without --run")
        if runs:
            raise click.UsageError("--run makes its own runs; leave out the run folders")
        given = InterleavedOptions(
            scenario, a, b, a_a, pairs, budget, rehearsal, seed, locustfile, workers, confirm_hosts, live
        )
        settings = ComparisonSettings(chosen, allowed, analyse_sections, all_metrics)
        code = run_interleaved(given, out, settings)
    mapped = {ExitCode.REGRESSION: regression_exit_code, ExitCode.INCONCLUSIVE: inconclusive_exit_code}
    other = mapped.get(ExitCode(code))
    return code if other is None else other


def _recorded(
    named: tuple[str, ...],
    gates: GateChoice,
    tolerance: Tolerance,
    paired: bool,
    despite: str,
    out: Path,
    all_metrics: bool,
    *,
    pdf: bool,
) -> int:
    """Compare recorded runs; the exit code."""
    from doorbuster.cli.progress import progress
    from doorbuster.cli.section_scripts import analyse_sections
    from doorbuster.compare.load import check_distinct, compare_recorded, find_runs
    from doorbuster.compare.render.terminal import print_comparison
    from doorbuster.compare.render.write import write_comparison

    old, new = _arms(named)
    runs = find_runs(old), find_runs(new)
    check_distinct(*runs)
    if paired and len(runs[0]) != len(runs[1]):
        raise click.UsageError(
            f"--paired needs as many runs of each build (got {len(runs[0])} and {len(runs[1])})"
        )
    with progress("reading the runs", len(runs[0]) + len(runs[1])) as advance:
        comparison = compare_recorded(
            *runs, gates=gates, tolerance=tolerance, paired=paired, despite=despite,
            analyse=analyse_sections, on_read=advance,
        )  # fmt: skip
    print_comparison(comparison, every=all_metrics)
    for path in write_comparison(comparison, runs, out, tolerance=tolerance, pdf=pdf):
        say(f"{path.suffix[1:]:<5} {path}")
    return int(comparison.exit_code)


def _arms(named: tuple[str, ...]) -> tuple[list[Path], list[Path]]:
    """Baseline and candidate paths."""
    from doorbuster.errors import UsageError

    at = named.index(_DASHES) if _DASHES in named else 1 if len(named) == 2 else len(named)
    old, new = named[:at], [name for name in named[at:] if name != _DASHES]
    if not old or not new:
        raise UsageError(
            "name the runs of both builds with -- between them: doorbuster compare OLD... -- NEW..."
        )
    return [Path(name) for name in old], [Path(name) for name in new]


def _share(option: str, text: str) -> float:
    from doorbuster.errors import UsageError
    from doorbuster.units import parse_ratio

    try:
        share = parse_ratio(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error
    if not 0 <= share < 1:
        raise UsageError(f"{option} {text}: must be a share from 0% to below 100%")
    return share
