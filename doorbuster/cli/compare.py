"""`doorbuster compare`: is one build slower, less reliable or the same as another?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from doorbuster.gate import HasMetrics
    from doorbuster.records.reader import Run

_AFTER = "doorbuster.after_dashes"


class CompareCommand(click.Command):
    """Keeps the arguments after "--" apart: they are the candidate's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_AFTER] = tuple(args[at + 1 :]) if at < len(args) else None
        return super().parse_args(ctx, args[:at])


@click.command("compare", cls=CompareCommand)
@click.argument("baseline", nargs=-1, type=click.Path(path_type=Path))
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
@click.option("--paired", is_flag=True, help="Runs of both builds with the same position were made together.")
@click.option(
    "--despite",
    default="",
    metavar="REASON",
    help="Compare runs although they differ in more than the build; the reason is recorded.",
)
@click.option(
    "--out",
    default=Path("comparison"),
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for compare.html, compare.md and compare.json.",
)
@click.option(
    "--all-metrics", is_flag=True, help="Print every metric, not only those that changed or decide."
)
@click.option(
    "--regression-exit-code",
    default=None,
    type=click.IntRange(1, 255),
    metavar="N",
    help="Exit code when a gating metric is worse, e.g. 1. Default: 95.",
)
@click.option(
    "--inconclusive-exit-code",
    default=None,
    type=click.IntRange(0, 255),
    metavar="N",
    help="Exit code when a gating metric cannot be told, e.g. 0. Default: 96.",
)
@click.pass_context
def command(
    ctx: click.Context,
    baseline: tuple[Path, ...],
    tolerance: str,
    rate_tolerance: str,
    gates: tuple[str, ...],
    paired: bool,
    despite: str,
    out: Path,
    all_metrics: bool,
    regression_exit_code: int | None,
    inconclusive_exit_code: int | None,
) -> int:
    """Compare the runs of a candidate build with those of a baseline, metric by metric.

    BASELINE are run folders, or folders of run folders; those of the candidate follow "--". With one run of
    each, "--" may be left out.

    \b
    Example: doorbuster compare reports/old-1 reports/old-2 reports/old-3 -- reports/new-1 reports/new-2
             doorbuster compare reports/main -- reports/branch --tolerance 3%
    """
    from doorbuster.compare.gating import GateChoice
    from doorbuster.compare.load import check_distinct, compare_recorded, find_runs
    from doorbuster.compare.metric_comparison import Tolerance
    from doorbuster.compare.render.terminal import print_comparison
    from doorbuster.compare.render.write import write_comparison
    from doorbuster.errors import ExitCode

    old, new = _arms(baseline, ctx.meta[_AFTER])
    runs = find_runs(old), find_runs(new)
    check_distinct(*runs)
    allowed = Tolerance(_share("--tolerance", tolerance), _share("--rate-tolerance", rate_tolerance))
    comparison = compare_recorded(
        *runs,
        gates=GateChoice.parse(gates),
        tolerance=allowed,
        paired=paired,
        despite=despite,
        analyse=_sections,
    )
    print_comparison(comparison, every=all_metrics)
    for path in write_comparison(comparison, runs, out, tolerance=allowed):
        click.echo(f"{path.suffix[1:]:<5} {path}")
    codes = {ExitCode.REGRESSION: regression_exit_code, ExitCode.INCONCLUSIVE: inconclusive_exit_code}
    mapped = codes.get(comparison.exit_code)
    return int(comparison.exit_code) if mapped is None else mapped


def _arms(
    before: tuple[Path, ...], after: tuple[str, ...] | None
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Baseline and candidate paths."""
    from doorbuster.errors import UsageError

    if after is None and len(before) == 2:
        return before[:1], before[1:]
    if not before or not after:
        raise UsageError(
            "name the runs of both builds with -- between them: doorbuster compare OLD... -- NEW..."
        )
    options = [text for text in after if text.startswith("-")]
    if options:
        raise UsageError(f"{options[0]} stands after --, where only run folders may stand; move it before --")
    return before, tuple(map(Path, after))


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


def _sections(run: Run, names: frozenset[str]) -> Sequence[HasMetrics]:
    from doorbuster.cli.run_workflow import analysis_scripts
    from doorbuster.report import analyse_run

    return analyse_run(run, [path for path in analysis_scripts() if path.stem in names]).sections
