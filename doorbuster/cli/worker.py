"""`doorbuster worker`: another machine's share of the load."""

from __future__ import annotations

import subprocess
import sys

import click


@click.command("worker")
@click.option(
    "--master-host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where the run was started."
)
@click.option(
    "--master-port",
    default=5557,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Port of the master.",
)
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=click.IntRange(1, 256),
    help="Worker processes to start here, about one per core.",
)
@click.option(
    "--locustfile",
    default="retail_peak.py",
    show_default=True,
    metavar="FILE",
    help="Who comes, the same file as on the master: a path, or a file of the workbench's locustfiles/.",
)
def command(master_host: str, master_port: int, processes: int, locustfile: str) -> int:
    """Generate a share of the load of a run that was started with `doorbuster run --expect-workers`.

    The scenario comes from the master. Workers and master speak unencrypted: use a private network.

    \b
    Example: doorbuster worker --master-host 10.0.0.5 --processes 4
    """
    from doorbuster.cli.pipeline import find_locustfile

    args = [
        sys.executable, "-m", "locust", "-f", str(find_locustfile(locustfile)), "--worker",
        "--master-host", master_host, "--master-port", str(master_port),
    ]  # fmt: skip
    if processes > 1:
        args += ["--processes", str(processes)]
    process = subprocess.Popen(args)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 105
