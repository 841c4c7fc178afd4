"""A page of sections that is not about one run, such as a history; self-contained like a run's report."""

from __future__ import annotations

from collections.abc import Sequence

from doorbuster import __version__
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.render.html import page_environment, render_sections
from doorbuster.report.render.sealing import sealed
from doorbuster.report.section import Section


def render_sections_page(
    title: str, sentence: str, sections: Sequence[Section], *, notes: Sequence[str], source: str
) -> str:
    """The whole page as HTML text.

    Args: sentence: the headline; notes: method and limits; source: what the page was made from.
    """
    template = page_environment().get_template("sections.html.j2")
    page = template.render(
        title=title,
        sentence=sentence,
        rendered_sections=render_sections(sections),
        notes=notes,
        source=source,
        version=__version__,
        signs={},
        pens=[*STYLES.values(), *CYCLE],
    )
    return sealed(page)
