"""What failed, and which requests show it?

    python analysis/errors.py reports/<run>

- Failed and abandoned requests by cause, over time and by step.
- Retry amplification = attempts / first attempts: the load that reloads and retries add. Polling a waiting
  room is not an attempt.
- A degraded part is one that a page can do without (recommendations, reviews): its failure ends no visit. The
  table shows whether orders went on meanwhile.
- Single requests: the slowest ones, and the first errors of each step and cause, with their request id and
  what the shop returned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from doorbuster.records.batch import Exemplar
from doorbuster.records.outcome import Cause
from doorbuster.records.reader import Run
from doorbuster.records.secondary_metrics import CounterKey
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    ONLY_SUMMARY,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    bucket_s,
    ms,
    not_applicable,
    present,
    ratio_metric,
    table,
)
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.stats.quantile import minimum_n
from doorbuster.units import format_count, format_ratio

REPEATED = ("retries", "reloads")
DEGRADED = "degraded:"
MEANWHILE_S = 5  # orders within the same 5 s as a failure count as tried meanwhile
WAITING_ROOM = "waiting_room"  # step of customers who poll whether it is their turn
MAX_CAUSES, MAX_ROWS, MAX_EXEMPLARS, MAX_DETAIL = 6, 25, 10, 200
Counters = Mapping[CounterKey, np.ndarray]


def analyse(context: RunContext) -> Section:
    """Failed and abandoned requests, retries, degraded parts and single requests."""
    question = "What failed, and which requests show it?"
    if context.only_summary:
        return not_applicable("errors", question, ONLY_SUMMARY)
    run = context.run
    width_s = bucket_s(max(1, run.recorded_s), most=60)
    errors = _errors(run, width_s)
    counters = run.counters()
    attempts, degraded = _attempts(run, counters), _degraded(run, counters)
    return Section(
        name="errors",
        question=question,
        group="Performance",
        order=320,
        sentence=_sentence(run, errors),
        findings=(*_retry_finding(attempts), *map(_degraded_finding, degraded)),
        figures=present(_errors_chart(errors, width_s)),
        tables=present(
            _ends_table(run),
            _retry_table(attempts),
            _degraded_table(degraded),
            *_exemplar_tables(run.exemplars(), context.trace_url),
        ),
        metrics=_metrics(errors, attempts, degraded),
    )


def _errors(run: Run, width_s: int) -> dict[str, tuple[int, ...]]:
    """Failed and abandoned requests by cause and window, the most frequent cause first."""
    counts = run.request_counts(
        lambda series: None if series.succeeded else series.cause or series.outcome, width_s
    )
    return {
        cause: tuple(counts[cause].tolist())
        for cause in sorted(counts, key=lambda cause: (-int(counts[cause].sum()), cause))
        if counts[cause].any()
    }


def _sentence(run: Run, errors: Mapping[str, Sequence[int]]) -> str:
    total = run.histogram().n
    if not total:
        return "No request was made."
    failed = sum(map(sum, errors.values()))
    if not failed:
        return f"None of {format_count(total)} requests failed or was abandoned."
    share = f"{format_ratio(failed / total)} of {format_count(total)} requests"
    if set(errors) == {Cause.PATIENCE}:
        return f"No request ended in an error; customers lost patience with {share}."
    cause, counts = next(iter(errors.items()))
    most = f"{cause.replace('_', ' ')} ({format_ratio(sum(counts) / failed)} of them)"
    return f"{share} failed or were abandoned; the most frequent cause is {most}."


def _errors_chart(errors: Mapping[str, Sequence[int]], width_s: int) -> Chart | None:
    if not errors:
        return None
    named = list(errors.items())[:MAX_CAUSES]
    rest = [sum(column) for column in zip(*list(errors.values())[MAX_CAUSES:], strict=True)]
    rows = [*named, *([("other causes", rest)] if rest else [])]
    first, most = named[0]
    share = sum(most) / sum(map(sum, errors.values()))
    return Chart(
        "stacked", f"Most frequent cause: {first.replace('_', ' ')}, {format_ratio(share)} of the errors",
        "time the request was due, since the start (min:s)", "failed or abandoned requests per second",
        tuple(float(at * width_s) for at in range(len(most))),
        tuple(Series(cause, tuple(n / width_s for n in counts)) for cause, counts in rows),
    )  # fmt: skip


def _ends_table(run: Run) -> Table | None:
    found = run.histograms_by(
        lambda series: None if series.succeeded else (series.outcome, series.step, series.cause)
    )
    ends = sorted(found.items(), key=lambda item: -item[1].n)[:MAX_ROWS]
    columns = {
        "End": lambda end: end[0][0],
        "Step": lambda end: end[0][1] or "unnamed",
        "Cause": lambda end: end[0][2] or "none given",
        Column("Requests", "count"): lambda end: end[1].n,
        Column("Median", "ms"): lambda end: ms(end[1].quantile_us(0.5)),
        Column("p95", "ms"): lambda end: (
            ms(end[1].quantile_us(0.95)) if end[1].n >= minimum_n(0.95) else None
        ),
        Column("Longest", "ms"): lambda end: ms(end[1].max_us),
    }
    note = "Times until the error, or until the customer left; they are not response times."
    return table("Requests that failed or were abandoned", ends, columns, note)


# Retries and degraded parts


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts in one channel: first ones, retries and reloads, and polls of a waiting room."""

    channel: str
    first: int
    retries: int
    reloads: int
    polls: int

    @property
    def amplification(self) -> float | None:
        return (self.first + self.retries + self.reloads) / self.first if self.first else None


