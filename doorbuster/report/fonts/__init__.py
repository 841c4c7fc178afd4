"""The typeface of reports: Inter 4 (SIL Open Font License 1.1, see OFL.txt).

Latin letters and signs only, with tabular figures in place of the proportional ones. The web font varies in
weight from 400 to 700 for pages; the TrueType fonts of weight 400 and 650 are for PDF. Other letters are
shown in a font of the reader's machine, and in PDF in DejaVu Sans, which comes with matplotlib.
"""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def web_font() -> str:
    """The web font as base64, for a data address in a page's style."""
    return base64.b64encode((FOLDER / "Inter-latin.woff2").read_bytes()).decode("ascii")
