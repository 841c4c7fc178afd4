"""`doorbuster check`: validate a scenario and show its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import profile_option, seed_option, url_option
from doorbuster.output import open_console

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from doorbuster.scenario import Channel, LocustScenario, Patience, Scenario

CURVE_WIDTH, CURVE_HEIGHT = 72, 8
_EIGHTHS = " ▁▂▃▄▅▆▇█"


@click.command("check")
@click.argument("scenario")
@profile_option
@url_option
@seed_option
@click.option(
    "--locustfile",
    metavar="FILE",
    help="Also check what the scenario needs of this locustfile and its driver, e.g. retail_peak.py.",
)
def command(
    scenario: str, profile: str | None, url: str | None, seed: int | None, locustfile: str | None
) -> int:
    """Validate SCENARIO and show its plan: curve, duration, peak, expected customers and requests.

    Sends no request. Lists all errors at once, each with file:line:column (exit code 104).

    \b
    Example: doorbuster check ms-christmas-2004
    """
    from doorbuster.cli.run_workflow import find_run_scenario
    from doorbuster.errors import UsageError
    from doorbuster.scenario import LocustScenario, count_customers, override

    found = find_run_scenario(scenario)
    if isinstance(found, LocustScenario):
        for option, value in {"--profile": profile, "--url": url, "--seed": seed}.items():
            if value is not None:
                raise UsageError(f"{option} has no effect on the scenario of a plain Locust file")
        _print_locust_scenario(open_console(highlight=False), found)
        return 0
    plan = override(found, profile=profile, url=url, seed=seed)
    code = 0 if locustfile is None else check_requirements(plan, locustfile)
    customers = count_customers(plan)
    console = open_console(highlight=False)
    console.print(plan.title, style="bold", markup=False)
    if plan.story:
        console.print(plan.story.strip(), style="dim", markup=False)
    _print_curve(console, plan)
    _print_figures(console, plan, customers)
    _print_channels(console, plan)
    _print_behaviour(console, plan)
    _print_warnings(console, plan)
    _print_thresholds(console, plan)
    return code


def _print_locust_scenario(console: Console, plan: LocustScenario) -> None:
    """The scenario of a plain Locust file: users, host and thresholds."""
    from doorbuster.units import format_duration

    console.print(plan.title, style="bold", markup=False)
    if plan.story:
        console.print(plan.story.strip(), style="dim", markup=False)
    users, run_time_s = plan.locust.users, plan.locust.run_time_s
    rows: dict[str, object] = {"workload": "closed: users of a plain Locust file"}
    if plan.demand is None:
        rows["users"] = users
        rows["run time"] = None if run_time_s is None else format_duration(run_time_s)
    else:
        peak, length = plan.demand.rate_curve.peak_per_s, format_duration(plan.demand.duration_s)
        rows["workload"] = f"open: visits of {plan.locust.tasks} tasks each, from a plain Locust file"
        rows["demand"] = f"up to {peak:.4g} visits/s for {length}"
    rows["target"] = plan.target.url
    if plan.target.headers:
        rows["headers"] = _header_text(plan.target.headers)
    if plan.observe is not None:
        rows["observed"] = _observed_text(plan)
    if plan.safety.abort:
        rows["abort"] = _abort_text(plan)
    for label, value in rows.items():
        console.print(f"[dim]{label:<11}[/] {'as the Locust file says' if value is None else value}")
    _print_thresholds(console, plan)


def check_requirements(plan: Scenario, locustfile: str, *, for_capacity: bool = False) -> int:
    """Print what the locustfile or its driver lacks; returns the exit code."""
    from doorbuster.cli.progress import working
    from doorbuster.cli.run_workflow import find_locustfiles
    from doorbuster.cli.subprocess_stream import SubprocessStream

    checking = working(f"checking {plan.name} against {locustfile}")
    with checking, SubprocessStream(
        "doorbuster.load.tools.requirements_check", scenario_text=plan.source_text, scenario_name=plan.name,
        locustfile=find_locustfiles(locustfile), for_capacity=for_capacity,
    ) as child:  # fmt: skip
        for _ in child.rows():
            pass
        return child.exit_code()


def _print_curve(console: Console, plan: Scenario) -> None:
    """Expected arrivals per second over the run, as a block curve."""
    import numpy as np

    from doorbuster.scenario import arrival_rate_per_s
    from doorbuster.units import format_duration

    width = min(CURVE_WIDTH, max(console.width - 12, 20))
    middles_s = (np.arange(width) + 0.5) * plan.demand.duration_s / width
    rates = arrival_rate_per_s(plan, middles_s)
    top = float(rates.max()) or 1.0
    console.print()
    for row in range(CURVE_HEIGHT, 0, -1):
        label = f"{top * row / CURVE_HEIGHT:8.4g} " if row in (CURVE_HEIGHT, CURVE_HEIGHT // 2) else " " * 9
        console.print(f"{label}│{_row(rates / top, row)}", style="cyan")
    console.print(" " * 9 + "└" + "─" * width, style="cyan")
    end = format_duration(plan.demand.duration_s)
    console.print(f"{'customers/s':>9} 0 s{' ' * (width - 5 - len(end))}{end}", style="dim")
    console.print()


def _row(shares: np.ndarray, row: int) -> str:
    """One line of the block curve: how far each column reaches into row `row` of CURVE_HEIGHT."""
    filled = (shares * CURVE_HEIGHT - (row - 1)).clip(0, 1)
    return "".join(_EIGHTHS[round(float(share) * 8)] for share in filled)


def _print_figures(console: Console, plan: Scenario, customers: int) -> None:
    from rich.table import Table

    from doorbuster.scenario import estimate
    from doorbuster.units import format_count, format_duration

    expected = estimate(plan)
    shop, safety = plan.target.shop, plan.safety
    peak_requests = f"{expected.peak_requests_per_s:.3g}/s"
    in_all, with_seed = format_count(round(expected.arrivals)), format_count(customers)
    seats = sum(channel.seats or 0 for channel in plan.channels.values())
    ceiling = f"{safety.max_rate_per_s:g} requests/s{_reserved_text(plan)}"
    rows = [
        (
            "duration",
            f"{format_duration(plan.demand.duration_s)}, then up to {format_duration(plan.drain_s)} drain",
        ),
        ("peak", f"{plan.peak_per_s:.4g} customers/s"),
        ("customers", f"{in_all} expected, {with_seed} with seed {plan.seed}"),
        ("seats", f"{seats} concurrent agents, each serving one customer after the other"),
        ("orders", f"about {format_count(round(expected.orders))} attempted"),
        ("requests", f"about {format_count(round(expected.requests))}, {peak_requests} at the peak"),
        (
            "concurrent",
            f"about {format_count(round(expected.peak_in_shop))} customers if the shop responds fast",
        ),
        ("target", plan.target.url or f"the embedded shop, {shop.profile if shop else ''}"),
        ("headers", _header_text(plan.target.headers)),
        ("observed", _observed_text(plan)),
        (
            "safety",
            f"at most {ceiling}, {format_count(safety.max_in_flight)} customers",
        ),
        ("abort", _abort_text(plan)),
    ]
    table = Table.grid(padding=(0, 3))
    for name, text in rows:
        if text and (name != "seats" or seats):
            table.add_row(f"[dim]{name}[/]", text)
    console.print(table)
    console.print()


def _observed_text(plan: Scenario | LocustScenario) -> str:
    """What is observed at the target, where it is read, and what it needs from the environment."""
    import os

    observe = plan.observe
    parts = []
    if getattr(plan.target, "shop", None) is not None and (observe is None or observe.shop):
        parts.append("the embedded shop")
    for name, source in observe.sources.items() if observe is not None else ():
        where = source.url or getattr(source.settings, "run", "")
        parts.append(f"{name} ({source.kind}{where and f' {where}'})")
    variables = observe.variables if observe is not None else ()
    parts += [f"needs {name}{'' if os.environ.get(name) else ' (not set)'}" for name in variables]
    if observe is not None and observe.trace_share_ratio:
        parts.append(f"{observe.trace_share_ratio:.3g} of the requests traced")
    return ", ".join(parts)


def _reserved_text(plan: Scenario) -> str:
    """What of the ceiling is kept for browsers."""
    if plan.browsers is None:
        return ""
    return f", {plan.browsers.reserved_per_s:g} of them kept for the browsers, which cannot be paced"


def _abort_text(plan: Scenario | LocustScenario) -> str:
    """What ends a run early."""
    from doorbuster.scenario import describe_abort_rule

    rules = [describe_abort_rule(name, rule) for name, rule in plan.safety.abort.items()]
    return f"when {' or '.join(rules)}" if rules else "no rule ends a run early"


def _header_text(headers: Mapping[str, str]) -> str:
    """The names of the target's headers, and the environment variables that they need."""
    import os

    from doorbuster.scenario import header_variables

    variables = [
        f"{name}{'' if os.environ.get(name) else ' (not set)'}" for name in header_variables(headers)
    ]
    needed = f", from the environment: {', '.join(variables)}" if variables else ""
    return f"{', '.join(headers)}{needed}"


