"""The HTML page of a run: the manager's screen first, then the engineer's part; one self-contained file.

The page loads nothing. A content security policy enforces that, whatever text a shop or a scenario supplies:
no script runs but those of the engineer's part, whose hashes it names.
"""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.records.reader import Run
from doorbuster.report.figures.fluid_chart import fluid_chart
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.interactive.engineer import engineer_part
from doorbuster.report.overview import Overview
from doorbuster.report.render.html import SIGNS, page_environment, render_chart
from doorbuster.report.render.sealing import sealed
from doorbuster.report.section import Section, in_order


def render_page(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    overview: Overview,
    problems: Sequence[AnalysisError] = (),
    baseline: Sequence[Run] = (),
) -> str:
    """The whole page as HTML text.

    Args: problems: the analysis scripts that failed; baseline: runs to compare percentiles with.
    """
    engineer = engineer_part(run, in_order(sections), results, verdict, problems, baseline)
    chart, rows = overview.chart, overview.channels
    fluid = None if chart is None else fluid_chart(chart)
    return sealed(
        page_environment()
        .get_template("index.html.j2")
        .render(
            meta=run.meta,
            version=__version__,
            overview=overview,
            chart=fluid,
            lead_chart=render_chart(chart, "lead") if chart is not None and fluid is None else None,
            browse=not overview.baseline and any(row.could_browse is not None for row in rows),
            wants="order" if any(row.wants == "order" for row in rows) else "browse",
            sales=sum(row.lost_sales is not None for row in rows) > 1,  # one alone is the figure above
            engineer=engineer,
            signs=SIGNS,
            pens=[*STYLES.values(), *CYCLE],
        )
    )
