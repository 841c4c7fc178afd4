"""What can be wrong with a log, each in one sentence: other lines than requests, and times that cannot be."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from doorbuster.access_logs.log_pieces import PieceResult
from doorbuster.access_logs.log_requests import LogFormat
from doorbuster.errors import UsageError

MAX_UNREADABLE_RATIO, MIN_UNREADABLE = 0.02, 5
BACKWARDS_S = 15 * 60.0  # a request may be logged that long after it began
FIRST_TIME_S = 631_152_000.0  # 1990


def with_article(description: str) -> str:
    return f"an {description}" if description[:1] in "AEIOU" else f"a {description}"


def no_request(
    files: Sequence[Path], form: LogFormat, lines: int, unreadable: tuple[Path, tuple[int, str]] | None
) -> str:
    counted = "1 line" if lines == 1 else f"{lines:,} lines"
    if unreadable is None:
        names = ", ".join(str(path) for path in files)
        return f"{names}: no request found in {counted}; is this the right log?"
    path, (line, text) = unreadable
    return (
        f"{path}:{line}: no request found in {counted}: not a line of {with_article(form.description)}: "
        f"its shape is {_shape(text)!a}"
    )


def check_bad_lines(result: PieceResult, form: LogFormat, lines_before: int) -> None:
    counts = result.counts
    if counts.unreadable <= max(MIN_UNREADABLE, MAX_UNREADABLE_RATIO * counts.lines):
        return
    line, text = result.unreadable[0]
    raise UsageError(
        f"{result.piece.path}:{lines_before + line}: not a line of {with_article(form.description)}: "
        f"its shape is {_shape(text)!a}; {counts.unreadable:,} of {counts.lines:,} lines are not. "
        "Split a file that mixes formats"
    )


def _shape(text: str) -> str:
    """A line without what may be personal: letters become a, digits 0."""
    return re.sub(r"[0-9]", "0", re.sub(r"[^\W\d_]", "a", text[:60]))


def check_clock(result: PieceResult, before: tuple[float, int] | None, *, unsorted: bool) -> None:
    path, lines_before = result.piece.path, before[1] if before else 0
    if result.first_s < FIRST_TIME_S or result.last_s > time.time() + 86_400.0:
        wrong_s = result.first_s if result.first_s < FIRST_TIME_S else result.last_s
        raise UsageError(
            f"{path}: has the time {clock(wrong_s)}, which is before 1990 or in the future; the server's "
            "clock was wrong, or the column is not a time"
        )
    if unsorted:
        return
    jump_s, line = result.jump_s, result.jump_line
    if before and before[0] and before[0] - result.begins_s > jump_s:
        jump_s, line = before[0] - result.begins_s, 1
    if jump_s > BACKWARDS_S:
        raise UsageError(
            f"{path}:{lines_before + line}: the clock goes back by {jump_s / 60:,.0f} min; correct the times "
            "if the server's clock was set, or add --unsorted if the lines are not in order of time"
        )


def clock(unix_s: float) -> str:
    """A moment as text, in UTC."""
    try:
        return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{unix_s:g} s"
