"""Did the users of a plain Locust file keep sending, and what did the target leave unanswered?

    python analysis/users.py reports/<run>

- The workload is closed: a user waits for its answer before it sends the next request, so a slow target
  receives fewer requests, and a stalled one none. Percentiles count requests and therefore miss a stall.
- Stalled: no request was answered for whole seconds while at least half of the users waited.
- Unanswered: requests of HTTP users that were stopped before the answer. Locust does not count them, and they
  are in no percentile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from doorbuster.records.outcome import Cause
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    Unit,
    bucket_s,
    not_applicable,
)
from doorbuster.stats.stalls import Stall, find_stalls
from doorbuster.units import format_count, format_counted, format_duration

QUESTION = "Did the users keep sending requests?"
TIME = "time since the start (min:s)"


def analyse(context: RunContext) -> Section:
    """Users, answered requests, stalls and requests without an answer."""
    run = context.run
    if not context.is_closed or context.imported is not None:
        metrics = {name: Metric(None, unit, meaning=text) for name, (unit, text) in METRICS.items()}
        ran = "another tool ran" if context.is_closed else "customers arrived by a schedule"
        why = f"Not applicable: {ran}; no users of a plain Locust file ran."
        return not_applicable("users", QUESTION, why, metrics)
    users = context.customers_in_shop
    stalls = find_stalls(_per_second(run, "answered"), _per_second(run, "waiting"), users)
    metrics = _metrics(run, users, stalls)
    return Section(
        name="users",
        group="Users and requests",
        order=100,
        question=QUESTION,
        sentence=_sentence(metrics, stalls),
        findings=_findings(run, metrics, stalls),
        figures=_chart(run, users, stalls),
        tables=_table(run),
        metrics=metrics,
    )


def _per_second(run: Run, name: str) -> np.ndarray:
    found = [counts for key, counts in run.counters().items() if key.name == name]
    return np.sum(found, axis=0) if found else np.zeros(0, np.int64)


def _total(run: Run, name: str) -> int:
    return int(_per_second(run, name).sum())


METRICS: dict[str, tuple[Unit, str]] = {
    "users_max": ("count", "users running at once, at most"),
    "requests": ("count", "requests with an answer or an error"),
    "failed": ("count", "of these, failed"),
    "requests_per_s": ("per_s", "mean over the run"),
    "stalls": ("count", "periods without any answer while users waited"),
    "longest_stall": ("s", "the longest of them, in whole seconds"),
    "stalled": ("s", "all of them together"),
    "unanswered": ("count", "requests cut short when their user was stopped"),
    "unanswered_wait": ("ms", "mean wait of these until then"),
    "task_exceptions": ("count", "exceptions in tasks"),
    "untimed": ("count", "requests without a response time"),
}


def _metrics(run: Run, users: np.ndarray, stalls: Sequence[Stall]) -> dict[str, Metric]:
    n = run.histogram().n
    unanswered = _total(run, "unanswered")
    values = {
        "users_max": float(users.max(initial=0)),
        "requests": n,
        "failed": run.histogram(match=lambda series: not series.succeeded).n,
        "requests_per_s": n / max(run.recorded_s, 1) if n else None,
        "stalls": len(stalls),
        "longest_stall": float(max((stall.length_s for stall in stalls), default=0)),
        "stalled": float(sum(stall.length_s for stall in stalls)),
        "unanswered": unanswered,
        "unanswered_wait": _total(run, "unanswered_ms") / unanswered if unanswered else None,
        "task_exceptions": _total(run, "task_exceptions"),
        "untimed": _total(run, "untimed"),
    }
    return {name: Metric(values[name], unit, n=n, meaning=text) for name, (unit, text) in METRICS.items()}


def _sentence(metrics: Mapping[str, Metric], stalls: Sequence[Stall]) -> str:
    users, n = metrics["users_max"].value or 0, metrics["requests"].value or 0
    who = f"up to {format_counted(users, 'user')}"
    if not n:
        unanswered = metrics["unanswered"].value or 0
        waiting = f"; {format_count(unanswered)} were still unanswered at the end" if unanswered else ""
        return f"No: {who} ran, and no request was answered{waiting}."
    sent = f"{who} made {format_count(n)} requests ({metrics['requests_per_s'].value:.3g} per second)"
    if not stalls:
        return f"Yes: {sent}, and the target never stalled for a whole second."
    longest = max(stalls, key=lambda stall: stall.length_s)
    return (
        f"Not always: {sent}, and the target answered nothing for {format_duration(float(longest.length_s))} "
        f"from {_clock(longest.start_s)} while users waited."
    )


def _clock(second: int) -> str:
    return f"{second // 60}:{second % 60:02d}"


def _findings(run: Run, metrics: Mapping[str, Metric], stalls: Sequence[Stall]) -> tuple[str, ...]:
    found = []
    if stalls:
        total = sum(stall.length_s for stall in stalls)
        found.append(
            f"During {format_duration(float(total))} of stalls the users sent nothing. Customers who arrive "
            "regardless would have waited then, so the percentiles of this run are too low for them."
        )
    unanswered, wait = metrics["unanswered"].value, metrics["unanswered_wait"].value
    if unanswered and wait is not None:
        found.append(
            f"{format_count(unanswered)} requests had no answer when their user was stopped, after "
            f"{format_duration(wait / 1e3)} on average; Locust does not count them."
        )
    if untimed := metrics["untimed"].value:
        found.append(
            f"{format_count(untimed)} requests were reported without a response time; they count as 0 s."
        )
    if exceptions := metrics["task_exceptions"].value:
        texts = [event.text for event in run.events() if event.kind == Cause.SCRIPT_EXCEPTION]
        last = f", the first one {texts[0].strip().splitlines()[-1]}" if texts else ""
        found.append(f"{format_count(exceptions)} tasks ended with an exception{last}.")
    found += [event.text for event in run.events() if event.kind == "ended_early"]
    return tuple(found)


def _chart(run: Run, users: np.ndarray, stalls: Sequence[Stall]) -> tuple[Chart, ...]:
    if not users.size:
        return ()
    length = max(users.size, run.recorded_s)
    width = bucket_s(length)
    edges = np.arange(0, length, width)

    def per_window(values: np.ndarray) -> tuple[float, ...]:
        padded = np.pad(values[:length].astype(float), (0, max(length - values.size, 0)))
        widths = np.diff(np.append(edges, length))
        return tuple((np.add.reduceat(padded, edges) / widths).tolist())

    title = "The target stalled while users waited" if stalls else "No stall of the target"
    answered, waiting = (per_window(_per_second(run, name)) for name in ("answered", "waiting"))
    return (
        Chart(
            "lines", title, TIME, "users; requests per second", tuple(float(at) for at in edges.tolist()),
            (
                Series("users", per_window(users), "quiet"),
                Series("answered per second", answered, "good"),
                Series("waiting for a whole second", waiting, "bad"),
            ),
            moments=tuple(Annotation(float(stall.start_s), "stall") for stall in stalls[:3]),
            note=f"Means over {width} s.",
        ),
    )  # fmt: skip


def _table(run: Run) -> tuple[Table, ...]:
    names = {series.channel for series in run.series}
    names |= {key.channel for key in run.counters()}
    rows: list[tuple[Cell, ...]] = []
    for name in sorted(names):
        of_class = [series for series in run.series if series.channel == name]
        failed = run.histogram(match=lambda s, of=of_class: s in of and not s.succeeded).n  # type: ignore[misc]
        n = run.histogram(match=lambda s, of=of_class: s in of).n  # type: ignore[misc]
        counted = {
            key.name: int(counts.sum()) for key, counts in run.counters().items() if key.channel == name
        }
        row = (name or "(outside of users)", n, failed, counted.get("unanswered", 0))
        rows.append((*row, counted.get("task_exceptions", 0)))
    columns = (
        Column("User class"), Column("Requests", "count"), Column("Failed", "count"),
        Column("Unanswered", "count"), Column("Exceptions in tasks", "count"),
    )  # fmt: skip
    return (Table("Requests by user class", columns, tuple(rows)),) if rows else ()


if __name__ == "__main__":
    main(analyse)
