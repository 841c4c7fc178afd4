"""`doorbuster demand diff`: what a log and a scenario say, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from doorbuster.cli.demand_from_log import log_options, read_model, write_texts
from doorbuster.output import say


@click.command("diff", short_help="Compare access logs with a scenario.")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.argument("scenario")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the comparison as a page. Default: only to the terminal.",
)
@log_options
def diff(files: tuple[Path, ...], scenario: str, html: Path | None, **reading: Any) -> int:
    """Show what FILES, access logs, and SCENARIO, a file or bundled name, say about the demand.

    Every figure of the log has a 95 % interval. Exit code 0, whether or not they agree.

    \b
    Example: doorbuster demand diff access.log scenarios/last-christmas.yaml
    """
    from doorbuster.access_logs import compare_demand, diff_section, scenario_demand
    from doorbuster.cli.run_workflow import find_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.report import print_section
    from doorbuster.report.render.sections_page import render_sections_page
    from doorbuster.scenario import Scenario

    found = find_run_scenario(scenario)
    demand = scenario_demand(found) if isinstance(found, Scenario) else None
    if demand is None:
        raise UsageError(f"{scenario}: has no open channel whose customers visit pages; nothing to compare")
    if reading["window"] is None:
        reading["window"] = f"{demand.duration_s:g}s"
    model = read_model(files, reading)
    log = files[0].name if len(files) == 1 else f"{len(files)} files"
    section = diff_section(compare_demand(model, demand), log=log, scenario=found.name)
    print_section(section)
    if html is not None:
        page = render_sections_page(
            "Log and scenario", section.sentence, [section], notes=(), source=f"{log} and {found.name}"
        )
        write_texts({html: page})
        say(f"page: {html}")
    return 0
