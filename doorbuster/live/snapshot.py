"""What the live page receives: everything that it shows, as one JSON text of bounded size.

Rules of this module
- A snapshot is complete, so a page that connects late, reconnects or misses some shows the same.
- Every text is cleaned here and set as text on the page; nothing of a run is ever markup.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from doorbuster.live.state import LiveState, SeriesView, VerdictView
from doorbuster.output import clean

Step = Literal["starting", "running", "report", "done"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The page at a moment.

    step: what the command does; "done" is the last snapshot. message: what it has to say, such as that it
    stops. speed: of a replay, else None. has_report: the server has a report of this run.
    """

    title: str
    step: Step = "starting"
    run: LiveState | None = None
    series: SeriesView | None = None
    verdict: VerdictView | None = None
    message: str = ""
    speed: float | None = None
    has_report: bool = False

    def changed(self, **changes: Any) -> Snapshot:
        """The same with some fields replaced."""
        return replace(self, **changes)

    def to_json(self) -> str:
        """One line of JSON."""
        found = asdict(self)
        if self.run is not None:
            found["run"]["phase"] = self.run.phase
            found["run"]["left_s"] = self.run.left_s
            found["run"]["generator"]["is_healthy"] = self.run.generator.is_healthy
        return json.dumps(_safe(found), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _safe(value: Any) -> Any:
    match value:
        case str():
            return clean(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {clean(key): _safe(item) for key, item in value.items()}
        case list() | tuple():
            return [_safe(item) for item in value]
        case _:
            return value
