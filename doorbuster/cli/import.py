"""`doorbuster import`: results of other load generators as a run."""  # noqa: N999 -- the verb's name

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.output import say

if TYPE_CHECKING:
    from doorbuster.scenario import LocustScenario

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--as",
    "form",
    default="",
    metavar="FORMAT",
    help="Format of the files, e.g. jmeter-csv. Default: detected. All formats: docs/how-to/import.md.",
)
@click.option(
    "--map",
    "map_file",
    default=None,
    metavar="FILE",
    type=_FILE,
    help="YAML file that maps labels to channel, journey and step, or the columns of a table. Default: none.",
)
@click.option(
    "--scenario",
    "scenario_name",
    default=None,
    metavar="SCENARIO",
    help="Evaluate the thresholds of this scenario, e.g. limits.yaml. Default: none, the verdict is "
    "inconclusive.",
)
@click.option(
    "--zone",
    default=None,
    metavar="NAME",
    help="Time zone for times without one, e.g. Europe/London. Default: refuse files with such times.",
)
@click.option(
    "--jtl-time",
    "stamp",
    default="start",
    show_default=True,
    type=click.Choice(["start", "end"]),
    help="What JMeter's timeStamp means: embedded runs may write the end of a sample.",
)
@click.option(
    "--transactions",
    is_flag=True,
    help="Count JMeter's transaction controllers instead of the samples inside them. Default: the samples.",
)
@click.option(
    "--out",
    default=None,
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run, e.g. reports/k6. Default: reports/ with the time and the name of the "
    "first file.",
)
def command(
    files: tuple[Path, ...],
    form: str,
    map_file: Path | None,
    scenario_name: str | None,
    zone: str | None,
    stamp: str,
    transactions: bool,
    out: Path | None,
) -> int:
    """Import FILES, results of k6, JMeter, Gatling, Locust and other load generators, as a run.

    Several files, such as those of several machines, become one run, which can be analysed, judged and
    reported like any other. Exit code: that of the verdict; 2 if a file cannot be read; then nothing is
    written.

    \b
    Example: doorbuster import results.jtl --scenario limits.yaml
    """
    from datetime import datetime

    from doorbuster.cli.progress import progress
    from doorbuster.cli.run_workflow import write_everything
    from doorbuster.importers import ImportOptions, LabelMap, find_zone, import_run, read_label_map
    from doorbuster.units import format_count, format_counted

    options = ImportOptions(
        label_map=read_label_map(map_file) if map_file else LabelMap(),
        stamp="end" if stamp == "end" else "start",
        count_transactions=transactions,
        zone=find_zone(zone) if zone else None,
    )
    scenario = _scenario(scenario_name, files[0].name)
    if map_file is not None and options.label_map.columns and not form:
        form = "table"
    folder = out or Path("reports") / f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{files[0].stem}"
    with progress("reading", sum(path.stat().st_size for path in files), in_bytes=True) as advance:
        info = import_run(
            files,
            folder,
            title=scenario.title,
            name=scenario.name,
            scenario_text=scenario.source_text,
            options=options,
            form=form,
            on_progress=advance,
        )
    n = info.requests or sum(row.n for row in info.summaries)
    rows = format_counted(info.skipped, "row")
    left_out = f", {rows} left out" if info.skipped else ""
    say(f"{info.format}: {format_count(n)} requests{left_out}")
    for note in info.notes:
        say(f"  - {note}")
    judged = write_everything(folder, scenario)
    judged.print_failed_scripts()
    say(judged.verdict.sentence)
    for reason in judged.verdict.reasons:
        say(f"  - {reason}")
    say(f"report:  {folder / 'index.html'}")
    return judged.exit_code


def _scenario(name: str | None, file: str) -> LocustScenario:
    """The scenario with the thresholds; of a customer scenario, those on requests.

    Raises: ScenarioError, UsageError.
    """
    import yaml

    from doorbuster.cli.run_workflow import find_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.scenario import LocustScenario, locust_scenario, read_locust_scenario
    from doorbuster.scenario.locust_scenario import REQUEST_METRICS

    if name is None:
        return locust_scenario(None, title=f"Results of {file}").with_source(Path(file), "")
    found = find_run_scenario(name)
    if isinstance(found, LocustScenario):
        return found
    thresholds = yaml.safe_load(found.source_text).get("thresholds") or {}
    kept = {key: value for key, value in thresholds.items() if key.split("{")[0] in REQUEST_METRICS}
    if not kept:
        raise UsageError(
            f"{name} has no threshold on requests ({', '.join(REQUEST_METRICS)}); results of other tools "
            "hold no customers and orders"
        )
    left_out = [key for key in thresholds if key not in kept]
    if left_out:
        say(f"thresholds on customers and orders cannot be evaluated: {', '.join(left_out)}", error=True)
    text = yaml.safe_dump({"title": found.title, "thresholds": kept}, sort_keys=False, allow_unicode=True)
    return read_locust_scenario(text, file=name).with_source(found.source_path, text)
