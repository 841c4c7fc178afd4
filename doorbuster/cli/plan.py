"""`doorbuster plan`: what the load generator needs for a peak."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from doorbuster.cli.options import Number, locustfile_option, url_option
from doorbuster.units import parse_duration_s, parse_rate_per_s

MAX_QUANTITY = 1e12  # customers, customers per second, seconds: beyond any shop, and exact in a float


class Quantity(click.ParamType[float]):
    """A number above 0 with its unit, in the base unit."""

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            found = self._parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        if not 0 < found <= MAX_QUANTITY:
            self.fail(f"{value!r} must be above 0 and at most {MAX_QUANTITY:.0e}", param, ctx)
        return found


RATE = Quantity("rate", partial(parse_rate_per_s, counts="customers"))
DURATION = Quantity("duration", parse_duration_s)


@click.command("plan")
@click.argument("scenario")
@url_option
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Take the cost of requests and customers from this recorded run instead of a calibration.",
)
@click.option(
    "--peak",
    type=RATE,
    metavar="RATE",
    help='Plan for this arrival rate, e.g. "5000 customers/s". Default: the scenario\'s.',
)
@click.option(
    "--at-once",
    type=Number(min=1, max=MAX_QUANTITY),
    metavar="N",
    help="Plan for this many customers at once, e.g. 100000, instead of a rate.",
)
@click.option(
    "--response",
    type=DURATION,
    default="100ms",
    show_default=True,
    metavar="TIME",
    help="Response time of the shop at the peak; a slow shop keeps more customers waiting.",
)
@click.option(
    "--kubernetes",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write Kubernetes manifests with these numbers into this new or empty folder.",
)
@locustfile_option
def command(
    scenario: str,
    url: str | None,
    source: Path | None,
    peak: float | None,
    at_once: float | None,
    response: float,
    kubernetes: Path | None,
    locustfile: str,
) -> int:
    """Compute the workers, cores, memory, ports and bandwidth that the peak of SCENARIO needs.

    The cost of a request and of a customer is measured on this machine: by a calibration of a quarter of a
    minute against the embedded shop, or in a recorded run (--from), which knows your shop's pages and driver.

    \b
    Example: doorbuster plan ms-christmas-2004
             doorbuster plan my-peak.yaml --from reports/rehearsal --at-once 100000 --kubernetes peak/
    """
    from doorbuster.cli.run_workflow import find_locustfiles, find_scenario
    from doorbuster.errors import UsageError
    from doorbuster.output import open_console, say
    from doorbuster.records.reader import Run
    from doorbuster.sizing.calibration import calibrate
    from doorbuster.sizing.describe import cost_rows, fleet_rows, load_rows
    from doorbuster.sizing.fleet import peak_load, plan_fleet, safety_problems
    from doorbuster.sizing.generator_cost import measure_cost

    if peak is not None and at_once is not None:
        raise UsageError("--peak and --at-once cannot be combined: one follows from the other")
    plan = find_scenario(scenario, url=url)
    locustfiles = find_locustfiles(locustfile)
    load = peak_load(plan, response_s=response, peak_per_s=peak, customers_at_once=at_once)
    if source is not None:
        with Run.open(source) as run:
            cost = measure_cost(run)
        measured = f"in the run {source}"
    else:
        say("measuring the cost of a customer on this machine, for a quarter of a minute …", error=True)
        cost = calibrate(plan, locustfiles)
        measured = "on this machine, against the embedded shop"
    fleet = plan_fleet(load, cost)
    console = open_console(highlight=False)
    console.print(plan.title, style="bold", markup=False)
    for rows in (load_rows(load), fleet_rows(fleet), cost_rows(cost, measured)):
        console.print()
        for label, text in rows:
            console.print(f"[dim]{label:<17}[/] {text}", soft_wrap=True)
    for problem in (*fleet.problems, *safety_problems(plan, load)):
        console.print(problem, style="yellow", markup=False)
    if kubernetes is not None:
        from doorbuster.sizing.manifests import write_manifests

        write_manifests(kubernetes, plan, fleet, [Path(name) for name in locustfiles.split(",")])
        master = kubernetes / "master.yaml"
        say(f"manifests: confirm the shop's hosts in {master} (--confirm-host=HOST), then apply them:")
        say(f"kubectl apply -k {kubernetes}")
    return 0
