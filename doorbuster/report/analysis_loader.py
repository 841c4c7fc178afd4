"""Loads analysis scripts by path and runs them on a recorded run; bundled scripts have no privileges.

A script is a Python file with a function `analyse(context: RunContext) -> Section`. When one raises, the
others still run, and the failure is reported with its file and line.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from doorbuster.errors import AnalysisError, RecordError
from doorbuster.output import named_exception
from doorbuster.records.reader import Run
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Section

Analyse = Callable[[RunContext], Section]


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """The sections of a run, in the order of their scripts, and the errors of scripts that failed."""

    sections: tuple[Section, ...]
    errors: tuple[AnalysisError, ...] = ()


def analyse_run(run: Run, paths: Iterable[Path]) -> AnalysisResult:
    """Every script's section.

    Args:
        run: the run to analyse.
        paths: scripts, or folders of scripts (each `*.py` that does not start with "_", by name).
    """
    sections: list[Section] = []
    errors: list[AnalysisError] = []
    context = RunContext(run)
    for path in _scripts(paths):
        try:
            section = _analyse(load_analysis(path), context, path)
            clash = next((known.name for known in sections if known.name == section.name), None)
            if clash is not None:
                raise AnalysisError(
                    f"{path}: section name {clash!r} is taken by an earlier script; choose another"
                )
            sections.append(section)
        except AnalysisError as error:
            errors.append(error)
    return AnalysisResult(tuple(sections), tuple(errors))


def load_analysis(path: Path) -> Analyse:
    """The `analyse` function of a script.

    Raises: AnalysisError naming the file, the line and the exception, or what is missing.
    """
    path = path.resolve()
    if not path.is_file():
        raise AnalysisError(f"{path}: no such analysis script; give the path of a .py file")
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
    name = f"_doorbuster_analysis_{path.stem}_{digest}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AnalysisError(f"{path}: not a Python file; an analysis script ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look up the module of a script
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # main(analyse) without `if __name__ == "__main__"` exits
        del sys.modules[name]
        raise _located(path, error) from error
    analyse = getattr(module, "analyse", None)
    if not callable(analyse):
        raise AnalysisError(f"{path}: must define a function analyse(context) that returns a Section")
    function: Analyse = analyse
    return function


def _analyse(analyse: Analyse, context: RunContext, path: Path) -> Section:
    try:
        section = analyse(context)
    except (AnalysisError, RecordError):  # the latter: the run file is damaged, not the script
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _located(path, error) from error
    if not isinstance(section, Section):
        raise AnalysisError(f"{path}: analyse(context) must return a Section (got {type(section).__name__})")
    return section


def _located(path: Path, error: BaseException) -> AnalysisError:
    """The error with the innermost line of the script itself."""
    line = 0
    if isinstance(error, SyntaxError) and error.lineno:
        line = error.lineno
    for frame in traceback.extract_tb(error.__traceback__):
        if Path(frame.filename).resolve() == path.resolve() and frame.lineno:
            line = frame.lineno
    return AnalysisError(f"{path}:{line}: {named_exception(error)}")


def _scripts(paths: Iterable[Path]) -> Iterator[Path]:
    """One after another, so that the caller's iterable sees the progress."""
    for path in paths:
        if path.is_dir():
            yield from sorted(found for found in path.glob("*.py") if not found.name.startswith("_"))
        else:
            yield path
