"""The `doorbuster` command: one verb per stage, listed in workflow order.

Rules: each verb is one file with one function; heavy imports happen inside the function, so that
`doorbuster --help` starts fast; a DoorbusterError prints one message and sets the exit code, without a
traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from textwrap import fill

import click

from doorbuster import __version__, build
from doorbuster.errors import DoorbusterError, ExitCode
from doorbuster.output import lost_output, protect_streams, say, say_lines
from doorbuster.output.termination_message import write_termination_message

VERBS = {  # in workflow order, with the help line of each verb
    "init": "Create a project folder with copies of the bundled scenarios, locustfiles and analysis.",
    "demand": "Find out how many customers the peak brings, from logs and past orders.",
    "check": "Validate a scenario and show its plan: curve, expected customers, requests.",
    "plan": "Compute the workers, cores, memory, ports and bandwidth that a peak needs.",
    "probe": "Run every step of a storefront driver once and show which ones work.",
    "run": "Run a scenario against a shop, evaluate its thresholds and write the report.",
    "capacity": "Find the highest arrival rate at which the shop still meets its thresholds.",
    "scale": "Show how capacity grows with the size of the shop, and what size the peak needs.",
    "worker": "Generate part of the load of a run that was started on another machine.",
    "analyse": "Print the verdict on a run and what matters, on one screen.",
    "report": "Write the report of a recorded run again.",
    "gate": "Evaluate the thresholds of a run and set the exit code, for CI pipelines.",
    "compare": "Compare two builds by their runs: what became worse, what stayed the same, how surely.",
    "baseline": "Accept good runs, with which relative thresholds compare later ones.",
    "history": "Keep the metrics of many runs, and show when they changed.",
    "import": "Import results of k6, JMeter, Gatling, Locust and other tools as a run.",
    "audit": "Compare a run with the shop's order export (CSV) and update the verdict.",
    "stream": "Stream the figures of a run to Prometheus, InfluxDB and others while it goes on.",
    "season": "Keep forecast, runs and capacity of one campaign, and show the board where it stands.",
    "export": "Export the latencies of a run as an HdrHistogram interval log.",
    "upload": "Send the files of a run to object storage, a web server or a folder.",
    "cleanup": "Cancel the test orders that a run placed in a shop.",
    "shop": "Start the embedded reference shop.",
    "completion": "Print the completion script of bash, zsh or fish.",
}

COMPLETION_VARIABLE = "_DOORBUSTER_COMPLETE"
"""With this variable set, click prints completions in place of running a command."""
_CODES = fill(f"Exit codes: {', '.join(f'{int(code)} {code.meaning}' for code in ExitCode)}.", width=78)
EPILOG = f"\b\n{_CODES}\n\nExample: doorbuster run smoke"


class Verbs(click.Group):
    """Loads the module of a verb on first use."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = import_module(f"doorbuster.cli.{name}").command
        assert isinstance(command, click.Command)
        if COMPLETION_VARIABLE in os.environ:
            from doorbuster.cli.completion import add_completions

            command = add_completions(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest verb for a mistyped one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], VERBS, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"choose from {', '.join(VERBS)}"
            raise click.UsageError(f"unknown command {args[0]!r}; {hint}", ctx) from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands in workflow order"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{__version__} ({build()} build)", prog_name="doorbuster")
def doorbuster() -> None:
    """Load-test online shops with realistic sales peaks, and count the orders an overload costs."""


_INTERRUPTED = int(ExitCode.INTERRUPTED)


def main() -> None:
    """Run the command line and leave with its exit code, however often somebody presses Ctrl-C meanwhile."""
    code = _INTERRUPTED
    # Another one may arrive while an earlier one is handled, so there is a try around every handler.
    try:
        try:
            code = _run_command_line()
            _ignore_interrupts()
        except KeyboardInterrupt:
            code = _INTERRUPTED
            _ignore_interrupts()
    except KeyboardInterrupt:
        code = _INTERRUPTED
        _ignore_interrupts()
    # `python -m` remembers an interrupt within `exec`, by which modules make classes, and would end with
    # SIGINT although it was handled. The next `exec` makes it forget.
    exec("")  # noqa: S102
    sys.exit(code)


def _ignore_interrupts() -> None:
    """The command has ended, and only its exit is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _run_command_line() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):  # sent by CI systems and closed terminals
        if signal.getsignal(number) == signal.SIG_DFL:  # keep the SIG_IGN of nohup
            signal.signal(number, signal.default_int_handler)
    protect_streams()
    try:
        code = doorbuster(standalone_mode=False)
    except DoorbusterError as error:
        say_lines(str(error), error=True)
        if why := write_termination_message(str(error)):
            say(why, error=True)
        code = int(error.exit_code)
    except click.ClickException as error:
        error.show()
        code = int(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        _ignore_interrupts()
        say("interrupted", error=True)
        code = int(ExitCode.INTERRUPTED)
    if lost := lost_output():
        say(f"standard output: {lost}; the rest was not written", error=True)
        code = code or int(ExitCode.USAGE)
    return code if isinstance(code, int) else 0
