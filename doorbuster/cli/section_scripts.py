"""Finds the scripts of report sections, and runs some of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.bundled import search_path

if TYPE_CHECKING:
    from doorbuster.gate import HasMetrics
    from doorbuster.records.reader import Run


def analysis_scripts() -> tuple[Path, ...]:
    """The section scripts: the bundled ones, extended or overridden by the user's own."""
    found: dict[str, Path] = {}
    for folder in reversed(search_path("analysis")):
        found.update({path.name: path for path in sorted(folder.glob("[!_]*.py"))})
    return tuple(found.values())


def analyse_sections(run: Run, names: frozenset[str]) -> Sequence[HasMetrics]:
    """The report sections of these names."""
    from doorbuster.report import analyse_run

    return analyse_run(run, [path for path in analysis_scripts() if path.stem in names]).sections
