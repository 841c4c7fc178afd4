"""`doorbuster history`: keep the metrics of many runs, and show when they changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbuster.cli.options import Day, Number, SubcommandGroup, WholeNumber
from doorbuster.cli.progress import each
from doorbuster.cli.stores import history_option
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.history.sections import TimelineReport
    from doorbuster.history.store import History
    from doorbuster.history.timeline import ChangeSettings
    from doorbuster.report import Section

_MOST_TIMELINES = 12


def _decorated(command: Callable[..., Any], *options: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


def _selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose runs and metrics."""
    return _decorated(
        command,
        click.option(
            "--scenario", default=None, metavar="NAME", help="Only runs of this scenario, e.g. smoke."
        ),
        click.option("--branch", default=None, metavar="NAME", help="Only runs of this branch, e.g. main."),
        click.option(
            "--last",
            default=1000,
            show_default=True,
            type=WholeNumber(min=1),
            metavar="N",
            help="Only the last N runs of each timeline.",
        ),
        click.option(
            "--all",
            "everything",
            is_flag=True,
            help="All metrics. Default: those with a threshold, can_order, can_browse, failed requests "
            "and p95.",
        ),
    )


def _changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that decide what counts as a change."""
    return _decorated(
        command,
        click.option(
            "--min-change",
            default=5.0,
            show_default=True,
            type=Number(0, 1000),
            metavar="PERCENT",
            help="Smallest change that matters, in percent; for shares, a fifth of it in percentage points.",
        ),
        click.option(
            "--max-p",
            default=0.001,
            show_default=True,
            type=Number(0, 1, min_open=True, max_open=True),
            metavar="P",
            help="Significance level: a change needs a p value below it.",
        ),
        click.option(
            "--window",
            default=50,
            show_default=True,
            type=WholeNumber(min=2),
            metavar="N",
            help="Runs in the sliding window that is searched for changes.",
        ),
        click.option(
            "--as-otava",
            is_flag=True,
            help="Find the changes that Apache Otava finds, without allowing for autocorrelation and for "
            "the number of runs and metrics.",
        ),
    )


@click.group("history", cls=SubcommandGroup)
def command() -> None:
    """Keep the metrics of many runs in one file, and show when they changed and between which commits.

    \b
    Example: doorbuster history add reports/sample
             doorbuster history show
    """


@command.command("add")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@history_option
@click.option(
    "--branch", default=None, metavar="NAME", help="Branch of the runs. Default: the pipeline's, or git's."
)
@click.option("--commit", default="", metavar="SHA", help="Commit of the shop. Default: as recorded.")
@click.option(
    "--target-name",
    "target",
    default="",
    metavar="NAME",
    help="Name of the target, e.g. staging, where its address changes. Default: its address.",
)
def add(runs: tuple[Path, ...], file: Path, branch: str | None, commit: str, target: str) -> int:
    """Add RUNS: run folders, or folders that hold some. Adding a run again changes nothing.

    \b
    Example: doorbuster history add reports/sample --branch main
    """
    from doorbuster.history.entry import EntryLabels, run_files
    from doorbuster.history.identity import current_branch
    from doorbuster.history.store import History

    files = run_files(runs)
    labels = EntryLabels(current_branch() if branch is None else branch, commit, target)
    added = 0
    with History.open(file, create=True) as history:
        for path in each("adding runs", files):
            added += _add(history, path, labels)
    say(f"{file}: {added} of {len(files)} runs added" + _known(len(files) - added))
    return 0


def _known(count: int) -> str:
    return f", {count} known before" if count else ""


def _add(history: History, path: Path, labels: Any) -> bool:
    from doorbuster.cli.run_workflow import recorded_run_scenario
    from doorbuster.cli.section_scripts import analyse_sections
    from doorbuster.history.entry import history_entry
    from doorbuster.records.reader import Run

    with Run.open(path) as run:
        if history.has(run.meta.run_id):
            return False
        thresholds = recorded_run_scenario(run).thresholds
        wanted = {threshold.metric.partition(".")[0] for threshold in thresholds if "." in threshold.metric}
        sections = analyse_sections(run, frozenset(wanted)) if wanted else ()
        entry = history_entry(run, thresholds, labels, sections)
    if entry.run.unusable:
        say(f"{path}: added, but its values do not count: {entry.run.unusable}", error=True)
    return history.add(entry.key, entry.run, entry.samples)


@command.command("show")
@click.argument("metrics", nargs=-1)
@history_option
@_selection
@_changes
def show(metrics: tuple[str, ...], file: Path, **selection: Any) -> int:
    """Show the timelines of METRICS, such as "http_req_duration p(95)", with their changes.

    \b
    Example: doorbuster history show "http_req_duration p(95)" --branch main
    """
    from doorbuster.report import print_section

    for section in _sections(file, metrics, selection, figures=len(metrics)):
        print_section(section)
    return 0


@command.command("report")
@history_option
@_selection
@_changes
@click.option(
    "--out",
    default=Path("history.html"),
    show_default=True,
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The page to write.",
)
@click.option(
    "--peak-date",
    "peak",
    default=None,
    type=Day(),
    metavar="DATE",
    help="Day of the peak, e.g. 2026-11-27, for the trend of the headroom.",
)
def report(file: Path, out: Path, peak: datetime | None, **selection: Any) -> int:
    """Write the timelines as a self-contained page.

    \b
    Example: doorbuster history report --peak-date 2026-11-27
    """
    from doorbuster.history.sections import MAX_FIGURES, METHOD
    from doorbuster.report.render.sections_page import render_sections_page
    from doorbuster.report.write import write_files

    sections = _sections(file, (), selection, figures=MAX_FIGURES, peak=peak)
    page = render_sections_page(
        "History of the shop's runs", sections[0].sentence, sections, notes=METHOD, source=str(file)
    )
    write_files(out.parent, {out.name: page})
    say(f"report:  {out}")
    return 0


@command.command("annotate")
@click.argument("commit")
@click.argument("text")
@history_option
def annotate(commit: str, text: str, file: Path) -> int:
    """Attach a note, such as "new search index", to a COMMIT; changes at this commit show it.

    \b
    Example: doorbuster history annotate 6fa6b1620b3e "new search index"
    """
    from doorbuster.history.store import History

    with History.open(file) as history:
        say(f"{file}: note added to commit {history.annotate(commit, text)}")
    return 0


@command.command("merge")
@click.argument("others", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@history_option
def merge(others: tuple[Path, ...], file: Path) -> int:
    """Add the runs and notes of OTHERS, e.g. the history of another machine. Known runs stay as they are.

    \b
    Example: doorbuster history merge nightly.sqlite
    """
    from doorbuster.history.store import History

    with History.open(file, create=True) as history:
        for path in each("merging", others):
            with History.open(path) as other:
                say(f"{path}: {history.merge(other)} runs added")
    return 0


@command.command("prune")
@history_option
@click.option(
    "--keep",
    default=None,
    type=WholeNumber(min=1),
    metavar="N",
    help="Keep only the newest N runs of each timeline.",
)
@click.option(
    "--before", default=None, type=Day(), metavar="DATE", help="Remove runs started before this day."
)
def prune(file: Path, keep: int | None, before: datetime | None) -> int:
    """Remove old runs from the history. Their run files stay.

    \b
    Example: doorbuster history prune --keep 500
    """
    from doorbuster.errors import UsageError
    from doorbuster.history.store import History

    if keep is None and before is None:
        raise UsageError("say which runs to remove: --keep N or --before DATE")
    until = None if before is None else int(before.timestamp() * 1e9)
    with History.open(file) as history:
        say(f"{file}: {history.prune(keep=keep, before_unix_ns=until)} runs removed")
    return 0


@command.command("export")
@history_option
@_selection
@click.option(
    "--out",
    default=Path("otava"),
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for history.csv and otava.yaml.",
)
def export(file: Path, out: Path, **selection: Any) -> int:
    """Write the largest timeline as CSV, and a configuration with which Apache Otava analyses it.

    \b
    Example: doorbuster history export --branch main --all
    """
    from doorbuster.history.otava_csv import CONFIG_FILE, CSV_FILE, otava_config, otava_csv
    from doorbuster.history.store import History
    from doorbuster.report.write import write_files
    from doorbuster.units import format_counted

    with History.open(file) as history:
        key = _keys(history, selection)[0]
        runs = history.runs(key, last=selection["last"])
        metrics = tuple(history.values(key, headlines=not selection["everything"], last=selection["last"]))
    config = otava_config(metrics, test="doorbuster", file=str((out / CSV_FILE).resolve()))
    write_files(out, {CSV_FILE: otava_csv(runs, metrics), CONFIG_FILE: config})
    say(f"{format_counted(len(runs), 'run')} and {format_counted(len(metrics), 'metric')}: {out / CSV_FILE}")
    say(f"next:    OTAVA_CONFIG={out / CONFIG_FILE} otava analyze doorbuster")
    return 0


def _sections(
    file: Path, metrics: tuple[str, ...], selection: dict[str, Any], *, figures: int,
    peak: datetime | None = None,
) -> list[Section]:  # fmt: skip
    """One section per timeline, the largest first."""
    from doorbuster.history.sections import timeline_section
    from doorbuster.history.store import History

    with History.open(file) as history:
        _check_metrics(history, metrics)
        keys = _keys(history, selection)
        found = [_timeline(history, key, metrics, selection, peak) for key in keys[:_MOST_TIMELINES]]
    if len(keys) > _MOST_TIMELINES:
        say(f"{len(keys) - _MOST_TIMELINES} smaller timelines are left out; choose with --branch", error=True)
    return [timeline_section(one, figures=figures) for one in found]


def _timeline(
    history: History, key: Any, metrics: tuple[str, ...], selection: dict[str, Any], peak: datetime | None
) -> TimelineReport:
    from dataclasses import replace

    from doorbuster.history.sections import TimelineReport
    from doorbuster.history.timeline import metric_timeline

    runs = history.runs(key, last=selection["last"])
    headlines = not (metrics or selection["everything"])
    together = len(metrics) or sum(of.headline or not headlines for of in history.metrics())
    settings = replace(_settings(selection), series_together=max(1, together))
    return TimelineReport(
        key,
        runs,
        tuple(
            metric_timeline(values, runs, settings)
            for values in each(
                "finding changes",
                history.values(key, metrics=metrics, headlines=headlines, last=selection["last"]),
            )
        ),
        history.notes(),
        None if peak is None else peak.date(),
        history.timelines()[key],
    )


def _settings(selection: dict[str, Any]) -> ChangeSettings:
    from doorbuster.compare.metric_comparison import Tolerance
    from doorbuster.history.timeline import ChangeSettings

    least = selection["min_change"] / 100
    return ChangeSettings(
        selection["window"], selection["max_p"], Tolerance(least, least / 5), selection["as_otava"]
    )


def _keys(history: History, selection: dict[str, Any]) -> list[Any]:
    """The timelines of the chosen scenario and branch, the largest first."""
    from doorbuster.errors import UsageError

    keys = list(history.timelines())
    for name, found in (
        ("scenario", [key.scenario.split()[0] for key in keys]),
        ("branch", [key.branch for key in keys]),
    ):
        if selection[name] is not None and selection[name] not in found:
            known = ", ".join(sorted(set(found))) or "none"
            raise UsageError(f"the history has no {name} {selection[name]!r}; it has {known}")
    kept = [
        key
        for key in keys
        if selection["scenario"] in (None, key.scenario.split()[0])
        and selection["branch"] in (None, key.branch)
    ]
    if not kept:
        raise UsageError("the history has no such runs; add some with `doorbuster history add RUN`")
    return kept


def _check_metrics(history: History, metrics: tuple[str, ...]) -> None:
    from difflib import get_close_matches

    from doorbuster.errors import UsageError

    known = [metric.key for metric in history.metrics()]
    for name in metrics:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.3)
            raise UsageError(f"the history has no metric {name!r}; similar: {', '.join(near) or 'none'}")