@dataclass(frozen=True, slots=True)
class Degraded:
    """A degraded part: requests, failures, and the orders tried and acknowledged meanwhile."""

    step: str
    requests: int
    failures: int
    tried: int
    acknowledged: int


def _attempts(run: Run, counters: Counters) -> list[Attempts]:
    """Every attempt is recorded as a request; retries and reloads are counted as well."""
    counted = {key: int(n.sum()) for key, n in counters.items()}
    if not any(counted[key] for key in counters if key.name in (*REPEATED, "queue_polls", "offline_sales")):
        return []
    sent = run.request_counts(
        lambda series: None if series.step == WAITING_ROOM else series.channel, run.grain_s
    )
    found = []
    for channel, n in sorted(sent.items()):
        retries, reloads, polls = (
            counted.get(CounterKey(channel, name), 0) for name in (*REPEATED, "queue_polls")
        )
        found.append(Attempts(channel, int(n.sum()) - retries - reloads, retries, reloads, polls))
    return found


def _degraded(run: Run, counters: Counters) -> list[Degraded]:
    """Orders of any channel count as tried meanwhile if they were due within 5 s of a failure."""
    failed: dict[str, np.ndarray] = {}
    for (_, name), n in counters.items():
        if name.startswith(DEGRADED):
            step = name.removeprefix(DEGRADED)
            failed[step] = failed.get(step, 0) + n
    if not failed:
        return []
    sent = run.request_counts(lambda series: series.step if series.step in failed else None, run.grain_s)
    orders = [
        (int(order.intended_s) // MEANWHILE_S, order.answer == "acknowledged") for order in run.orders()
    ]
    found = []
    for step, n in sorted(failed.items()):
        windows = set((np.flatnonzero(n) // MEANWHILE_S).tolist())
        meanwhile = [acknowledged for at, acknowledged in orders if at in windows]
        requests = int(sent[step].sum()) if step in sent else int(n.sum())
        found.append(Degraded(step, requests, int(n.sum()), len(meanwhile), sum(meanwhile)))
    return found


def _metrics(
    errors: Mapping[str, Sequence[int]], attempts: Sequence[Attempts], degraded: Sequence[Degraded]
) -> dict[str, Metric]:
    first = sum(one.first for one in attempts)
    repeated = sum(one.retries + one.reloads for one in attempts)
    return {
        "errors": Metric(sum(map(sum, errors.values())), "count", meaning="failed or abandoned requests"),
        "retry_amplification": Metric(
            (first + repeated) / first if first else 1.0, n=first,
            meaning="attempts / first attempts: the load that reloads and retries add",
        ),
        "degraded": Metric(
            sum(one.failures for one in degraded), "count",
            meaning="failures of parts that a page can do without",
        ),
    }  # fmt: skip


def _retry_finding(attempts: Sequence[Attempts]) -> tuple[str, ...]:
    worst = max(attempts, key=lambda one: one.amplification or 0.0, default=None)
    if worst is None or (worst.amplification or 1.0) < 1.01:
        return ()
    return (
        f"Channel {worst.channel}: with reloads and retries, {worst.amplification:.2f} requests per attempt.",
    )


def _degraded_finding(part: Degraded) -> str:
    text = f"{part.step} failed {format_count(part.failures)} times without ending a visit"
    if not part.tried:
        return f"{text}; no order was tried meanwhile."
    return (
        f"{text}; of {format_count(part.tried)} orders tried meanwhile "
        f"{format_ratio(part.acknowledged / part.tried)} were acknowledged."
    )


def _retry_table(attempts: Sequence[Attempts]) -> Table | None:
    columns = {
        "Channel": lambda one: one.channel,
        Column("First attempts", "count"): lambda one: one.first,
        Column("Retries by clients", "count"): lambda one: one.retries,
        Column("Reloads by people", "count"): lambda one: one.reloads,
        "Amplification": lambda one: one.amplification,
        Column("Waiting-room polls", "count"): lambda one: one.polls,
    }
    note = "Amplification: attempts / first attempts. A waiting-room poll is not an attempt."
    return table("Retries and reloads", attempts, columns, note)


def _degraded_table(degraded: Sequence[Degraded]) -> Table | None:
    columns = {
        "Part": lambda part: part.step,
        Column("Requests", "count"): lambda part: part.requests,
        Column("Failed", "count"): lambda part: part.failures,
        Column("Orders tried meanwhile", "count"): lambda part: part.tried,
        "Acknowledged": lambda part: ratio_metric(
            clopper_pearson(part.acknowledged, part.tried), "acknowledged meanwhile"
        ),
    }
    note = (
        f"Parts that a page can do without. Meanwhile: windows of {MEANWHILE_S} s in which the part failed."
    )
    return table("Degraded parts: failures that ended no visit", degraded, columns, note)


# Single requests


def _exemplar_tables(exemplars: Sequence[Exemplar], trace_url: str) -> tuple[Table, ...]:
    traced = [one for one in exemplars if one.kind == "traced"][:MAX_EXEMPLARS]
    slowest = [one for one in exemplars if one.kind == "slow"][:MAX_EXEMPLARS]
    errors = sorted((one for one in exemplars if one.kind == "error"), key=lambda one: one.second)
    by_step, by_cause = Counter[str](), Counter[tuple[str, str]]()
    ranked = []
    for one in errors:  # the first of each step, then of each step and cause, then the others
        step, cause = one.series.step, one.series.cause
        ranked.append((min(by_step[step], 1) + by_cause[step, cause], one))
        by_step[step] += 1
        by_cause[step, cause] += 1
    first = [one for _, one in sorted(ranked, key=lambda pair: pair[0])]
    shown = first[: max(MAX_EXEMPLARS, len(by_step))]
    return present(
        _exemplar_table("Slowest requests", slowest, trace_url, summary_rows=3),
        _exemplar_table("Slowest requests with a trace", traced, trace_url, summary_rows=1),
        _exemplar_table("First errors of each step and cause", shown, trace_url, summary_rows=len(by_step)),
    )


def _exemplar_table(
    title: str, exemplars: Sequence[Exemplar], trace_url: str, *, summary_rows: int
) -> Table | None:
    if not exemplars:
        return None
    columns = [
        Column("At", "clock"), Column("Step"), Column("Channel"), Column("Result"),
        Column("Response time", "ms"),
    ]  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            one.second, one.series.step or "unnamed", one.series.channel,
            one.series.cause or one.series.outcome, one.response_us / 1e3,
        )
        for one in exemplars
    ]  # fmt: skip
    details = [" ".join(one.detail.split())[:MAX_DETAIL] for one in exemplars]
    addresses = [f"{one.status or ''} {one.url}".strip() for one in exemplars]
    ids = [one.request_id for one in exemplars]
    traces = [trace_url.replace("{trace_id}", one.trace_id) if one.trace_id else "" for one in exemplars]
    named = (("Request id", ids), ("Trace", traces), ("Status and URL", addresses), ("Detail", details))
    for name, texts in named:
        if any(texts):
            columns.append(Column(name))
            rows = [(*row, text) for row, text in zip(rows, texts, strict=True)]
    notes = (
        ["The slowest request of each channel, journey, step and outcome in each second of a worker."]
        if exemplars[0].kind != "error"
        else []
    )
    notes += ["The shop's logs may hold the request id."] if any(ids) else []
    note = " ".join(notes)
    return Table(title, tuple(columns), tuple(rows), note, in_summary=True, summary_rows=summary_rows)


if __name__ == "__main__":
    main(analyse)
