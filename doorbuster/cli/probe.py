"""`doorbuster probe`: run every step of a driver once and show the exchanges of failed steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from doorbuster.cli.options import refuse_given
from doorbuster.cli.subprocess_stream import SubprocessStream
from doorbuster.output import flat, open_console
from doorbuster.shop_settings import PROFILE_NAMES

if TYPE_CHECKING:
    from rich.console import Console

_LOOKS = {
    "ok": ("ok", "green"),
    "refused": ("refused", "yellow"),
    "failed": ("FAILED", "bold red"),
    "broken": ("BROKEN", "bold red"),
    "missing": ("no method", "yellow"),
    "helper": ("no step", "dim"),
    "skipped": ("skipped", "dim"),
}


@click.command("probe")
@click.argument("url", default="", required=False)
@click.option(
    "--scenario",
    default=None,
    metavar="SCENARIO",
    help="Probe what this scenario needs: its target, headers, channels, journeys and content rules.",
)
@click.option(
    "--storefront",
    default="",
    metavar="NAME",
    help="Driver: a bundled one, e.g. vendure, or custom:NAME from the locustfile. Default: the scenario's, "
    "else the locustfile's only driver, else reference.",
)
@click.option(
    "--locustfile",
    metavar="FILE",
    help="Python file with your own driver, or locustfiles that install it, with commas between them, e.g. "
    "locustfiles/_my_shop.py.",
)
@click.option(
    "--profile",
    default="replatformed",
    show_default=True,
    type=click.Choice(PROFILE_NAMES),
    help="Design of the embedded shop, used if no URL is given.",
)
@click.option("--no-orders", is_flag=True, help="Skip the steps that place a test order or change a product.")
@click.option(
    "--trace", is_flag=True, help="Show every request and response, not only those of failed steps."
)
@click.option(
    "--confirm-host",
    "confirm_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm that this non-loopback host may be probed; test orders are placed there.",
)
@click.pass_context
def command(
    ctx: click.Context,
    url: str,
    scenario: str | None,
    storefront: str,
    locustfile: str | None,
    profile: str,
    no_orders: bool,
    trace: bool,
    confirm_hosts: tuple[str, ...],
) -> int:
    """Run every step of a driver once against the shop at URL, or against the embedded shop.

    Takes every step in each channel for which the driver has a class of its own, places test orders and looks
    for them in the shop's ledger. Exit code: 0 if all core steps (browse, search, buy; with --scenario those
    that its journeys need) work, 99 if one does not, 106 if the shop is unreachable.

    \b
    Example: doorbuster probe http://127.0.0.1:3001 --storefront vendure
             doorbuster probe --scenario scenarios/my-shop-smoke.yaml --locustfile locustfiles/_my_shop.py
    """
    from doorbuster.cli.run_workflow import find_locustfiles, find_scenario

    if url:
        refuse_given(ctx, ("profile",), "has no effect on the shop at URL; leave it out")
    elif scenario is None:
        refuse_given(ctx, ("confirm_hosts",), "has no effect without URL or --scenario")
    plan = find_scenario(scenario) if scenario is not None else None
    console, summary = open_console(highlight=False, soft_wrap=True), ProbeSummary()
    with SubprocessStream(
        "doorbuster.load.tools.probe", url=_address(url), profile=profile, storefront=storefront,
        locustfile=find_locustfiles(locustfile) if locustfile else "", orders=not no_orders,
        scenario_text=plan.source_text if plan else "", scenario_name=plan.name if plan else "",
        confirm_hosts=list(confirm_hosts),
    ) as child:  # fmt: skip
        for row in child.rows():
            if row["kind"] == "target":
                console.print(f"probing {row['url']} as a {row['storefront']!r} storefront", markup=False)
            else:
                summary.add(row)
                _print_step(console, row, everything=trace)
        code = child.exit_code()
    if summary.steps:
        console.print(summary.sentence())
    return code


class ProbeSummary:
    """Which steps failed or are missing."""

    def __init__(self) -> None:
        self.steps = 0
        self._seen: set[str] = set()
        self.core_short: list[str] = []
        self.other_wrong: list[str] = []
        self.other_missing: list[str] = []

    def add(self, row: dict[str, Any]) -> None:
        self.steps += 1
        if row["result"] != "ok" and not (row["result"] == "skipped" and not row["core"]):
            other = self.other_missing if row["result"] in ("missing", "helper") else self.other_wrong
            found = self.core_short if row["core"] else other
            found.append(f"{row['step']} ({row['channel']})" if row["step"] in self._seen else row["step"])
        self._seen.add(row["step"])  # again in another channel: the channel is named

    def sentence(self) -> str:
        if self.core_short:
            return f"Core steps that do not work: {', '.join(self.core_short)}."
        wrong = f"; {', '.join(self.other_wrong)} did not" if self.other_wrong else ""
        rest = f"; without {', '.join(self.other_missing)}" if self.other_missing else ""
        return f"All core steps work{wrong}{rest}."


def _print_step(console: Console, row: dict[str, Any], *, everything: bool) -> None:
    if row["result"] == "missing" and not row["core"]:
        return  # the summary lists them
    look, style = _LOOKS[row["result"]]
    sent = row["exchanges"]
    spent = (
        f"{len(sent)} request{'s' * (len(sent) > 1)}, {sum(one['service_ms'] for one in sent):.0f} ms"
        if sent
        else ""
    )
    console.print(f"  {look:<10}", style=style, end="")
    text = flat(f"{row['cause']}: {row['text']}" if row["cause"] else row["text"])
    console.print(f"{row['step']:<15} {row['channel']:<8} {spent:<22} {text}".rstrip(), markup=False)
    if everything or row["result"] in ("failed", "broken"):
        for one in sent if everything else sent[-1:]:
            _print_exchange(console, one)
        if row["hint"]:
            console.print(f"{'':12}{row['hint']}", style="yellow", markup=False)


def _print_exchange(console: Console, one: dict[str, Any]) -> None:
    answered = str(one["status"] or one["cause"])
    count = one["redirects"]
    hops = f" after {count} redirect{'s' * (count > 1)}" if count else ""
    head = f"{one['method']} {one['url']} -> {answered}{hops} in {one['service_ms']:.0f} ms"
    lines = [head, *(f"> {line}" for line in one["request"]), *(f"< {line}" for line in one["answer"])]
    for line in lines:
        console.print(f"{'':12}{flat(line)}", style="dim", markup=False)


def _address(url: str) -> str:
    """Raises: click.UsageError for an invalid URL."""
    if not url:
        return ""
    from doorbuster.scenario.target.target import parse_url

    try:
        return parse_url(url)
    except ValueError as error:
        raise click.UsageError(f"URL {error}") from error
