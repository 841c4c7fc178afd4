"""The `doorbuster` command: one verb per stage, listed in the order of work.

Rules: a verb is one file with one function; heavy imports happen inside it, so that `doorbuster --help`
answers at once; a DoorbusterError becomes one plain message and its exit code, never a traceback.
"""

from __future__ import annotations

import signal
import sys
from difflib import get_close_matches
from importlib import import_module
from io import TextIOWrapper

import click

from doorbuster import __version__, build
from doorbuster.errors import DoorbusterError, ExitCode

VERBS = {  # in the order of work; the text is the verb's line in `doorbuster --help`
    "init": "Lay out a workbench: scenarios, locustfiles and analysis to make your own.",
    "check": "Validate a scenario and show what would come: curve, customers, requests.",
    "probe": "Walk every step of a storefront driver once and show what works.",
    "run": "Recreate the peak against a shop, judge it and write the report.",
    "capacity": "Search how many customers the shop can take before it breaks its promises.",
    "scale": "Show how the capacity grows with the size of the shop, and how many the peak needs.",
    "worker": "Generate a share of the load of a run that another machine started.",
    "analyse": "Print sections of a run in the terminal.",
    "report": "Write the report of a run again.",
    "gate": "Judge a run against thresholds, for pipelines: a line each, and the exit code.",
    "audit": "Hold a run against the shop's books as CSV files, and judge it again.",
    "export": "Write the times of a run as an HdrHistogram interval log.",
    "cleanup": "Cancel the test orders that a run left in a shop.",
    "shop": "Start the embedded reference shop to look at or to load.",
}

EPILOG = """\b
Exit codes: 0 pass, 99 thresholds failed, 96 inconclusive,
104 invalid configuration, 105 interrupted, 106 target unreachable,
107 exception in a script, 108 aborted by a safety rule, 2 usage, 1 our own fault.

Example: doorbuster run smoke"""


class Verbs(click.Group):
    """Finds a verb's function in its own file, when it is asked for."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = import_module(f"doorbuster.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with the nearest verb for a mistyped one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], VERBS, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"choose from {', '.join(VERBS)}"
            raise click.UsageError(f"there is no verb {args[0]!r}; {hint}", ctx) from error

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs, in the order of work"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=Verbs, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(f"{__version__} ({build()} build)", prog_name="doorbuster")
def doorbuster() -> None:
    """Will the shop hold when Christmas comes, and if not, how many orders are lost?"""


def main() -> None:
    """Run the command line and leave with its exit code."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # how a pipeline or a closed terminal says Ctrl-C
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup means that we go on
            signal.signal(number, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without our signs shows others in their place
    try:
        code = doorbuster(standalone_mode=False)
    except DoorbusterError as error:
        click.echo(str(error), err=True)
        code = int(error.exit_code)
    except click.ClickException as error:
        error.show()
        code = int(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        code = int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
