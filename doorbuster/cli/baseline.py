"""`doorbuster baseline`: accept good runs, with which later ones are compared."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from doorbuster.cli.options import SubcommandGroup, WholeNumber
from doorbuster.cli.stores import baselines_option
from doorbuster.output import one_line, say


@click.group("baseline", cls=SubcommandGroup)
def command() -> None:
    """Accept good runs as a baseline, with which relative thresholds compare later ones.

    \b
    Example: doorbuster baseline accept reports/nightly --name main
             doorbuster run smoke --baseline main
    """


@command.command("accept")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", default="main", show_default=True, metavar="NAME", help="Name of the baseline.")
@baselines_option
@click.option(
    "--keep",
    default=10,
    show_default=True,
    type=WholeNumber(min=1),
    metavar="N",
    help="Keep only the newest N runs of the baseline.",
)
@click.option("--replace", is_flag=True, help="Remove the earlier runs of the baseline first.")
@click.option(
    "--despite",
    default="",
    metavar="REASON",
    help="Accept a run that failed, whose generator was overloaded, or that differs from the others.",
)
def accept(runs: tuple[Path, ...], name: str, store: Path, keep: int, replace: bool, despite: str) -> int:
    """Copy RUNS, run folders or folders of them, into a baseline. Accepting a run again changes nothing.

    \b
    Example: doorbuster baseline accept reports/20261129-smoke
    """
    from doorbuster.compare.baseline_store import accept as accept_runs
    from doorbuster.compare.baseline_store import accepted_runs, keep_newest
    from doorbuster.compare.load import find_runs

    files = find_runs(runs)
    if not despite:
        _check_verdicts(files)
    new = accept_runs(store, name, files, replace=replace, despite=despite)
    dropped = keep_newest(store, name, keep)
    total = len(accepted_runs(store, name))
    old = f", {dropped} older removed" if dropped else ""
    say(f"baseline {name}: {new} of {len(files)} runs accepted{old}; it has {total} now, in {store / name}")
    return 0


def _check_verdicts(files: tuple[Path, ...]) -> None:
    """Refuse runs that failed a threshold: a baseline of bad runs hides the next bad one."""
    from doorbuster.cli.progress import each
    from doorbuster.cli.run_workflow import recorded_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.gate import judge
    from doorbuster.records.reader import Run

    problems = []
    for file in each("judging the runs", files):
        with Run.open(file) as run:
            stated = [one for one in recorded_run_scenario(run).thresholds if not one.relative]
            plain = [one for one in stated if "." not in one.metric]
            problems += [
                f"{file.parent}: {result.threshold}: {result.status}: {result.sentence}"
                for result in judge(run, (), plain)
                if result.status == "fail"
            ]
    if problems:
        raise UsageError("\n".join([*problems, "accept it anyway with --despite REASON"]))


@command.command("list")
@baselines_option
def list_(store: Path) -> int:
    """List all baselines with their runs.

    \b
    Example: doorbuster baseline list
    """
    from doorbuster.compare.baseline_store import accepted_runs, baseline_names

    names = baseline_names(store)
    if not names:
        say(f"{store}: no baselines; accept a good run with `doorbuster baseline accept RUN`")
    for name in names:
        say(name)
        for run in accepted_runs(store, name):
            moment = datetime.fromtimestamp(run.started_at_unix_ns / 1e9, UTC)
            commit = one_line(run.git_commit, 12) or "no commit"
            say(f"  {run.folder.name}  {moment:%Y-%m-%d %H:%M} UTC  {commit:<12}  {one_line(run.title)}")
    return 0


@command.command("remove")
@click.argument("name")
@click.argument("run", default="")
@baselines_option
def remove_(name: str, run: str, store: Path) -> int:
    """Remove the baseline NAME, or only its RUN (the start of its folder's name or run id).

    \b
    Example: doorbuster baseline remove main 3f9a
    """
    from doorbuster.compare.baseline_store import remove
    from doorbuster.units import format_counted

    removed = remove(store, name, run)
    say(f"baseline {name}: {format_counted(removed, 'run')} removed")
    return 0
