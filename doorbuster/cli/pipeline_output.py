"""Writes what GitHub shows of a step: annotations, job summary and outputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from doorbuster.errors import UsageError
from doorbuster.output import flat, say_lines

if TYPE_CHECKING:
    from doorbuster.cli.run_workflow import JudgedRun


def github_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option --github of verbs that end with a verdict."""
    return click.option(
        "--github/--no-github",
        default=None,
        help="Write annotations, job summary and outputs for GitHub Actions. Default: where it runs.",
    )(command)


def write_github(judged: JudgedRun, markdown: str, folder: Path, *, wanted: bool | None) -> None:
    """Print annotations; append to the files of the job summary and of the step's outputs.

    Args: markdown: the summary; wanted: None for "if this is a job of GitHub Actions".
    Raises: UsageError when one of the files cannot be written.
    """
    from doorbuster.report.render.ci_outputs import annotation_lines, outputs, step_summary

    if not (os.environ.get("GITHUB_ACTIONS") == "true" if wanted is None else wanted):
        return
    say_lines("\n".join(annotation_lines(judged.results, judged.verdict)))
    _append("GITHUB_STEP_SUMMARY", step_summary(markdown))
    found = outputs(judged.verdict, str(folder))
    _append("GITHUB_OUTPUT", "".join(f"{name}={flat(str(value))}\n" for name, value in found.items()))


def _append(variable: str, text: str) -> None:
    """Append to the file that an environment variable names; nothing without it."""
    name = os.environ.get(variable)
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{variable}: cannot write {name}: {error.strerror}") from error
