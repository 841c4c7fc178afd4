"""What the page's script knows of a run: request histograms, customers, orders, health, exemplars.

The page holds it as one compressed block: the length of a JSON text, that text, then the packed cells of the
requests. Every list over time has one value per bucket; columns hold one value per row. All texts are
foreign; they are cleaned here, and the script only ever shows them as text.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from doorbuster.output import one_line
from doorbuster.records.batch import Exemplar, SeriesKey
from doorbuster.records.outcome import Outcome, RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.figures.palette import STYLES
from doorbuster.report.interactive.figure_data import PlacedChart, figure_data, short
from doorbuster.report.interactive.request_cells import RequestCells, pooled_cells, request_cells
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Section
from doorbuster.scenario import Threshold

MAX_EXEMPLARS = 400
NO_FIGURES: Mapping[str, PlacedChart] = {}
_MARKING = frozenset({"customers", "latency"})  # sections whose moments every chart shows
_LENGTH = struct.Struct("<I")

Json = dict[str, Any]


class Names:
    """Numbers for texts, in the order in which they first appear."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self._numbers.setdefault(text, len(self._numbers))

    @property
    def texts(self) -> list[str]:
        return [one_line(text, 120) for text in self._numbers]


def run_data(
    context: RunContext,
    sections: Sequence[Section],
    figures: Mapping[str, PlacedChart] = NO_FIGURES,
    baseline: Sequence[Run] = (),
) -> str:
    """Everything about one run as base64 text.

    Args:
        sections: for the moments that their figures mark.
        figures: charts for the script to draw, by the ids of their places.
        baseline: runs to compare percentiles with.
    """
    run = context.run
    cells = request_cells(run)
    width_s, names = cells.width_s, Names()
    before = [pooled_cells(baseline)] if baseline else []
    length = -(-max(run.recorded_s, context.customers_in_shop.size, 1) // width_s)
    document: Json = {
        "width_s": width_s,
        "buckets": length,
        "closed": context.is_closed,
        "runs": [
            _series("this run", cells, names),
            *(_series(_arm("baseline", baseline), part, names) for part in before),
        ],
        "arrivals": _arrivals(run, width_s, length, names),
        "ends": [[end.label, STYLES[end].variable] for end in Outcome],
        "dropped": list(Outcome).index(Outcome.DROPPED),
        "in_shop": _per_bucket(context.customers_in_shop, width_s, length, np.max),
        "customers": _customers(run, width_s, names),
        "orders": _orders(run, width_s, length, names),
        "timings": _timings(run, names),
        "observed": _observed(run, width_s, length),
        "health": _health(run, width_s, length),
        "exemplars": _exemplars(run.exemplars(), names),
        "phases": [[one_line(name), from_s, to_s] for name, from_s, to_s in context.phases],
        "moments": _moments(sections),
        "thresholds": _latency_thresholds(context.thresholds),
        "figures": figure_data(figures),
        "trace_url": context.trace_url,
    }
    return _encoded(document, names, [cells, *before])


def comparison_data(baseline: Sequence[Run], candidate: Sequence[Run]) -> str:
    """The request histograms of both builds, without a course over time; the candidate comes first."""
    names = Names()
    arms = [pooled_cells(runs) for runs in (candidate, baseline)]
    titles = (_arm("candidate", candidate), _arm("baseline", baseline))
    document: Json = {
        "runs": [_series(title, cells, names) for title, cells in zip(titles, arms, strict=True)],
    }
    return _encoded(document, names, arms)


def _arm(name: str, runs: Sequence[Run]) -> str:
    return name if len(runs) == 1 else f"{name} ({len(runs)} runs)"


def _encoded(document: Json, names: Names, cells: Iterable[RequestCells]) -> str:
    document["names"] = names.texts
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    whole = b"".join((_LENGTH.pack(len(text)), text, *(part.packed() for part in cells)))
    return base64.b64encode(zlib.compress(whole, 9)).decode("ascii")


def _series(title: str, cells: RequestCells, names: Names) -> Json:
    """The series of a run, as numbers of names, and the sizes with which the script reads the cells."""
    return {
        "title": title,
        "slots": int(cells.series.size),
        "entries": int(cells.bins.size),
        "series": [_key(key, names) for key in cells.keys],
    }


def _key(key: SeriesKey, names: Names) -> list[int]:
    outcome = list(RequestOutcome).index(RequestOutcome(key.outcome))
    return [names.number(key.channel), names.number(key.journey), names.number(key.step), outcome,
            names.number(key.cause)]  # fmt: skip


def _arrivals(run: Run, width_s: int, length: int, names: Names) -> list[list[Any]]:
    return [
        [names.number(channel), *(_per_bucket(column, width_s, length, np.sum) for column in series)]
        for channel, series in run.arrivals().items()
    ]


def _per_bucket(
    seconds: np.ndarray, width_s: int, length: int, join: Callable[..., Any]
) -> list[float | None]:
    """Values per second joined by bucket; None where there is none."""
    found = []
    for at in range(length):
        part = seconds[at * width_s : (at + 1) * width_s]
        found.append(float(join(part)) if part.size else None)
    return [int(value) if value is not None and value.is_integer() else value for value in found]


def _columns(counted: Mapping[tuple[int | float, ...], float]) -> list[list[float]]:
    """Rows as columns, the count last."""
    return [list(column) for column in zip(*((*key, n) for key, n in sorted(counted.items())), strict=True)]


def _customers(run: Run, width_s: int, names: Names) -> list[list[float]]:
    """Columns: bucket, channel, journey, outcome, step, cause, could browse, could order, n.

    Could and could not are 1 and 0; -1 where the customer did not want to.
    """
    found: Counter[tuple[int | float, ...]] = Counter()
    ends = list(Outcome)
    for row in run.customers(width_s):
        could = (-1 if could is None else int(could) for could in (row.browse, row.order))
        found[(
            row.second // width_s, names.number(row.channel), names.number(row.journey),
            ends.index(Outcome(row.outcome)), names.number(row.step), names.number(row.cause), *could,
        )] += row.n  # fmt: skip
    return _columns(found)


def _orders(run: Run, width_s: int, length: int, names: Names) -> Json:
    """Order attempts by bucket of their answer, and what the shop's ledger placed and picked by bucket."""
    attempts: Counter[tuple[int | float, ...]] = Counter()
    for order in run.orders():
        attempts[(
            int(order.answered_s) // width_s, names.number(order.channel), names.number(order.journey),
            names.number(order.answer),
        )] += 1  # fmt: skip
    ledger = run.ledger()
    if ledger is None:
        return {"attempts": _columns(attempts), "placed": None, "picked": None}
    placed = _counts((order.placed_at_s for order in ledger.orders), width_s, length)
    picked = _counts(
        (order.picked_at_s for order in ledger.orders if order.picked_at_s is not None), width_s, length
    )
    return {"attempts": _columns(attempts), "placed": placed, "picked": picked if any(picked) else None}


def _counts(at_s: Iterable[float], width_s: int, length: int) -> list[int]:
    found = [0] * length
    for second in at_s:
        bucket = int(second) // width_s
        if 0 <= bucket < length:
            found[bucket] += 1
    return found


def _timings(run: Run, names: Names) -> list[list[float]]:
    """Columns: minute, channel, journey, step, entry, total in us, estimated answers that it stands for."""
    total: defaultdict[tuple[int, ...], float] = defaultdict(float)
    weight: defaultdict[tuple[int, ...], float] = defaultdict(float)
    for row in run.server_timing_minutes():
        series = row.series
        key = (row.minute, *(names.number(text) for text in (*series[:3], row.entry)))
        total[key] += row.total_us
        weight[key] += row.weight
    return _columns({(*key, round(us)): weight[key] for key, us in total.items()})


def _health(run: Run, width_s: int, length: int) -> Json:
    """The busiest worker of each bucket: share of a core, delay of a timer in ms; requests waiting in ms."""
    cpu, lag, wait = np.zeros((3, length * width_s))
    seen = np.zeros(length * width_s, bool)
    for rows in run.health().values():
        for row in rows:
            if row.second < seen.size:
                cpu[row.second] = max(cpu[row.second], row.cpu_ratio)
                lag[row.second] = max(lag[row.second], row.loop_lag_ms)
                wait[row.second] += row.pool_wait_ms
                seen[row.second] = True
    if not seen.any():
        return {}

    def joined(column: np.ndarray) -> list[float | None]:
        parts = column.reshape(length, width_s), seen.reshape(length, width_s)
        return [
            round(float(values[known].max()), 4) if known.any() else None
            for values, known in zip(*parts, strict=True)
        ]

    return {"cpu": joined(cpu), "lag_ms": joined(lag), "pool_wait_ms": joined(wait)}


def _observed(run: Run, width_s: int, length: int) -> list[list[Any]]:
    """Rows: what was observed at the target and its largest value by bucket, None where none was read."""
    found: list[list[Any]] = []
    for series in run.observed():
        values: list[float | None] = [None] * length
        for second, value in zip(series.seconds.tolist(), series.values.tolist(), strict=True):
            at = second // width_s
            if 0 <= at < length and math.isfinite(value):
                before = values[at]
                values[at] = value if before is None else max(before, value)
        shown = [None if value is None else short(value) for value in values]
        found.append([one_line(f"{series.title} ({series.source})", 120), shown])
    return found


def _exemplars(found: Iterable[Exemplar], names: Names) -> list[list[Any]]:
    """Rows: is an error, second, series, us, request id, detail, url, status, trace id; slowest first."""
    return [
        [
            int(row.kind == "error"), row.second, _key(row.series, names), row.response_us,
            one_line(row.request_id, 80), one_line(row.detail, 300), one_line(row.url, 200), row.status,
            one_line(row.trace_id, 40),
        ]
        for row in sorted(_once(found), key=lambda row: -row.response_us)[:MAX_EXEMPLARS]
        if not row.series.is_asset
    ]  # fmt: skip


def _once(found: Iterable[Exemplar]) -> list[Exemplar]:
    """Each request once: the slowest with a trace may be among the slowest of all."""
    rows = tuple(found)
    slow = {row.request_id for row in rows if row.kind == "slow"}
    return [row for row in rows if row.kind != "traced" or row.request_id not in slow]


def _moments(sections: Iterable[Section]) -> list[list[Any]]:
    """When ordering broke, when it recovered, when the shop became slow: as the figures mark them."""
    marks = {
        (moment.at, one_line(moment.label, 48))
        for section in sections
        if section.name in _MARKING
        for chart in section.figures
        if chart.x_unit == "clock"
        for moment in chart.moments
    }
    return [[at, label] for at, label in sorted(marks)]


def _latency_thresholds(thresholds: Sequence[Threshold]) -> list[Json]:
    """Upper bounds on percentiles of response times."""
    return [
        {
            "tags": dict(threshold.tags),
            "p": threshold.percentile,
            "bound_ms": threshold.bound,
            "text": one_line(str(threshold), 120),
        }
        for threshold in thresholds
        if threshold.metric == "http_req_duration"
        and threshold.percentile is not None
        and threshold.operator in ("<", "<=")
    ]
