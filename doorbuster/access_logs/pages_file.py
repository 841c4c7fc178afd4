"""The mapping file of a log's pages, to be edited and passed with `--map`."""

from __future__ import annotations

import json
from collections import Counter

from doorbuster.access_logs.demand_model import DemandModel
from doorbuster.access_logs.log_map import IGNORE, KINDS
from doorbuster.output import one_line

_MOST = 500


def pages_text(model: DemandModel) -> str:
    """YAML with the kind of every address that people used, the most used first."""
    views = Counter(model.behaviour.views)
    total = max(views.total(), 1)
    lines = [
        "# Kinds of pages found in the log. Correct them, then run the command again with --map FILE.",
        f"# Kinds: {', '.join(KINDS)}.",
        "# In an address, {id} stands for one part and * for anything.",
        "pages:",
    ]
    pages = model.table.pages
    for number, count in views.most_common(_MOST):
        page = pages[number]
        if page.kind.kind not in KINDS or "not in the sample" in page.use.template:
            continue
        note = f"{100 * count / total:.2f} % of page views; {one_line(page.kind.evidence, 80)}"
        lines.append(f"  {json.dumps(page.address)}: {page.kind.kind}  # {note}")
    left_out = [page for page in pages if page.kind.kind == IGNORE and page.use.requests]
    left_out.sort(key=lambda page: -page.use.requests)
    lines += [
        f"  {json.dumps(page.address)}: {IGNORE}  # {one_line(page.kind.evidence, 80)}"
        for page in left_out[:_MOST]
    ]
    return "\n".join(lines if len(lines) > 4 else [*lines[:3], "pages: {}"]) + "\n"
