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
from doorbuster.report.render.ci_outputs import render_badge, render_load_performance
from doorbuster.report.render.json import render_json
from doorbuster.report.render.junit import render_junit
from doorbuster.report.render.markdown import render_markdown
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
    pdf: bool = False,
    baseline: Sequence[Run] = (),
) -> tuple[Path, ...]:
    """Write the files and return their paths.

    Args:
        folder: created if missing.
        problems: analysis scripts that failed, listed in the report.
        overview: of the same run; made from the others by default.
        pdf: also report.pdf.
        baseline: runs whose percentiles the page shows beside those of the run.
    Raises: RecordError when a file cannot be written.
    """
    if overview is None:
        overview = build_overview(run, sections, results, verdict)
    contents: dict[str, str | bytes] = {
        "index.html": render_page(run, sections, results, verdict, overview, problems, baseline),
        "summary.md": render_markdown(run, sections, results, verdict, overview),
        "junit.xml": render_junit(run, results, verdict),
        "summary.json": render_json(run, sections, results, verdict, overview, problems),
        "load-performance.json": render_load_performance(run),
        "badge.json": render_badge(run, sections, verdict),
    }
    if pdf:
        from doorbuster.report.pdf import render_pdf, run_document

        contents["report.pdf"] = render_pdf(run_document(run.meta, overview, results, sections))
    return write_files(folder, contents)


def check_folder(folder: Path) -> None:
    """Make the folder of a report, before the work that fills it.

    Raises: RecordError when it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _not_writable(folder, error) from error


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> tuple[Path, ...]:
    """Write the files of a report, each in one step, and return their paths.

    Raises: RecordError when a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(_put(folder / name, content) for name, content in contents.items())
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder: Path, error: OSError) -> RecordError:
    return RecordError(f"{folder}: cannot write the report: {error.strerror}; name another folder")


def _put(path: Path, content: str | bytes) -> Path:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path
