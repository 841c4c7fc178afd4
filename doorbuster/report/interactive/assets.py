"""The script and the styles of the page, joined from their files.

The files are plain JavaScript and CSS, read in a fixed order; there is no build step. uPlot, a vendored
library for charts (MIT licence, in `vendor/`), comes first. Our own files share one scope and put nothing
into the global one. Comments on lines of their own and indents are left out of the page.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_SCRIPTS = (
    "histogram", "format", "payload", "query", "state", "dom", "chart", "latency_charts", "run_charts",
    "section_charts", "tables", "controls", "main",
)  # fmt: skip
_COMMENTS = re.compile(r"^\s*(?://[^\n]*|/\*\*.*?\*/\s*)$", re.MULTILINE | re.DOTALL)


def _text(name: str) -> str:
    return (files("doorbuster.report.interactive") / name).read_text(encoding="utf-8")


@cache
def page_script() -> str:
    """The whole script, to stand in one `<script>` element."""
    own = "\n".join(_text(f"js/{name}.js") for name in _SCRIPTS)
    lines = filter(None, map(str.strip, _COMMENTS.sub("", own).splitlines()))
    body = "\n".join(lines)
    licence = f"/*! uPlot: {_text('vendor/uplot.LICENSE.txt').strip()} */"  # it asks to stand in every copy
    return f'{licence}\n{_text("vendor/uplot.js").strip()}\n(() => {{\n"use strict";\n{body}\n}})();'


@cache
def page_styles() -> str:
    """The styles of the engineer's part."""
    return f"{_text('vendor/uplot.css').strip()}\n{_text('css/engineer.css').strip()}"
