"""Can the results be trusted: did the load generator send the planned load on time?

    python analysis/generator_health.py reports/<run>

A late or overloaded generator looks like a slow shop. The limits are those at which a run becomes
inconclusive (docs/reference/report.md).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from doorbuster.gate import ValidityIssue, validity_issues
from doorbuster.gate.validity import BUSY_CPU_RATIO
from doorbuster.records.batch import HealthSecond
from doorbuster.records.histogram import Histogram
from doorbuster.records.metadata import OutcomeTotals
from doorbuster.records.outcome import CLOCK_STEP, HTTP1_INSTEAD, RECORD_DELAYED, Outcome, RequestOutcome
from doorbuster.records.reader import Run
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext, protocols_text
from doorbuster.report.section import (
    Annotation,
    Cell,
    Chart,
    Column,
    Metric,
    Section,
    Series,
    Table,
    bucket_s,
    present,
    time_metric,
)
from doorbuster.stats.quantile import minimum_n, quantile_estimate
from doorbuster.units import format_count, format_duration, format_ratio

MAX_WORKERS_SHOWN = 6
MAX_KINDS_SHOWN = 4
LENIENT = "lenient:"  # counters of answers that were read leniently


def analyse(context: RunContext) -> Section:
    """Lateness, CPU and delivered load of the generator."""
    run = context.run
    length_s = max(1, run.recorded_s)
    width = bucket_s(length_s)
    health, totals = run.health(), run.outcome_totals()
    lenient = _lenient_answers(run)
    lateness = Histogram.empty() if context.is_closed else run.lateness()
    metrics = {**_lateness_metrics(lateness), **_health_metrics(health), **_total_metrics(totals, run)}
    meaning = "answers that break HTTP but could be read"
    metrics["lenient_answers"] = Metric(lenient.total(), "count", meaning=meaning)
    issues = validity_issues(run)
    return Section(
        name="generator_health",
        group="Reliability of the results",
        order=920,
        question="Can the results be trusted?",
        sentence=_sentence(issues, metrics, closed=context.is_closed, imported=context.imported is not None),
        findings=(
            *(f"{issue.sentence[:1].upper()}{issue.sentence[1:]}." for issue in issues),
            *_protocol_findings(context),
            *_lenient_finding(lenient),
            *_event_findings(run),
        ),
        figures=present(*_arrivals_chart(run, width), _cpu_chart(health)),
        tables=present(
            None if context.is_closed else _balance_table(run),
            None if context.imported is not None else _worker_table(run, health),
        ),
        metrics=metrics,
    )


def _lenient_answers(run: Run) -> Counter[str]:
    """Number of answers that were read although they break HTTP, by what was odd about them."""
    found: Counter[str] = Counter()
    for key, n in run.counters().items():
        if key.name.startswith(LENIENT):
            found[key.name.removeprefix(LENIENT)] += int(n.sum())
    return found


def _event_findings(run: Run) -> tuple[str, ...]:
    """What the machine of the generator did during the run, without harm to the results."""
    texts = [event.text for event in run.events() if event.kind in (CLOCK_STEP, RECORD_DELAYED)]
    return tuple(f"{text[:1].upper()}{text[1:]}." for text in dict.fromkeys(texts))


def _lenient_finding(lenient: Counter[str]) -> tuple[str, ...]:
    if not lenient:
        return ()
    kinds = "; ".join(f"{what} ({format_count(n)})" for what, n in lenient.most_common(MAX_KINDS_SHOWN))
    answers = f"{format_count(lenient.total())} answer{'s' if lenient.total() > 1 else ''}"
    return (f"{answers} broke HTTP but could be read, as browsers and curl read them: {kinds}.",)


def _protocol_findings(context: RunContext) -> tuple[str, ...]:
    """Which protocols the connections spoke, and whether HTTP/2 was asked for and not agreed."""
    connections = context.run.connections_by_protocol()
    if not connections:
        return ()
    found = [f"Connections by protocol: {protocols_text(context.run)}."]
    instead = connections.get(HTTP1_INSTEAD, 0)
    if instead and "HTTP/2" not in connections:
        found.insert(0, "The scenario asks for HTTP/2, but no server agreed: this run measures HTTP/1.1.")
    elif instead:
        n = f"{format_count(instead)} connection{'s' if instead > 1 else ''}"
        found.insert(0, f"The scenario asks for HTTP/2, but {n} had to speak HTTP/1.1.")
    return tuple(found)


def _lateness_metrics(histogram: Histogram) -> dict[str, Metric]:
    metrics = {}
    for p in (0.5, 0.95, 0.99, 0.999):
        name = f"lateness_p{p * 100:g}".replace(".", "_")
        if histogram.n < minimum_n(p):
            low_us = quantile_estimate(histogram, p).low_us if histogram.n else None
            low_ms = None if low_us is None else low_us / 1e3
            metrics[name] = Metric(None, "ms", low_ms, n=histogram.n, meaning="actual minus intended start")
            continue
        metrics[name] = time_metric(quantile_estimate(histogram, p), "actual minus intended start")
    return metrics


def _health_metrics(health: Mapping[str, Sequence[HealthSecond]]) -> dict[str, Metric]:
    seconds = [second for rows in health.values() for second in rows]
    n = len(seconds)
    busy = [
        sum(row.cpu_ratio > BUSY_CPU_RATIO for row in rows) / len(rows) for rows in health.values() if rows
    ]
    busiest, most_cpu = max(busy, default=None), max((row.cpu_ratio for row in seconds), default=None)
    lag_ms = max((row.loop_lag_ms for row in seconds), default=None)
    waited_ms = sum(row.pool_wait_ms for row in seconds)
    waiting = "total time that requests waited for a free connection of their customer"
    return {
        "cpu_busy_ratio": Metric(
            busiest, "ratio", n=n, meaning="busiest worker's seconds above 90 % of a core"
        ),
        "cpu_max": Metric(most_cpu, "cores", n=n, meaning="busiest second"),
        "loop_lag_max": Metric(lag_ms, "ms", n=n, meaning="worst delay of a timer"),
        "connections_opened": Metric(sum(row.connections_opened for row in seconds), "count", n=n),
        "reconnects": Metric(sum(row.reconnects for row in seconds), "count", n=n),
        "pool_wait": Metric(waited_ms, "ms", n=n, meaning=waiting),
    }


def _total_metrics(totals: OutcomeTotals, run: Run) -> dict[str, Metric]:
    arrivals = [series for series in run.arrivals().values() if series.planned.any()]
    started = sum(int(series.started.sum()) for series in arrivals)
    planned = sum(int(series.planned.sum()) for series in arrivals)
    missing = totals.in_flight_or_missing
    return {
        "arrivals_planned": Metric(planned, "count", n=planned, meaning="arrivals of open channels"),
        "arrivals_started": Metric(started, "count", n=planned, meaning="of these, started"),
        "customers_missing": Metric(missing, "count", n=totals.planned, meaning="without an outcome"),
        "dropped_ratio": Metric(
            totals.dropped / totals.planned if totals.planned else None, "ratio", n=totals.planned,
            meaning="customers that the generator could not start or finish",
        ),
    }  # fmt: skip


def _sentence(
    issues: Sequence[ValidityIssue], metrics: Mapping[str, Metric], *, closed: bool, imported: bool
) -> str:
    if imported:
        return "Unknown: the imported files do not say whether their load generator kept up."
    if issues:
        problems = f"{len(issues)} problem{'s' if len(issues) > 1 else ''}"
        return f"Not fully: {problems} with the load generator or its records."
    planned, late = metrics["arrivals_planned"].value, metrics["lateness_p99"].value
    if closed:
        most, lag = metrics["cpu_max"].value, metrics["loop_lag_max"].value
        if most is None or lag is None:
            return "Unknown: no process reported its health."
        return (
            f"Yes: no process of Locust was busy for long (at most {most:.2g} cores), and its timers were at "
            f"most {format_duration(lag / 1e3)} late."
        )
    if not planned:
        return "No arrivals were planned, so there is nothing to compare with."
    on_time = "" if late is None else f" with a p99 lateness of {format_duration(late / 1e3)}"
    sent = f"all {format_count(planned)} planned arrivals were started{on_time}"
    return f"Yes: {sent}, and every customer has an outcome."


def _arrivals_chart(run: Run, width_s: int) -> tuple[Chart, ...]:
    arrivals = [series for series in run.arrivals().values() if series.planned.any()]
    if not arrivals:
        return ()

    length_s = max(int(np.flatnonzero(series.planned + series.started).max()) for series in arrivals) + 1

    def per_second(name: str) -> tuple[float, ...]:
        total = sum(getattr(series, name)[:length_s] for series in arrivals)
        edges = np.arange(0, len(total), width_s)
        return tuple((np.add.reduceat(total, edges) / width_s).tolist())

    planned, started, dropped = (per_second(name) for name in ("planned", "started", "dropped"))
    title = (
        "The generator started all planned arrivals"
        if planned == started
        else "The generator did not start all planned arrivals"
    )
    series = [Series("started", started, RequestOutcome.OK), Series("planned", planned, "planned")]
    if any(dropped):
        series.append(Series("dropped", dropped, "bad"))
    return (
        Chart(
            "lines", title, "time since the start (min:s)", "arrivals per second",
            tuple(float(index * width_s) for index in range(len(planned))), tuple(series),
        ),
    )  # fmt: skip


def _over_time(
    health: Mapping[str, Sequence[HealthSecond]], name: str
) -> tuple[tuple[float, ...], dict[str, list[float | None]]]:
    last = max(row.second for rows in health.values() for row in rows)
    width = bucket_s(last + 1)
    lines: dict[str, list[float | None]] = {}
    for worker, rows in sorted(health.items()):
        parts: list[list[float]] = [[] for _ in range(math.ceil((last + 1) / width))]
        for row in rows:
            if row.second >= 0:
                parts[row.second // width].append(getattr(row, name))
        lines[worker] = [max(part) if part else None for part in parts]
    return tuple(float(index * width) for index in range(math.ceil((last + 1) / width))), lines


def _cpu_chart(health: Mapping[str, Sequence[HealthSecond]]) -> Chart | None:
    if not any(health.values()):
        return None
    x, lines = _over_time(health, "cpu_ratio")
    busiest = sorted(lines, key=lambda worker: -max((value or 0.0) for value in lines[worker]))[
        :MAX_WORKERS_SHOWN
    ]
    most = max((value or 0.0) for line in lines.values() for value in line)
    title = f"The busiest worker used at most {format_ratio(most)} of a core"
    more = (
        "" if len(lines) <= MAX_WORKERS_SHOWN else f"The {MAX_WORKERS_SHOWN} busiest of {len(lines)} workers."
    )
    return Chart(
        "lines", title, "time since the start (min:s)", "CPU, of one core", x,
        tuple(Series(worker, tuple(lines[worker])) for worker in sorted(busiest)), y_unit="ratio",
        y_max=max(1.05, most), bounds=(Annotation(BUSY_CPU_RATIO, "busy above 90 %"),), note=more,
    )  # fmt: skip


def _balance_table(run: Run) -> Table:
    names = ("planned", *Outcome, "in_flight_or_missing")
    by_channel = {**run.outcome_totals_by_channel(), "all": run.outcome_totals()}
    rows: list[tuple[Cell, ...]] = [
        (channel, *(getattr(totals, name) for name in names)) for channel, totals in by_channel.items()
    ]
    columns = (Column("Channel"), *(Column(name.replace("_", " "), "count") for name in names))
    note = "Every customer has exactly one outcome. Closed channels plan none; their number is that started."
    return Table("Outcomes of all arrivals", columns, tuple(rows), note)


def _worker_table(run: Run, health: Mapping[str, Sequence[HealthSecond]]) -> Table | None:
    reports = {report.worker: report for report in run.workers()}
    if not reports:
        return None
    rows = []
    for worker, report in reports.items():
        seconds = health.get(worker, ())
        busy = sum(row.cpu_ratio > BUSY_CPU_RATIO for row in seconds) / len(seconds) if seconds else None
        rows.append(
            (
                worker, report.received, report.missing, "yes" if report.final else "no",
                max((row.cpu_ratio for row in seconds), default=None), busy,
                max((row.loop_lag_ms for row in seconds), default=None),
                sum(row.connections_opened for row in seconds), sum(row.pool_wait_ms for row in seconds),
                max((row.rss_bytes for row in seconds), default=None),
            )
        )  # fmt: skip
    columns = (
        Column("Worker"), Column("Reports", "count"), Column("Missing", "count"), Column("Final report"),
        Column("Most CPU (cores)", "cores"), Column("Seconds above 90 %", "ratio"),
        Column("Worst loop lag", "ms"),
        Column("Connections", "count"), Column("Connection wait", "ms"), Column("Most memory", "bytes"),
    )  # fmt: skip
    return Table("Workers of the load generator", columns, tuple(rows))


if __name__ == "__main__":
    main(analyse)
