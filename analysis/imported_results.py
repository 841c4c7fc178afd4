"""Where do the numbers of an imported run come from, and how exact are they?

    python analysis/imported_results.py reports/<run>

- Exact: one row per request. Bucketed: counts in buckets of a stated width. Summary: what the tool reported.
- Percentiles of a summary are the tool's own; they are never averaged or merged.
- A closed workload sends less while the target is slow, so its percentiles are lower than arriving customers
  would see (coordinated omission).
"""

from __future__ import annotations

from doorbuster.records.import_info import ImportInfo, ReportedSummary
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import Column, Metric, Section, Table, not_applicable, present
from doorbuster.units import format_count, format_duration, format_ratio

QUESTION = "Where do the numbers come from?"
MAX_ROWS = 60
SHOWN = ("50", "90", "95", "99", "99.9")
WORKLOADS = {
    "closed": "Closed workload: users wait for answers, so percentiles are at least the values shown.",
    "open": "Open workload: requests were sent at a planned rate.",
    "unknown": "The source does not say whether its users waited for answers (closed workload) or not.",
}


def analyse(context: RunContext) -> Section:
    """Source, precision and limits of imported results."""
    info = context.imported
    if info is None:
        metrics = {name: Metric(None, "count", meaning=text) for name, text in METRICS.items()}
        why = "Not applicable: doorbuster recorded this run itself."
        return not_applicable("imported_results", QUESTION, why, metrics)
    n = info.requests or sum(row.n for row in info.summaries if row.step == "all requests")
    n = n or sum(row.n for row in info.summaries)
    return Section(
        name="imported_results",
        group="Reliability of the results",
        order=910,
        question=QUESTION,
        sentence=_sentence(info, n),
        findings=(WORKLOADS[info.workload], *_limits(info), *info.notes),
        tables=present(_summary_table(info.summaries)),
        metrics={
            "imported_requests": Metric(n, "count", meaning=METRICS["imported_requests"]),
            "rows_left_out": Metric(info.skipped, "count", meaning=METRICS["rows_left_out"]),
        },
    )


METRICS = {
    "imported_requests": "requests in the imported files",
    "rows_left_out": "rows that could not be read",
}


def _sentence(info: ImportInfo, n: int) -> str:
    how = {
        "exact": "each of them as recorded",
        "bucketed": f"counted in buckets up to {format_ratio(info.bucket_error)} wide",
        "summary": "of which only a summary is known",
    }[info.precision]
    return f"From {', '.join(info.files)} ({info.format}): {format_count(n)} requests, {how}."


def _limits(info: ImportInfo) -> tuple[str, ...]:
    found = []
    if info.resolution_ms:
        found.append(f"Times are in steps of {format_duration(info.resolution_ms / 1e3)}.")
    if not info.has_times and info.precision != "summary":
        found.append("The source has no times of requests, so the course of the run is unknown.")
    if info.hides_failures:
        found.append("The source does not list failed requests apart from the others: their rate is unknown.")
    if info.skipped:
        found.append(f"{format_count(info.skipped)} rows could not be read and were left out.")
    return tuple(found)


def _summary_table(rows: tuple[ReportedSummary, ...]) -> Table | None:
    if not rows:
        return None
    columns = (
        Column("Request"),
        Column("Requests", "count"),
        Column("Failed", "count"),
        Column("Mean", "ms"),
        *(Column(f"p{place}", "ms") for place in SHOWN),
        Column("Longest", "ms"),
    )
    cells = [
        (
            row.step, row.n, row.failed, row.mean_ms,
            *(row.percentiles_ms.get(place) for place in SHOWN), row.max_ms,
        )
        for row in rows[:MAX_ROWS]
    ]  # fmt: skip
    note = "As the tool reported them, without intervals."
    if len(rows) > MAX_ROWS:
        note += f" The first {MAX_ROWS} of {len(rows)} names."
    return Table("Reported by the tool", columns, tuple(cells), note)


if __name__ == "__main__":
    main(analyse)