def _print_channels(console: Console, plan: Scenario) -> None:
    from rich.table import Table

    table = Table(
        "channel", "arrivals", "journeys", "patience", box=None, padding=(0, 3, 0, 0), header_style="dim"
    )
    for name, channel in plan.channels.items():
        arrivals = f"{(channel.share_ratio or 0) * 100:.3g} %"
        if channel.seats:
            arrivals = f"{channel.seats} seats"
        elif channel.demand is not None:
            arrivals = f"own, up to {channel.demand.peak_per_s:.3g}/s"
        journeys = ", ".join(
            f"{journey} {ratio * 100:.3g} %" for journey, ratio in channel.journey_ratios().items()
        )
        table.add_row(name, arrivals, journeys, _patience(channel))
    console.print(table)
    console.print()


def _patience(channel: Channel) -> str:
    """The median patience, by device where it differs."""
    texts = {_median(channel.patience)}
    if channel.devices:
        texts = {f"{_median(channel.patience_for(device))} ({device})" for device in channel.devices}
    return ", ".join(sorted(texts))


def _median(patience: Patience | None) -> str:
    return "unlimited" if patience is None else f"median {patience.median_s:.2g} s (modelled)"


def _print_behaviour(console: Console, plan: Scenario) -> None:
    """The behaviour of each channel and the content rules, one sentence each."""
    from rich.markup import escape
    from rich.table import Table

    from doorbuster.scenario import describe_browsers, describe_channel, describe_freshness, describe_rule

    table = Table.grid(padding=(0, 3))
    for name, channel in plan.channels.items():
        for sentence in describe_channel(channel):
            table.add_row(f"[dim]{name}[/]", escape(sentence))
    for rule in plan.target.content_rules:
        table.add_row("[dim]rule[/]", escape(describe_rule(rule)))
    if plan.freshness is not None:
        table.add_row("[dim]freshness[/]", describe_freshness(plan.freshness))
    if plan.browsers is not None:
        table.add_row("[dim]browsers[/]", escape(describe_browsers(plan.browsers, plan.target.storefront)))
    if table.row_count:
        console.print(table)
        console.print()


def _print_warnings(console: Console, plan: Scenario) -> None:
    """Settings that would make a run inconclusive."""
    from doorbuster.scenario import channels_exceeding_drain, estimate
    from doorbuster.units import format_count, format_duration

    peak_per_s, limit_per_s = estimate(plan).peak_requests_per_s, plan.customers_max_rate_per_s
    if peak_per_s > limit_per_s:
        console.print(
            f"safety.max_rate: the peak needs about {format_count(round(peak_per_s))} requests/s and "
            f"{limit_per_s:g} are allowed: requests will wait, and every verdict will be inconclusive",
            style="yellow",
        )
    for name, visit_s in channels_exceeding_drain(plan).items():
        console.print(
            f"drain: visits in {name} last up to about {format_duration(round(visit_s))}, but the drain is "
            f"{format_duration(plan.drain_s)}: visits that exceed it count as dropped",
            style="yellow",
        )
    if not plan.thresholds:
        console.print("no thresholds: the verdict of every run will be inconclusive", style="yellow")


def _print_thresholds(console: Console, plan: Scenario | LocustScenario) -> None:
    from rich.markup import escape

    for threshold in plan.thresholds:
        console.print(f"[dim]threshold[/]   {escape(str(threshold))}")
