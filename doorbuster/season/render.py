"""The page of a season as HTML and Markdown, and the weekly digest."""

from __future__ import annotations

from doorbuster import __version__
from doorbuster.report.figures.palette import CYCLE, STYLES
from doorbuster.report.formatting import markdown_text
from doorbuster.report.render.html import page_environment, render_sections
from doorbuster.report.render.markdown import markdown_row, markdown_table
from doorbuster.report.render.sealing import sealed
from doorbuster.season.indicators import LABELS, IndicatorWeek, limit_text
from doorbuster.season.page import (
    COLOUR_TONES,
    METHOD,
    SeasonPage,
    made_on,
    next_steps,
    season_page,
    season_sentence,
)
from doorbuster.season.season_status import SeasonStatus
from doorbuster.season.wording import SIGNS


def render_season_html(status: SeasonStatus) -> str:
    """The page; it loads nothing and runs no script."""
    page = season_page(status)
    template = page_environment().get_template("season.html.j2")
    html = template.render(
        page=page,
        made_on=made_on(status.today),
        tones=COLOUR_TONES,
        signs=SIGNS,
        rendered_sections=render_sections(page.sections),
        notes=METHOD,
        version=__version__,
        pens=[*STYLES.values(), *CYCLE],
    )
    return sealed(html)


def render_season_markdown(status: SeasonStatus) -> str:
    """The same content as Markdown, without figures."""
    page = season_page(status)
    lines = [f"# {markdown_text(page.title)}", "", f"**{page.badge}.** {markdown_text(page.sentence)}", ""]
    lines += [markdown_row(fact.label for fact in page.facts), markdown_row("---" for _ in page.facts)]
    lines += [
        markdown_row(
            f"**{markdown_text(fact.value)}**<br>{markdown_text(fact.detail)}" for fact in page.facts
        )
    ]
    lines += ["", "| Indicator | Now | 95 % interval | Limit |", "|---|---|---|---|"]
    lines += [
        markdown_row((f"{SIGNS[reading.colour]} {label}", *(markdown_text(text) for text in
                      (reading.text, reading.detail, limit))))
        for label, reading, limit in page.readings
    ]  # fmt: skip
    lines += _steps(page)
    for section in page.sections:
        lines += ["", f"## {markdown_text(section.question)}", "", markdown_text(section.sentence)]
        lines += [f"- {markdown_text(finding)}" for finding in section.findings]
        for table in section.tables:
            lines += ["", *markdown_table(table)]
    lines += ["", "## Method", "", *(f"- {markdown_text(note)}" for note in METHOD)]
    return "\n".join([*lines, "", f"{made_on(status.today)}, by doorbuster {__version__}.", ""])


def _steps(page: SeasonPage) -> list[str]:
    if not page.steps:
        return []
    return [
        "",
        "**What to do next**",
        "",
        *(f"{n}. {markdown_text(step)}" for n, step in enumerate(page.steps, 1)),
    ]


def render_digest(status: SeasonStatus) -> str:
    """The digest of the latest week with a reading, as Markdown for a message."""
    title = f"# {markdown_text(status.season.title)}: {max(status.days_left, 0)} days left"
    lines = [title, "", markdown_text(season_sentence(status)), ""]
    if not status.weeks:
        return "\n".join([*lines, "No usable run and no capacity search yet.", ""])
    week = status.weeks[-1]
    lines += [
        f"Week {week.week} of {week.year}:",
        "",
        "| Indicator | Last | Worst day | Week before | Limit |",
    ]
    lines += ["|---|---|---|---|---|"]
    lines += [_digest_row(status, week, name) for name in LABELS]
    steps = [f"{n}. {markdown_text(step)}" for n, step in enumerate(next_steps(status), 1)]
    return "\n".join([*lines, "", "Next:", "", *steps, ""])


def _digest_row(status: SeasonStatus, week: IndicatorWeek, name: str) -> str:
    reading, before = week.readings[name], week.before.get(name)
    worst = week.worst[name]
    cells = (
        LABELS[name], f"{SIGNS[reading.colour]} {reading.text}",
        "–" if worst == "unknown" else f"{SIGNS[worst]} {worst}", before.text if before else "–",
        limit_text(name, status.season.limits, status.money),
    )  # fmt: skip
    return markdown_row(markdown_text(cell) for cell in cells)
