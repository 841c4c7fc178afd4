"""`doorbuster shop`: start the embedded reference shop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbuster.shop.options import OPTIONS, seconds, settings_from
from doorbuster.shop.settings import PROFILE_NAMES

if TYPE_CHECKING:
    from doorbuster.shop.server import Urls

_MORE = {option.name for option in OPTIONS}


def _with_shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options shared with `python -m doorbuster.shop`, in table order."""
    for option in reversed(OPTIONS):
        if option.read is None:
            command = click.option(option.option, is_flag=True, help=option.help)(command)
        else:
            command = click.option(option.option, default=None, metavar=option.metavar, help=option.help)(
                command
            )
    return command


@click.command("shop")
@click.option(
    "--profile",
    default="replatformed",
    show_default=True,
    type=click.Choice(PROFILE_NAMES),
    help="Design of the shop.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8004,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--folder",
    default=None,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of the database. Default: a temporary folder.",
)
@click.option(
    "--workers",
    default=None,
    type=click.IntRange(1, 256),
    metavar="N",
    help="Database workers, i.e. pages processed concurrently. Default: 4.",
)
@click.option(
    "--query-time",
    default=None,
    metavar="TIME",
    help="Time a database worker spends per query, e.g. 20ms. Default: 10ms.",
)
@click.option(
    "--warehouse-rate",
    default=None,
    metavar="RATE",
    help='Rate at which orders are picked, e.g. "10 orders/s". Default: 5 orders/s.',
)
@click.option(
    "--products",
    default=None,
    type=click.IntRange(24, 50_000),
    metavar="N",
    help="Products on sale. Default: 5000.",
)
@click.option(
    "--seed", default=None, type=int, metavar="N", help="Seed of products and stock. Default: 20041202."
)
@_with_shared_options
def command(query_time: str | None, warehouse_rate: str | None, **values: Any) -> None:
    """Start the embedded reference shop and run it until Ctrl-C.

    \b
    Example: doorbuster shop --profile in-house-2004 --port 8004
    """
    from doorbuster.shop.server import serve
    from doorbuster.shop.settings import ShopSettings
    from doorbuster.units import parse_rate_per_s

    given = {name: value for name, value in values.items() if value is not None and name not in _MORE}
    try:
        given |= settings_from(values)
        if query_time is not None:
            given["query_time_s"] = _read("--query-time", query_time, seconds)
        if warehouse_rate is not None:
            given["warehouse_rate_per_s"] = _read("--warehouse-rate", warehouse_rate, parse_rate_per_s)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    settings = ShopSettings(**given)

    def announce(urls: Urls) -> None:
        for name, url in urls.items():
            whose = name and f" of {name}"
            click.echo(f"The shop{whose} is open at {url} ({settings.profile}); Ctrl-C closes it.")

    serve(settings, announce=announce)


def _read(option: str, text: str, read: Callable[[str], float]) -> float:
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{option} {text}: {error}") from error
