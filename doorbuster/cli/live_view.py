"""The live view of a run in the terminal: fixed columns, so that nothing moves but the numbers.

Rules of this module
- Pure: a state and the size of the terminal give the picture.
- It fits: rows that do not are counted ("… 3 more"), the worst ones are shown.
- Colour repeats what a word says, for terminals and eyes without colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import NamedTuple, TypeVar

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from doorbuster.live.state import SPARK_S, SPARK_WIDTH_S, STEPS_S, ChannelView, LiveState, Measure, StepView
from doorbuster.units import format_count, format_duration, format_ratio

TWO_COLUMNS = 150  # from this width on, thresholds and channels stand on the right
SPARK_FROM = 56  # below this width there is no room for sparklines
_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"
_STYLES = {"pass": "green", "fail": "bold red", "warn": "yellow", "inconclusive": "yellow", "open": "dim"}
_WORDS = {"pass": "ok", "fail": "FAIL", "warn": "WARN", "inconclusive": "unsure", "open": "open"}
_WORST_FIRST = ("fail", "warn", "inconclusive", "pass", "open")
SILENT_FROM_S = 3.0  # below this, a pause between answers is nothing to tell
T = TypeVar("T")


class ScreenSize(NamedTuple):
    """Columns and rows; `ascii_only` for terminals without block characters."""

    columns: int
    rows: int
    ascii_only: bool = False


def picture(state: LiveState, size: ScreenSize, *, message: str = "") -> RenderableType:
    """The whole view; `message` replaces the line of keys."""
    width = size.columns - 1
    keys = [Text(line, style="bold yellow") for line in wrap(message, width)] or [Text(KEYS, style="dim")]
    footer = [_outcome_line(state), _generator_line(state), *keys]
    if size.columns >= TWO_COLUMNS:
        half = (width - 3) // 2
        room = max(12, size.rows - 1 - 2 - 1 - len(footer))
        above = max(len(state.measures) + 1, min(len(state.thresholds) + 1, room // 2))
        grid = Table.grid(padding=(0, 3, 0, 0))
        grid.add_column(width=half)
        grid.add_column(width=half)
        grid.add_row(_measures(state, half, size), _thresholds(state, half, above))
        grid.add_row(Text(), Text())
        below = room - above
        grid.add_row(_steps(state.steps, half, below), _channels(state.channels, half, below))
        body: list[RenderableType | None] = [grid]
    else:
        room = max(4, size.rows - 1 - 2 - 1 - len(state.measures) - len(footer))
        shares = _shares(
            room, *(len(rows) + 1 if rows else 0 for rows in (state.thresholds, state.steps, state.channels))
        )
        body = [
            _measures(state, width, size),
            _thresholds(state, width, shares[0]),
            _steps(state.steps, width, shares[1]),
            _channels(state.channels, width, shares[2]),
        ]
    lines: list[RenderableType | None] = [
        _cut(state.title, width, "bold"),
        _progress(state, width),
        *body,
        *footer,
    ]
    for line in lines:
        if isinstance(line, Text):
            line.truncate(width, overflow="ellipsis")
            line.no_wrap = True
    return Group(*(line for line in lines if line is not None))


KEYS = "q or Ctrl-C ends the run in an orderly way"


def stopping_message(in_shop: int | None) -> str:
    """What the first Ctrl-C does."""
    are = "customer is" if in_shop == 1 else "customers are"
    people = "" if in_shop is None else f" {format_count(in_shop)} {are} sent home;"
    return f"stopping:{people} press Ctrl-C again to end now"


def one_line_of(state: LiveState) -> str:
    """The state in one line, for logs."""
    now = {one.name: one for one in state.measures}
    parts = [f"{format_count(state.in_shop)} {'in the shop' if state.has_customers else 'users'}"]
    shares = (name for name in ("could order", "could browse", "failed") if name in now)
    parts += [f"{name} {shown(now[name], recent=True)}" for name in shares]
    parts.append(f"p95 {shown(now['p95'], recent=True)}")
    parts.append(f"{shown(now['requests'], recent=True)} requests")
    failing = [one.rule for one in state.thresholds if one.state == "fail"]
    failing_part = f"; failing: {', '.join(failing)}" if failing else ""
    return f"{percent(state):3.0f} % {_clock(state)}: {', '.join(parts)}{failing_part}"


def percent(state: LiveState) -> float:
    """How much of the schedule is over."""
    return min(100.0, 100.0 * state.at_s / state.duration_s) if state.duration_s else 0.0


def shown(measure: Measure, *, recent: bool) -> str:
    """A figure with its unit; "-" without data."""
    value = measure.recent if recent else measure.whole
    if value is None:
        return "-"
    match measure.unit:
        case "per_s":
            return f"{value:.3g}/s" if value < 1000 else f"{value:,.0f}/s"
        case "ratio":
            return format_ratio(value)
        case "s":
            return format_duration(value)
        case _:
            return format_count(round(value))


def sparkline(
    values: Sequence[float | None], width: int, *, ratio: bool = False, ascii_only: bool = False
) -> str:
    """Bars from 0 to the highest value, or to 100 % of a ratio; a space where nothing was counted."""
    last = values[-width:]
    bars = _ASCII_BARS if ascii_only else _BARS
    top = 1.0 if ratio else max((value for value in last if value is not None), default=0.0)
    return "".join(
        " "
        if value is None
        else bars[min(len(bars) - 1, int(value / top * len(bars)))]
        if top > 0
        else bars[0]
        for value in last
    )


def whole_seconds(seconds: float) -> str:
    """A time to the second: "0 s", "45 s", "1m15s"."""
    return format_duration(round(seconds)) if seconds >= 0.5 else "0 s"


def _clock(state: LiveState) -> str:
    if state.state == "stopping":
        return "stopping"
    phase = {"running": state.phase or "sending load", "draining": "last customers leave"}.get(
        state.state, state.state
    )
    if state.state != "running":
        return f"{phase}, {whole_seconds(state.at_s)}"
    return (
        f"{phase}, {whole_seconds(state.at_s)} of {format_duration(state.duration_s)}, "
        f"{whole_seconds(state.left_s)} left"
    )


def _progress(state: LiveState, width: int) -> RenderableType:
    text = _clock(state)
    bar = Table.grid(padding=(0, 2, 0, 0))
    if width - len(text) < 12:
        return Text(text, style="cyan")
    bar.add_column(width=len(text), no_wrap=True)
    bar.add_column(width=width - len(text) - 3)
    done = min(state.at_s, state.duration_s)
    bar.add_row(Text(text, style="cyan"), ProgressBar(total=max(state.duration_s, 1e-9), completed=done))
    return bar


def _measures(state: LiveState, width: int, size: ScreenSize) -> RenderableType:
    sparks = width >= SPARK_FROM
    spark_width = min(SPARK_S // SPARK_WIDTH_S, width - 12 - 2 * 12 - 4)
    table = _fixed((12, "left"), (11, "right"), (11, "right"), *(((spark_width, "left"),) if sparks else ()))
    head = [Text(), Text("last 10 s", style="dim"), Text("whole run", style="dim")]
    table.add_row(*head, *([Text("last 60 s", style="dim")] if sparks else []))
    for one in state.measures:
        recent = Text(shown(one, recent=True), style="bold")
        if one.name == "p95" and one.recent is None and state.silent_s >= SILENT_FROM_S:
            recent = Text(f"silent {whole_seconds(state.silent_s)}", style="bold red")
        row = [
            Text(one.name),
            recent,
            Text("" if one.name in ("in the shop", "users") else shown(one, recent=False)),
        ]
        if sparks:
            line = sparkline(one.spark, spark_width, ratio=one.unit == "ratio", ascii_only=size.ascii_only)
            row.append(Text(line, style="cyan"))
        table.add_row(*row)
    return table


def _thresholds(state: LiveState, width: int, room: int) -> RenderableType | None:
    if room < 2 or not state.thresholds:
        return None
    ordered = sorted(state.thresholds, key=lambda one: _WORST_FIRST.index(one.state))
    table = _fixed((6, "left"), (width - 6 - 14 - 4, "left"), (14, "right"))
    rows, head = _fitting(ordered, room - 1, "thresholds", width - 24)
    table.add_row(Text(""), Text(head, style="dim"), Text("so far", style="dim"))
    for one in rows:
        style = _STYLES[one.state]
        table.add_row(
            Text(_WORDS[one.state], style=style), Text(one.rule), Text(one.value or "-", style=style)
        )
    return table


def _steps(steps: Sequence[StepView], width: int, room: int) -> RenderableType | None:
    if room < 2 or not steps:
        return None
    name = max(10, width - 4 * 2 - 9 - 8 - 9)
    table = _fixed((min(name, 48), "left"), (9, "right"), (8, "right"), (9, "right"))
    rows, head = _fitting(steps, room - 1, f"worst steps, last {STEPS_S} s", min(name, 48))
    table.add_row(*(Text(text, style="dim") for text in (head, "requests", "lost", "p95")))
    for one in rows:
        lost = one.failed + one.abandoned
        share = Text(format_ratio(lost / one.n) if one.n else "-", style="red" if lost else "")
        time = "-" if one.p95_s is None else format_duration(one.p95_s)
        place = f"{one.channel} {one.step}".strip()
        table.add_row(Text(place), Text(format_count(one.n)), share, Text(time))
    return table


def _channels(channels: Sequence[ChannelView], width: int, room: int) -> RenderableType | None:
    if room < 2 or not channels:
        return None
    numbers = max(7, min(10, (width - 12) // 5 - 2))
    name = max(8, min(24, width - 5 * (numbers + 2)))
    table = _fixed((name, "left"), *((numbers, "right"),) * 5)
    worst_first = sorted(channels, key=lambda one: (-one.lost, -one.started, one.name))
    rows, head = _fitting(worst_first, room - 1, "channels", name)
    heads = (head, "arrived", "inside", "served", "lost", "order")
    table.add_row(*(Text(text, style="dim") for text in heads))
    for one in rows:
        order = format_ratio(one.could_order / one.wanted_order) if one.wanted_order else "-"
        counts = (one.started, one.in_shop, one.served)
        lost = Text(format_count(one.lost), style="red" if one.lost else "")
        table.add_row(Text(one.name), *(Text(format_count(n)) for n in counts), lost, Text(order))
    return table


def _outcome_line(state: LiveState) -> Text:
    if not state.has_customers:
        return Text()
    counts = [f"{name} {format_count(n)}" for name, n in state.outcomes.items()]
    done = f"{format_count(state.finished)} of {format_count(state.planned)} customers have left"
    return Text(f"{done}: {', '.join(counts)}" if counts else f"{done}")


def _generator_line(state: LiveState) -> Text:
    one = state.generator
    if not one.workers:
        return Text("generator: no report yet", style="dim")
    cpu = "" if one.cpu_ratio is None else f"CPU {one.cpu_ratio * 100:.0f} % of a core"
    late = "" if one.late_p99_s is None else f"starts {format_duration(one.late_p99_s)} late (p99)"
    dropped = f"{format_count(one.dropped)} dropped" if one.dropped else ""
    workers = f"{one.workers} workers" if one.workers > 1 else ""
    verdict = "healthy" if one.is_healthy else "OVERLOADED"
    text = ", ".join(part for part in (cpu, late, dropped, workers) if part)
    return Text(f"generator {verdict}: {text}", style="" if one.is_healthy else "bold red")


def _fixed(*columns: tuple[int, str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for width, justify in columns:
        table.add_column(width=width, justify=justify, no_wrap=True, overflow="ellipsis")  # type: ignore[arg-type]
    return table


def _fitting(rows: Sequence[T], room: int, name: str, width: int) -> tuple[Sequence[T], str]:
    """The rows that fit, and the heading, which counts the others."""
    more = len(rows) - room
    head = f"{name} ({more} more)" if more > 0 else name
    return rows[:room], head if len(head) <= width else f"{name.split(',', maxsplit=1)[0]} +{more}"


def _shares(room: int, *wanted: int) -> list[int]:
    """Rows for each block: in turn, until the room or the wishes end."""
    given = [0] * len(wanted)
    while sum(given) < room and any(have < want for have, want in zip(given, wanted, strict=True)):
        for place, want in enumerate(wanted):
            if given[place] < want and sum(given) < room:
                given[place] += 1
    return given


def _cut(text: str, width: int, style: str) -> Text:
    found = Text(text, style=style)
    found.truncate(width, overflow="ellipsis")
    return found
