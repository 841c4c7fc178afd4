"""`doorbuster analyse`: print report sections of a run."""

from __future__ import annotations

from pathlib import Path

import click

from doorbuster.cli.options import run_argument
from doorbuster.output import say_lines


@click.command("analyse")
@run_argument
@click.argument("sections", nargs=-1)
def command(run: Path, sections: tuple[str, ...]) -> int:
    """Print report sections of RUN in the terminal, with confidence intervals and sample sizes.

    RUN is a run folder, e.g. reports/sample, or its run.sqlite. SECTIONS are names of scripts in analysis/.
    Default: all sections.

    \b
    Example: doorbuster analyse reports/sample latency customers
    """
    from doorbuster.cli.progress import each
    from doorbuster.cli.section_scripts import analysis_scripts
    from doorbuster.errors import ExitCode, UsageError
    from doorbuster.records.reader import Run
    from doorbuster.report import analyse_run, in_order, print_section

    scripts = {path.stem: path for path in analysis_scripts()}
    unknown = [name for name in sections if name not in scripts]
    if unknown:
        raise UsageError(f"unknown section {', '.join(unknown)}; choose from {', '.join(scripts)}")
    with Run.open(run) as opened:
        analysed = analyse_run(
            opened, each("analysing the run", [scripts[name] for name in sections or scripts])
        )
    for section in analysed.sections if sections else in_order(analysed.sections):
        print_section(section)
    for error in analysed.errors:
        say_lines(str(error), error=True)
    return int(ExitCode.SCRIPT_EXCEPTION) if analysed.errors else 0
