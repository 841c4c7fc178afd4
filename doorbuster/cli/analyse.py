"""`doorbuster analyse`: the verdict on a run and what matters, on one screen; single sections on request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from doorbuster.cli.options import run_argument
from doorbuster.cli.section_scripts import analysis_scripts
from doorbuster.output import say, say_lines

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from doorbuster.records.reader import Run
    from doorbuster.report import AnalysisResult


def _complete_sections(_ctx: click.Context, _param: click.Parameter, typed: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(path.stem) for path in analysis_scripts() if path.stem.startswith(typed)]


@click.command("analyse")
@run_argument
@click.option("--all", "every", is_flag=True, help="Print every section, with its curves and tables.")
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="NAME",
    shell_complete=_complete_sections,
    help="Print this section, a script in analysis/, e.g. latency. Repeat for several.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the results as JSON, as in summary.json; with --section, only those sections.",
)
def command(run: Path, *, every: bool, sections: tuple[str, ...], as_json: bool) -> int:
    """Print the verdict on RUN and what matters on one screen: figures, channels, cause and next step.

    RUN is a run folder, e.g. reports/sample, or its run.sqlite.

    \b
    Example: doorbuster analyse reports/sample
             doorbuster analyse reports/sample --section latency --section errors
    """
    from doorbuster.errors import UsageError
    from doorbuster.records.reader import Run
    from doorbuster.scenario.parsing.diagnostics import did_you_mean

    scripts = {path.stem: path for path in analysis_scripts()}
    unknown = [name for name in sections if name not in scripts]
    if unknown:
        problems = (f"unknown section {name}; {did_you_mean(name, scripts)}" for name in unknown)
        raise UsageError("\n".join(problems))
    if every and sections:
        raise UsageError("--all prints every section; leave out --section")
    if every and as_json:
        raise UsageError("--json has every section anyway; leave out --all")
    with Run.open(run) as opened:
        if as_json:
            return _print_json(opened, sections)
        if every or sections:
            return _print_sections(
                opened, [scripts[name] for name in sections or scripts], in_report_order=every
            )
        return _print_overview(opened)


def _print_overview(run: Run) -> int:
    from doorbuster.cli.run_workflow import judge_run, recorded_run_scenario
    from doorbuster.report import in_order
    from doorbuster.report.render.overview_terminal import print_overview

    judged = judge_run(run, recorded_run_scenario(run))
    print_overview(judged.overview)
    names = ", ".join(section.name for section in in_order(judged.analysed.sections))
    say()
    say(f"more: --section NAME ({names}) or --all", style="dim")
    return _after(judged.analysed)


def _print_sections(run: Run, paths: Sequence[Path], *, in_report_order: bool) -> int:
    from doorbuster.report import analyse_run, in_order, print_section

    analysed = analyse_run(run, paths)
    for section in in_order(analysed.sections) if in_report_order else analysed.sections:
        print_section(section)
    return _after(analysed)


def _print_json(run: Run, names: Sequence[str]) -> int:
    from doorbuster.cli.run_workflow import judge_run, recorded_run_scenario
    from doorbuster.report.render.json import render_json

    judged = judge_run(run, recorded_run_scenario(run))
    shown = [section for section in judged.analysed.sections if not names or section.name in names]
    text = render_json(run, shown, judged.results, judged.verdict, judged.overview, judged.analysed.errors)
    say_lines(text.rstrip("\n"))
    return _after(judged.analysed)


def _after(analysed: AnalysisResult) -> int:
    """The exit code, after naming the scripts that failed on standard error."""
    from doorbuster.errors import ExitCode

    for error in analysed.errors:
        say_lines(str(error), error=True)
    return int(ExitCode.SCRIPT_EXCEPTION) if analysed.errors else 0
