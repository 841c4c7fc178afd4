"""Writes a comparison as compare.html, compare.md and compare.json, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from doorbuster.compare.build_comparison import BuildComparison
from doorbuster.compare.metric_comparison import Tolerance
from doorbuster.compare.overlay import overlay_charts
from doorbuster.compare.percentile_overlay import percentile_overlay
from doorbuster.compare.render.html import render_comparison_page
from doorbuster.compare.render.json import render_comparison_json
from doorbuster.compare.render.markdown import render_comparison_markdown
from doorbuster.report.write import write_files


def write_comparison(
    comparison: BuildComparison,
    runs: tuple[Sequence[Path], Sequence[Path]],
    folder: Path,
    *,
    tolerance: Tolerance,
    pdf: bool = False,
) -> tuple[Path, ...]:
    """Write the three files and return their paths.

    Args: runs: run files of baseline and candidate, for the charts. pdf: also compare.pdf.
    Raises: RecordError when a file cannot be written.
    """
    charts = overlay_charts(comparison, *runs)
    contents: dict[str, str | bytes] = {
        "compare.html": render_comparison_page(comparison, charts, percentile_overlay(*runs), tolerance),
        "compare.md": render_comparison_markdown(comparison, tolerance),
        "compare.json": render_comparison_json(comparison, tolerance),
    }
    if pdf:
        from doorbuster.compare.render.pdf import render_comparison_pdf

        contents["compare.pdf"] = render_comparison_pdf(comparison, charts, tolerance)
    return write_files(folder, contents)
