"""`doorbuster season report`: the page for the board."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from doorbuster.cli.options import Day
from doorbuster.output import say, say_lines

folder_argument = click.argument("folder", default=".", type=click.Path(path_type=Path))
today_option = click.option(
    "--today", type=Day(), metavar="DATE", help="Day from which the days left are counted. Default: today."
)


@click.command("report", short_help="Write the page for the board.")
@folder_argument
@today_option
@click.option("--pdf", is_flag=True, help="Also write season.pdf: a page for the board and an appendix.")
def report(folder: Path, today: datetime | None, pdf: bool) -> int:
    """Write season.html, season.md and digest.md of the season in FOLDER (default: the current folder).

    Reads season.yaml and all that it names. Exit code 104 for a wrong season.yaml.

    \b
    Example: doorbuster season report christmas
    """
    from doorbuster.cli.season_status import status_of
    from doorbuster.report.write import write_files
    from doorbuster.season.page import season_page
    from doorbuster.season.render import render_digest, render_season_html, render_season_markdown

    found, file = status_of(folder, today)
    contents: dict[str, str | bytes] = {
        "season.html": render_season_html(found),
        "season.md": render_season_markdown(found),
        "digest.md": render_digest(found),
    }
    if pdf:
        from doorbuster.season.pdf import render_season_pdf

        contents["season.pdf"] = render_season_pdf(found)
    write_files(file.parent, contents)
    page = season_page(found)
    say(f"{page.badge}. {page.sentence}")
    for fact in page.facts:
        say(f"  {fact.label}: {fact.value}, {fact.detail}")
    for number, step in enumerate(page.steps, 1):
        say(f"  {number}. {step}")
    for run in found.explained:
        for error in run.errors:
            say_lines(str(error), error=True)
    say(f"report:  {file.parent / 'season.html'}")
    return 0
