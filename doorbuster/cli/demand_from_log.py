"""`doorbuster demand from-log`: a scenario from access logs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from doorbuster.cli.options import WholeNumber
from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.access_logs import DemandModel

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

_OPTIONS = (
    click.option(
        "--map",
        "map_file",
        metavar="FILE",
        type=_FILE,
        help="YAML file that maps addresses to kinds of pages, or the columns of a log. Default: none.",
    ),
    click.option(
        "--zone",
        metavar="NAME",
        help="Time zone of times without one, e.g. Europe/London. Default: refuse logs with such times.",
    ),
    click.option(
        "--gap",
        default="30m",
        show_default=True,
        metavar="TIME",
        help="Pause that ends a visit.",
    ),
    click.option(
        "--window",
        metavar="TIME",
        help="Length of the busiest window of the log, e.g. 2h. Default: 1h for a new scenario, else the "
        "scenario's duration; all of a shorter log.",
    ),
    click.option(
        "--unsorted",
        is_flag=True,
        help="Accept lines in any order. Default: refuse a log whose clock goes back by more than 15 min.",
    ),
    click.option(
        "--processes",
        default=0,
        show_default=True,
        type=WholeNumber(0, 64),
        metavar="N",
        help="Processes that read large logs; 0 for one per core, at most 4.",
    ),
)


def log_options(command: Command) -> Command:
    """The options of commands that read access logs."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command("from-log", short_help="Turn access logs into a scenario.")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--name",
    default="from-log",
    show_default=True,
    metavar="NAME",
    help="Name of the scenario: scenarios/NAME.yaml, and reports/NAME-demand/ for the page.",
)
@click.option("--replace", is_flag=True, help="Replace a scenario of this name. Default: refuse.")
@log_options
def from_log(files: tuple[Path, ...], name: str, replace: bool, **reading: Any) -> int:
    """Write a scenario with the demand that FILES, access logs of one shop, show.

    Files may be compressed (gzip, zstd) and in any order; their format is detected. Also writes a page of
    what was found, the kinds of pages as a file to edit and pass with --map, and visits by minute as CSV.

    \b
    Example: doorbuster demand from-log access.log --name last-christmas
    """
    from doorbuster.access_logs import minutes_text, pages_text, scenario_text
    from doorbuster.cli.program_name import program_name
    from doorbuster.errors import UsageError
    from doorbuster.scenario import read_scenario

    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--name: must be lower-case letters, digits, - and _, e.g. last-christmas (got {name})"
        )
    scenario, folder = Path("scenarios") / f"{name}.yaml", Path("reports") / f"{name}-demand"
    if scenario.exists() and not replace:
        raise UsageError(f"{scenario}: exists; choose another --name, or add --replace")
    model = read_model(files, reading)
    text = scenario_text(model, name)
    read_scenario(text, file=str(scenario))
    write_texts(
        {
            scenario: text,
            folder / "pages.yaml": pages_text(model),
            folder / "minutes.csv": minutes_text(model),
            folder / "index.html": _page(model),
        }
    )
    _print(model)
    say(f"scenario: {scenario}")
    say(f"page:     {folder / 'index.html'}")
    say(f"kinds of pages: {folder / 'pages.yaml'}; correct them and pass the file with --map")
    say(f"next:     {program_name()} check {scenario}")
    return 0


def read_model(files: tuple[Path, ...], reading: dict[str, Any]) -> DemandModel:
    """The demand in these files, with the options of `log_options`; shows how far reading is."""
    from doorbuster.access_logs import LogMap, LogOptions, model_demand, read_log_map
    from doorbuster.cli.progress import progress
    from doorbuster.importers import find_zone

    log_map = read_log_map(reading["map_file"]) if reading["map_file"] else LogMap()
    zone = reading["zone"] or log_map.zone
    options = LogOptions(
        log_map, find_zone(zone) if zone else None, reading["processes"], reading["unsorted"]
    )
    with progress("reading", sum(path.stat().st_size for path in files), in_bytes=True) as advance:
        return model_demand(
            files,
            options,
            gap_s=_duration_s("--gap", reading["gap"], 1.0, 86_400.0),
            window_s=_duration_s("--window", reading["window"] or "1h", 1.0, 14 * 86_400.0),
            on_progress=advance,
        )


def write_texts(texts: dict[Path, str]) -> None:
    """Write all files, or none of them if one cannot be written."""
    from doorbuster.errors import UsageError

    drafts = {path: path.with_name(f".{path.name}.draft") for path in texts}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            drafts[path].write_text(text, encoding="utf-8")
        for path, draft in drafts.items():
            draft.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error
    finally:
        for draft in drafts.values():
            draft.unlink(missing_ok=True)


def _duration_s(option: str, text: str, low_s: float, high_s: float) -> float:
    from doorbuster.errors import UsageError
    from doorbuster.units import format_duration, parse_duration_s

    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error
    if not low_s <= seconds <= high_s:
        raise UsageError(
            f"{option} must be {format_duration(low_s)} to {format_duration(high_s)} (got {text})"
        )
    return seconds


def _page(model: DemandModel) -> str:
    from doorbuster.access_logs import demand_sections, method_notes
    from doorbuster.report.render.sections_page import render_sections_page

    sections = demand_sections(model)
    return render_sections_page(
        "Demand in an access log",
        sections[0].sentence,
        sections,
        notes=method_notes(model),
        source=", ".join(model.files),
    )


def _print(model: DemandModel) -> None:
    from doorbuster.access_logs import demand_sections
    from doorbuster.units import format_count, format_counted

    counts = model.counts
    unreadable = f", {format_counted(counts.unreadable, 'line')} not read" if counts.unreadable else ""
    say(f"{model.form.description}: {format_count(counts.requests)} requests{unreadable}")
    for note in model.notes:
        say(f"  - {note}")
    for section in demand_sections(model):
        say(f"  - {section.sentence}")
