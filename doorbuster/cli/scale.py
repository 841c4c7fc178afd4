"""`doorbuster scale`: capacities of one shop at different sizes, as one curve."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from doorbuster.capacity.search_result import SearchResult
    from doorbuster.records.reader import Run


@click.command("scale")
@click.argument("results", nargs=-1, required=True, metavar="SIZE=RESULT...")
@click.option(
    "--out",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the report, new or empty. Default: reports/<time>-<scenario>.",
)
def command(results: tuple[str, ...], out: Path | None) -> int:
    """Show how the capacity of a shop grows with its size, and how many of it the peak needs.

    Each RESULT is the folder of a `doorbuster capacity`, SIZE how many instances or workers the shop had.
    Without SIZE= it is the `workers` of the embedded shop. Six sizes are needed for a law of growth.

    \b
    Example: doorbuster scale 1=reports/one 2=reports/two 4=reports/four
    """
    from doorbuster.capacity.scaling_result import ScalingPoint, ScalingResult
    from doorbuster.cli.capacity import tell_section, write_report
    from doorbuster.cli.pipeline import new_run_folder, recorded_scenario
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run

    found = [read_result(text) for text in results]
    sizes = [size for size, _, _ in found]
    if len(set(sizes)) < 2:
        raise UsageError(
            f"needs results of at least two sizes (got {', '.join(f'{size:g}' for size in sizes)})"
        )
    found.sort(key=lambda item: item[0])
    largest = found[-1]
    with Run.open(largest[1]) as run:
        for _, source, _ in found[:-1]:
            _refuse_others(run, source, largest[1])
        folder = new_run_folder(out, recorded_scenario(run))
    points = tuple(
        ScalingPoint(
            size, search.rate_per_s or 0.0, search.low, search.high, None, search.elapsed_s, source.name
        )
        for size, source, search in found
    )
    last = largest[2]
    ScalingResult(
        "sizes", last.title, "", finished=True, demand_per_s=last.demand_per_s,
        demand_low_per_s=last.demand_low_per_s, demand_high_per_s=last.demand_high_per_s, points=points,
    ).write(folder)  # fmt: skip
    shutil.copyfile(largest[1] / "capacity.json", folder / "capacity.json")
    write_report(folder, largest[1])
    tell_section(folder, "scalability")
    return 0


def _refuse_others(run: Run, source: Path, largest: Path) -> None:
    """Only the shop may differ between the results of one curve."""
    from doorbuster.capacity.plateau_scenario import same_customers
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run

    with Run.open(source) as other:
        if not same_customers(run.meta.scenario_text, other.meta.scenario_text):
            raise UsageError(
                f"{source} sent other customers than {largest}, or had other promises to keep: no curve; "
                "between the searches change only the shop"
            )


def read_result(text: str) -> tuple[float, Path, SearchResult]:
    """Size, folder and answer of one SIZE=RESULT.

    Raises: UsageError when there is no answer in it, or nobody knows the size.
    """
    from doorbuster.capacity.search_result import find_search
    from doorbuster.errors import UsageError

    before, _, after = text.rpartition("=")
    stated = before if before.replace(".", "", 1).isdigit() else ""
    folder = Path(after if stated else text)
    search = find_search(folder / "run.sqlite") if (folder / "capacity.json").is_file() else None
    if search is None:
        raise UsageError(f"{folder}: is no folder of a `doorbuster capacity`")
    if search.rate_per_s is None or search.at_least:
        raise UsageError(f"{folder}: the shop's limit is not in it: {search.sentence}")
    size = float(stated) if stated else search.size
    if size is None:
        raise UsageError(f"{folder}: of unknown size; write it in front, such as 4={folder}")
    if size <= 0:
        raise UsageError(f"{text}: the size must be above 0")
    return size, folder, search
