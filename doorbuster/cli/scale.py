"""`doorbuster scale`: the capacity of a shop as a function of its size."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import out_option

if TYPE_CHECKING:
    from doorbuster.capacity.result_file import SearchResult
    from doorbuster.records.reader import Run


@click.command("scale")
@click.argument("results", nargs=-1, required=True, metavar="SIZE=RESULT...")
@out_option("the report")
def command(results: tuple[str, ...], out: Path | None) -> int:
    """Show how the capacity of a shop grows with its size, and what size the expected peak needs.

    RESULT is a folder created by `doorbuster capacity`; SIZE is the number of instances or workers of the
    shop. Default of SIZE: the workers of the embedded shop. A scaling law needs at least six sizes.

    \b
    Example: doorbuster scale 1=reports/one 2=reports/two 4=reports/four
    """
    from doorbuster.capacity.result_file import ScalingPoint, ScalingResult
    from doorbuster.cli.run_workflow import (
        new_run_folder,
        require_customer_scenario,
        show_section,
        write_combined_report,
    )
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run

    found = [read_result(text) for text in results]
    sizes = [size for size, _, _ in found]
    if len(set(sizes)) < 2:
        raise UsageError(
            f"at least two different sizes are needed (got {', '.join(f'{size:g}' for size in sizes)})"
        )
    found.sort(key=lambda item: item[0])
    largest = found[-1]
    with Run.open(largest[1]) as run:
        for _, source, _ in found[:-1]:
            _require_same_customers(run, source, largest[1])
        folder = new_run_folder(out, require_customer_scenario(run).name)
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
    write_combined_report(folder, largest[1])
    show_section(folder, "scalability")
    return 0


def _require_same_customers(run: Run, source: Path, largest: Path) -> None:
    """Only the shop may differ between the results of one curve."""
    from doorbuster.capacity.load_step_scenario import same_customers
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run

    with Run.open(source) as other:
        if not same_customers(run.meta.scenario_text, other.meta.scenario_text):
            raise UsageError(
                f"{source} and {largest} have different customers or thresholds; "
                "change only the shop between the searches"
            )


def read_result(text: str) -> tuple[float, Path, SearchResult]:
    """Size, folder and answer of one SIZE=RESULT.

    Raises: UsageError when the folder has no capacity or the size is unknown.
    """
    from doorbuster.capacity.result_file import find_search
    from doorbuster.errors import UsageError

    before, _, after = text.rpartition("=")
    stated = before if before.replace(".", "", 1).isdigit() else ""
    folder = Path(after if stated else text)
    search = find_search(folder / "run.sqlite") if (folder / "capacity.json").is_file() else None
    if search is None:
        size_rule = "; SIZE must be a number, such as 4" if before and not stated else ""
        raise UsageError(f"{folder} was not created by `doorbuster capacity`{size_rule}")
    if search.rate_per_s is None or search.at_least:
        raise UsageError(f"{folder}: the search did not reach the limit of the shop: {search.sentence}")
    size = float(stated) if stated else search.size
    if size is None:
        raise UsageError(f"{folder}: size unknown; state it, e.g. 4={folder}")
    if size <= 0:
        raise UsageError(f"{text}: the size must be above 0")
    return size, folder, search
