"""Options that several verbs share, so that they read and behave the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

profile_option = click.option(
    "--profile",
    default=None,
    metavar="NAME",
    help="Load the embedded shop of this design: in-house-2004 or replatformed. Default: the scenario's.",
)
url_option = click.option(
    "--url",
    default=None,
    metavar="URL",
    help="Load this shop instead of the scenario's target, such as https://staging.example.com.",
)
seed_option = click.option(
    "--seed",
    default=None,
    type=click.IntRange(0, 2**63 - 1),
    metavar="N",
    help="Seed of arrivals and customers; the same seed brings the same customers. Default: the scenario's.",
)
confirm_option = click.option(
    "--confirm-host",
    default=None,
    metavar="HOST",
    help="Confirm by name that a host beyond loopback may be loaded now; it must also be in safety.allow.",
)
locustfile_option = click.option(
    "--locustfile",
    default="retail_peak.py",
    show_default=True,
    metavar="FILE",
    help="Who comes: a path, or a file of the workbench's locustfiles/.",
)
workers_option = click.option(
    "--workers",
    default=0,
    show_default=True,
    type=click.IntRange(0, 256),
    help="Worker processes to generate load with; 0 uses one process for everything.",
)
run_argument = click.argument("run", type=click.Path(path_type=Path))
