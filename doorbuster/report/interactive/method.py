"""How a run was measured and what it ran on, as the texts of the report's last section."""

from __future__ import annotations

from dataclasses import dataclass

from doorbuster.records.metadata import OutcomeTotals, RunMeta
from doorbuster.records.outcome import Outcome
from doorbuster.records.reader import Run
from doorbuster.report.formatting import format_bytes, format_value, started_at
from doorbuster.report.run_context import protocols_text

CLOSED = "closed: users of a plain Locust file, each of which waits for its answer"


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A label and its text."""

    label: str
    text: str


def configuration(run: Run) -> list[LabelledText]:
    """Scenario, target, versions and machine of the run, and the outcomes of all arrivals."""
    meta, totals = run.meta, run.outcome_totals()
    pairs = [
        ("Run", meta.run_id),
        ("Scenario", meta.scenario_name),
        ("Story", meta.story),
        (
            "Target",
            f"{meta.target_url} ({', '.join(filter(None, (meta.storefront, meta.shop_profile)))})"
            if meta.storefront
            else meta.target_url,
        ),
        ("Protocols", protocols_text(run)),
        ("Started", started_at(meta)),
        (
            "Imported from",
            ", ".join((meta.imported["format"], *meta.imported["files"])) if meta.imported else "",
        ),
        ("Workload", CLOSED if meta.workload == "closed" and not meta.imported else ""),
        (
            "Planned duration" if meta.workload == "closed" else "Arrivals planned over",
            format_value(meta.duration_s, "s"),
        ),
        ("Ended", f"{meta.status}{f': {meta.status_reason}' if meta.status_reason else ''}"),
        ("Seed", "" if meta.workload == "closed" else str(meta.seed)),
        ("Workers", str(meta.workers)),
        ("Git commit", meta.git_commit),
        ("Outcomes of customers", "" if meta.workload == "closed" else _totals_text(totals)),
        *((f"Version of {name}", version) for name, version in sorted(meta.versions.items())),
        *(_of_machine(name, value) for name, value in sorted(meta.machine.items())),
    ]
    return [LabelledText(label, text) for label, text in pairs if text]


def _of_machine(name: str, value: object) -> tuple[str, str]:
    """A size in bytes is rounded to what people read."""
    if name.endswith("_bytes") and isinstance(value, int | float):
        return f"Machine: {name.removesuffix('_bytes')}", format_bytes(value)
    return f"Machine: {name}", str(value)


def _totals_text(totals: OutcomeTotals) -> str:
    outcomes = " + ".join(f"{getattr(totals, end):,} {end.replace('_', ' ')}" for end in Outcome)
    return f"{totals.planned:,} = {outcomes} + {totals.in_flight_or_missing:,} in flight or missing"


def method(meta: RunMeta) -> list[str]:
    """What a reader must know of the measurement, in a few paragraphs."""
    if meta.imported:
        return [
            (
                "Another tool recorded these results; the section on the source says how exact they are and "
                "what they leave out."
            ),
            (
                "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting "
                "on a small difference."
            ),
        ]
    if meta.workload == "closed":
        return [
            (
                "The workload is closed: each user waits for an answer before it sends its next request. "
                "Response times count from the moment a request was sent, as its client measured them. While "
                "the target stalls, nothing is sent, so percentiles do not show how long arriving customers "
                "would wait; the section on users shows such stalls."
            ),
            (
                "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting "
                "on a small difference."
            ),
            (
                "The requests are in run.sqlite next to this page. `doorbuster report` writes this report "
                "again from that file."
            ),
        ]
    return [
        (
            "Customers arrive by a plan fixed before the run, whether or not the shop keeps up. Response "
            "times count from the moment a request was due, so they include waiting caused by a stalled shop."
        ),
        (
            "An abandoned request is a lower bound, not a response time: quantiles are estimated past such "
            "requests (Kaplan and Meier) and marked ≥ where that is impossible."
        ),
        (
            "95 % intervals. Under load neighbouring requests are alike, so repeat a run before acting on a "
            "small difference. This is one run, from one place, with modelled customers; real customers may "
            "behave differently."
        ),
        (
            f"The plan (seed {meta.seed}), the requests and outcomes are in run.sqlite next to this page. "
            "`doorbuster report` writes this report again from that file."
        ),
    ]
