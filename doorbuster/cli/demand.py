"""`doorbuster demand`: how many customers to send, from logs and past orders."""

from __future__ import annotations

import click

from doorbuster.cli.demand_diff import diff
from doorbuster.cli.demand_forecast import forecast
from doorbuster.cli.demand_from_log import from_log
from doorbuster.cli.options import SubcommandGroup


@click.group("demand", cls=SubcommandGroup)
def command() -> None:
    """Find out how many customers the peak brings and what they do, from logs and past orders.

    \b
    Example: doorbuster demand from-log access.log
             doorbuster demand forecast orders.csv
    """


command.add_command(from_log)
command.add_command(diff)
command.add_command(forecast)
