"""Options shared by several verbs."""

from __future__ import annotations

from pathlib import Path

import click

profile_option = click.option(
    "--profile",
    default=None,
    metavar="NAME",
    help="Design of the embedded shop: in-house-2004 or replatformed. Default: the scenario's.",
)
url_option = click.option(
    "--url",
    default=None,
    metavar="URL",
    help="URL of the shop, e.g. https://staging.example.com. Default: the scenario's target.",
)
seed_option = click.option(
    "--seed",
    default=None,
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    help="Random seed of arrivals and customers, e.g. 42. Default: the scenario's.",
)
confirm_option = click.option(
    "--confirm-host",
    "confirm_hosts",
    multiple=True,
    metavar="HOST",
    help="Confirm that this non-loopback host may be loaded; once for each host in safety.allow.",
)
DEFAULT_LOCUSTFILE = "retail_peak.py"
locustfile_option = click.option(
    "--locustfile",
    default=DEFAULT_LOCUSTFILE,
    show_default=True,
    metavar="FILE",
    help="Locustfile to run: a path, or the name of a bundled file.",
)
workers_option = click.option(
    "--workers",
    default=0,
    show_default=True,
    type=click.IntRange(0, 256),
    help="Worker processes on this machine, e.g. 2; 0 uses a single process.",
)
run_argument = click.argument("run", type=click.Path(path_type=Path))
