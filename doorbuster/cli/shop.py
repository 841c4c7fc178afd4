"""`doorbuster shop`: the embedded reference shop, to look at or to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("shop")
@click.option(
    "--profile",
    default="replatformed",
    show_default=True,
    type=click.Choice(["in-house-2004", "replatformed"]),
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
    help="Where the database lies. Default: a temporary folder.",
)
@click.option(
    "--workers",
    default=None,
    type=click.IntRange(1, 256),
    metavar="N",
    help="Database workers, that is pages worked on at once. Default: 4.",
)
@click.option(
    "--query-time",
    default=None,
    metavar="TIME",
    help='How long a worker is held per query, such as "10ms". Default: 10ms.',
)
@click.option(
    "--warehouse-rate",
    default=None,
    metavar="RATE",
    help='How fast orders are picked, such as "5 orders/s". Default: 5 orders/s.',
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
def command(query_time: str | None, warehouse_rate: str | None, **knobs: Any) -> None:
    """Start the embedded reference shop and keep it open until Ctrl-C.

    \b
    Example: doorbuster shop --profile in-house-2004 --port 8004
    """
    from doorbuster.shop.server import serve
    from doorbuster.shop.settings import ShopSettings
    from doorbuster.units import parse_duration_s, parse_rate_per_s

    given = {name: value for name, value in knobs.items() if value is not None}
    try:
        if query_time is not None:
            given["query_time_s"] = parse_duration_s(query_time)
        if warehouse_rate is not None:
            given["warehouse_rate_per_s"] = parse_rate_per_s(warehouse_rate)
    except ValueError as error:
        raise click.UsageError(
            f"{query_time if 'query_time_s' not in given else warehouse_rate}: {error}"
        ) from error
    settings = ShopSettings(**given)
    serve(
        settings,
        announce=lambda url: click.echo(f"The shop is open at {url} ({settings.profile}); Ctrl-C closes it."),
    )
