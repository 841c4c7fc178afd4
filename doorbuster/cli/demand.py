"""`doorbuster demand`: how many customers to send, from logs and past orders."""

from __future__ import annotations

import click

from doorbuster.cli.demand_forecast import forecast


@click.group("demand")
def command() -> None:
    """Find out how many customers the peak brings, from logs and past orders.

    \b
    Example: doorbuster demand forecast orders.csv
    """


command.add_command(forecast)
