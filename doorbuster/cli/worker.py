"""`doorbuster worker`: load generation for a run started on another machine."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from doorbuster.cli.options import WholeNumber


@click.command("worker")
@click.option(
    "--master-host",
    default="127.0.0.1",
    show_default=True,
    metavar="HOST",
    help="Host name or address of the master, e.g. 10.0.0.5.",
)
@click.option(
    "--master-port",
    default=5557,
    show_default=True,
    type=WholeNumber(1, 65535),
    metavar="PORT",
    help="Port of the master.",
)
@click.option(
    "--processes",
    default=1,
    show_default=True,
    type=WholeNumber(1, 256),
    metavar="N",
    help="Worker processes on this machine, about one per core.",
)
@click.option(
    "--locustfile",
    default="retail_peak.py",
    show_default=True,
    metavar="FILE",
    help="Locustfile to run, the same as on the master: a path, or the name of a bundled file.",
)
def command(master_host: str, master_port: int, processes: int, locustfile: str) -> int:
    """Generate part of the load of a run that was started with `doorbuster run --expect-workers`.

    The master sends the scenario. Both need the same DOORBUSTER_KEY, which encrypts the connection.

    \b
    Example: doorbuster worker --master-host 10.0.0.5 --processes 4
    """
    from doorbuster.cli.run_workflow import find_locustfiles
    from doorbuster.errors import ExitCode
    from doorbuster.locust_process import PARENT_VARIABLE, stop_group

    args = [
        sys.executable, "-m", "doorbuster.load.plain_locust", "-f", find_locustfiles(locustfile), "--worker",
        "--master-host", master_host, "--master-port", str(master_port),
    ]  # fmt: skip
    if processes > 1:
        args += ["--processes", str(processes)]
    # A session of its own, so that Ctrl-C reaches only this command; the workers end with it.
    environment = {**os.environ, PARENT_VARIABLE: str(os.getpid())}
    process = subprocess.Popen(args, start_new_session=True, env=environment)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        stop_group(process)
        return int(ExitCode.INTERRUPTED)
    return code if code in {int(known) for known in ExitCode} else int(ExitCode.NOT_RECORDED)
