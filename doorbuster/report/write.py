"""The report of a run as files: index.html, summary.md, junit.xml, summary.json.

Every file is rendered before any is written, and replaced in one step: a reader never sees half a report, and
a failure leaves the old report unchanged.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from doorbuster.errors import AnalysisError, RecordError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.records.reader import Run
from doorbuster.report.overview import Overview, build_overview
from doorbuster.report.page import render_page
from doorbuster.report.render.json import render_json
from doorbuster.report.render.junit import render_junit
from doorbuster.report.render.markdown import render_markdown
from doorbuster.report.render.pipeline import render_badge, render_load_performance
from doorbuster.report.section import Section


def write_report(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    folder: Path,
    *,
    problems: Sequence[AnalysisError] = (),
    overview: Overview | None = None,
) -> tuple[Path, ...]:
    """Write the files and return their paths.

    Args:
        folder: created if missing.
        problems: analysis scripts that failed, listed in the report.
        overview: of the same run; made from the others by default.
    Raises: RecordError when a file cannot be written.
    """
    if overview is None:
        overview = build_overview(run, sections, results, verdict)
    texts = {
        "index.html": render_page(run, sections, results, verdict, overview, problems),
        "summary.md": render_markdown(run, sections, results, verdict, overview),
        "junit.xml": render_junit(run, results, verdict),
        "summary.json": render_json(run, sections, results, verdict, overview, problems),
        "load-performance.json": render_load_performance(run),
        "badge.json": render_badge(run, sections, verdict),
    }
    return write_files(folder, texts)


def write_files(folder: Path, texts: Mapping[str, str]) -> tuple[Path, ...]:
    """Write the files of a report, each in one step, and return their paths.

    Raises: RecordError when a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_put(folder / name, text) for name, text in texts.items())
    except OSError as error:
        raise RecordError(
            f"{folder}: cannot write the report: {error.strerror}; name another folder"
        ) from error


def _put(path: Path, text: str) -> Path:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
