"""The HTML page of a run: the manager's screen first, then the engineer's part; one self-contained file.

The page loads nothing. A content security policy enforces that, whatever text a shop or a scenario supplies:
no script runs but those of the engineer's part, whose hashes it names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

from doorbuster import __version__
from doorbuster.errors import AnalysisError
from doorbuster.gate import ThresholdResult, Verdict
from doorbuster.records.reader import Run
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.interactive.engineer import engineer_part
from doorbuster.report.render.html import (
    SIGNS,
    facts,
    headline_section,
    page_environment,
    recommendations,
    started_at,
)
from doorbuster.report.section import Section, in_order


def render_page(
    run: Run,
    sections: Sequence[Section],
    results: Sequence[ThresholdResult],
    verdict: Verdict,
    problems: Sequence[AnalysisError] = (),
) -> str:
    """The whole page as HTML text; `problems` are the analysis scripts that failed."""
    meta = run.meta
    ordered = in_order(sections)
    engineer = engineer_part(run, ordered, results, verdict, problems)
    return (
        page_environment()
        .get_template("index.html.j2")
        .render(
            meta=meta,
            policy=_policy(engineer.scripts),
            engineer=engineer,
            version=__version__,
            started=started_at(meta),
            verdict=verdict,
            verdict_text=_without_badge(verdict),
            lead=headline_section(ordered),
            facts=facts(ordered),
            recommendations=recommendations(ordered),
            signs=SIGNS,
            pens=[*STYLES.values(), *CYCLE],
        )
    )


def _without_badge(verdict: Verdict) -> str:
    """The verdict's sentence without its first word, which the page shows as a badge."""
    text = verdict.sentence.partition(": ")[2] or verdict.sentence
    return f"{text[:1].upper()}{text[1:]}"


def _policy(scripts: Sequence[str]) -> str:
    """The content security policy, which allows exactly these scripts."""
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = "".join(f" 'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; style-src 'unsafe-inline'{f'; script-src{allowed}' if allowed else ''}"
