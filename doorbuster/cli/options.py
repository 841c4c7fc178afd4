"""Options shared by several verbs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

Command = TypeVar("Command", bound=Callable[..., Any])


class WholeNumber(click.IntRange):
    """An integer within bounds; `name` is what messages call it."""

    name = "whole number"


class Number(click.FloatRange):
    """A finite number within bounds; `name` is what messages call it."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):  # "nan" is within any bounds
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Day(click.DateTime):
    """A day; its value is the midnight at which it begins, without a time zone."""

    name = "day"

    def __init__(self) -> None:
        super().__init__(["%Y-%m-%d"])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a day; write it as 2026-11-27", param, ctx)


def refuse_given(ctx: click.Context, names: Iterable[str], why: str) -> None:
    """Raises: UsageError if one of these parameters is on the command line, where it has no effect."""
    for param in ctx.command.params:
        if param.name in names and ctx.get_parameter_source(param.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{max(param.opts, key=len)} {why}", ctx)


class SubcommandGroup(click.Group):
    """Lists its commands in workflow order, each with its whole first sentence."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.commands[name].get_short_help_str(limit=400)) for name in names])


profile_option = click.option(
    "--profile",
    metavar="NAME",
    help="Design of the embedded shop: in-house-2004 or replatformed. Default: the scenario's.",
)
url_option = click.option(
    "--url",
    metavar="URL",
    help="URL of the shop, e.g. https://staging.example.com. Default: the scenario's target.",
)
seed_option = click.option(
    "--seed",
    type=WholeNumber(0, 2**63 - 1),
    metavar="N",
    help="Random seed of arrivals and customers, e.g. 42. Default: the scenario's.",
)
confirm_option = click.option(
    "--confirm-host",
    "confirm_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm that you may load this host; this machine needs none. Repeat for each host in "
    "safety.allow. If its addresses change, list them: HOST=ADDRESS,NETWORK.",
)


def out_option(content: str) -> Callable[[Command], Command]:
    """The folder of a new run, search or report; `content` says what it is for."""
    return click.option(
        "--out", metavar="DIR", type=click.Path(path_type=Path),
        help=f"New or empty folder for {content}. Default: reports/<time>-<scenario>.",
    )  # fmt: skip


def file_option(name: str, text: str, *, required: bool = False) -> Callable[[Command], Command]:
    """A file that exists; `text` is its help."""
    kind = click.Path(path_type=Path, exists=True, dir_okay=False)
    return click.option(name, metavar="FILE", type=kind, help=text, required=required)


DEFAULT_LOCUSTFILE = "retail_peak.py"
locustfile_option = click.option(
    "--locustfile",
    default=DEFAULT_LOCUSTFILE,
    show_default=True,
    metavar="FILE",
    help="Locustfile to run: a path, or the name of a bundled file, or several with commas between them.",
)
workers_option = click.option(
    "--workers",
    default=0,
    show_default=True,
    type=WholeNumber(0, 256),
    metavar="N",
    help="Worker processes on this machine, e.g. 2; 0 uses a single process.",
)
run_argument = click.argument("run", type=click.Path(path_type=Path))
