"""What did a shopper see in a real browser: at calm, at the peak, and afterwards?

    python analysis/browsers.py reports/<run>

With `browsers` in the scenario, browser probes walk the shopping journey beside the load. Figures are 75th
percentiles, as in Core Web Vitals. A page that never came counts with the patience of the probe, as a lower
bound; error pages are counted apart. Visits before the first customer are the reference. Visits whose
browser was short of CPU measured this machine, and are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from doorbuster.records.browser import (
    CLS_STEPS,
    COMPLETE,
    OK,
    TIMEOUT,
    BrowserPage,
    BrowserRecords,
    BrowserVisit,
)
from doorbuster.records.histogram import Histogram
from doorbuster.report.analysis_main import main
from doorbuster.report.run_context import RunContext
from doorbuster.report.section import (
    Chart,
    Column,
    Metric,
    Picture,
    Section,
    Series,
    Table,
    present,
    table,
    time_metric,
)
from doorbuster.scenario import Phase
from doorbuster.stats.quantile import quantile_estimate
from doorbuster.units import format_count, format_counted, format_duration

QUESTION = "What did a shopper see in a real browser?"
P75 = 0.75
CALM, PEAK, WHOLE = "calm", "peak", "run"
BROWSER_EVENT = "browser"
_MOMENTS = {
    "calm": "At calm",
    "broke": "When it broke",
    "worst": "At the worst moment",
    "recovered": "After recovery",
}
_ENDS = {
    "error_page": "an error page",
    "timeout": "a page that never came",
    "missing": "a page without what the shopper needs",
    "failed": "a page that could not be reached",
}


@dataclass(frozen=True, slots=True)
class PhaseFigures:
    """The pages and visits of one phase; visits belong to the phase in which they began."""

    name: str
    pages: tuple[BrowserPage, ...]
    visits: tuple[BrowserVisit, ...]
    patience_ms: float

    def p75(self, figure: str, what: str, *, page: str | None = None) -> Metric:
        """The 75th percentile of a time of pages, with its interval."""
        pages = [one for one in self.pages if page in (None, one.page)]
        times = [getattr(one, f"{figure}_ms") for one in pages if one.outcome == OK]
        never = 0 if figure == "inp" else sum(one.outcome == TIMEOUT for one in pages)
        return _p75(times, never, self.patience_ms, f"p75 of the {what}, {self.name}")

    @property
    def layout_shift(self) -> Metric:
        """The 75th percentile of Cumulative Layout Shift, which has no unit."""
        known = [one.cls for one in self.pages if one.outcome == OK and one.cls is not None]
        found = quantile_estimate(Histogram.from_values([round(cls * CLS_STEPS) for cls in known]), P75)
        ends = (found.value_us, found.low_us, found.high_us)
        value, low, high = (None if steps is None else steps / CLS_STEPS for steps in ends)
        meaning = f"p75 of Cumulative Layout Shift, {self.name}"
        return Metric(value, low=low, high=high, n=len(known), meaning=meaning)

    @property
    def journey(self) -> Metric:
        """The 75th percentile of the time that a shopper waited for all pages of a visit."""
        never = sum(visit.outcome == TIMEOUT for visit in self.visits)
        meaning = f"p75 of the waiting time of a visit, {self.name}"
        return _p75((visit.journey_ms for visit in self.visits), never, self.patience_ms, meaning)

    @property
    def failed(self) -> int:
        return sum(visit.outcome != COMPLETE for visit in self.visits)


def analyse(context: RunContext) -> Section:
    """Web vitals by phase, relative to calm, with pictures."""
    found = context.run.browsers()
    problems = [event.text for event in context.run.events() if event.kind == BROWSER_EVENT]
    sound = found.sound()
    scenario = context.scenario
    browsers = scenario.browsers if scenario is not None else None
    phases = _by_phase(sound, context.phases, browsers.patience_s * 1e3 if browsers is not None else 0.0)
    by_name = {phase.name: phase for phase in phases}
    return Section(
        name="browsers",
        group="Customers and orders",
        order=230,
        question=QUESTION,
        sentence=_sentence(found, by_name, problems, has_peak=any(p.name == PEAK for p in context.phases)),
        findings=_findings(found, sound, problems),
        figures=_charts(sound),
        tables=present(_vitals(phases), _pages(phases), _visits(phases)),
        metrics=_metrics(found, sound, phases),
        pictures=tuple(_picture(found, picture.moment) for picture in found.pictures),
        not_applicable=not found.visits and browsers is None,
    )


def _by_phase(
    sound: BrowserRecords, planned: Sequence[Phase], patience_ms: float
) -> tuple[PhaseFigures, ...]:
    """Calm, the phases of the curve that have pages, and the whole run under load."""
    calm = sound.calm()
    found = [PhaseFigures(CALM, calm.pages, calm.visits, patience_ms)]
    loaded = [page for page in sound.pages if page.at_s >= 0]
    visits = [visit for visit in sound.visits if visit not in calm.visits]

    def of(name: str, from_s: float, to_s: float) -> PhaseFigures:
        return PhaseFigures(
            name,
            tuple(page for page in loaded if from_s <= page.at_s < to_s),
            tuple(visit for visit in visits if from_s <= max(visit.at_s, 0.0) < to_s),
            patience_ms,
        )

    for at, phase in enumerate(planned):
        to_s = math.inf if at == len(planned) - 1 else phase.to_s
        found.append(of(phase.name, phase.from_s, to_s))
    found.append(of(WHOLE, 0.0, math.inf))
    return tuple(phase for phase in found if phase.pages or phase.visits)


def _sentence(
    found: BrowserRecords, phases: dict[str, PhaseFigures], problems: Sequence[str], *, has_peak: bool
) -> str:
    if not found.visits:
        why = f": {problems[0]}" if problems else ""
        return f"Unknown: no browser recorded a visit{why}."
    peak = phases.get(PEAK) or phases.get(WHOLE)
    if peak is None:
        left_out = f"{format_count(len(found.starved()))} of {format_count(len(found.visits))}"
        return f"Unknown: in {left_out} visits the browsers were short of CPU: they measured this machine."
    where = "At the peak" if peak.name == PEAK else "Under load"
    if has_peak and peak.name != PEAK:
        where = "Unknown at the peak, when no visit had enough CPU; in the rest of the run"
    lost = "every visit reached its end"
    if peak.failed:
        of = format_count(len(peak.visits))
        lost = f"{format_count(peak.failed)} of {of} visits did not reach their end"
    lcp = peak.p75("lcp", "Largest Contentful Paint")
    if lcp.value is None:
        return f"{where}, no page was loaded; {lost}."
    took = format_duration(lcp.value / 1e3)
    text = f"{where}, three of four pages showed their main content within {took}"
    if lcp.at_least:
        text = f"{where}, more than one in four pages never showed their main content, in {took}"
    ratio = _ratio(lcp, _calm(phases).p75("lcp", "Largest Contentful Paint"))
    if ratio.value is not None and not lcp.at_least:
        text += f", {ratio.value:.1f} times as long as at calm"
    return f"{text} ({format_counted(lcp.n or 0, 'page')}); {lost}."


def _calm(phases: dict[str, PhaseFigures]) -> PhaseFigures:
    return phases.get(CALM, PhaseFigures(CALM, (), (), 0.0))


def _findings(found: BrowserRecords, sound: BrowserRecords, problems: Sequence[str]) -> tuple[str, ...]:
    lines = []
    starved = len(found.starved())
    if starved:
        left_out = f"{format_count(starved)} of {format_count(len(found.visits))}"
        why = "the browser ran at less than half its speed, because it was short of CPU"
        lines.append(f"{left_out} visits are left out: {why}.")
    if found.visits and not sound.calm().pages:
        lines.append("Without a page at calm, no figure can be compared with the idle shop.")
    loaded = [page for page in sound.pages if page.at_s >= 0]
    ends = Counter(page.outcome for page in loaded if page.outcome != OK)
    lines += [
        f"{format_count(n)} visit{'s' * (n != 1)} ended at {_ENDS.get(how, how)}."
        for how, n in ends.most_common()
    ]
    for name, count in (
        ("resources failed to load", sum(page.failed_resources for page in loaded)),
        ("errors in the console", sum(page.console_errors for page in loaded)),
        ("requests to third parties were blocked", sum(page.blocked for page in loaded)),
    ):
        if count:
            lines.append(f"{format_count(count)} {name} on {format_count(len(loaded))} pages under load.")
    return (*lines, *(f"{problem[:1].upper()}{problem[1:]}." for problem in problems))


def _vitals(phases: Sequence[PhaseFigures]) -> Table | None:
    calm = _calm({phase.name: phase for phase in phases})
    columns: dict[str | Column, Callable[[PhaseFigures], Metric | str | int]] = {
        "Phase": lambda phase: phase.name,
        Column("Pages", "count"): lambda phase: sum(page.outcome == OK for page in phase.pages),
        "LCP": lambda phase: phase.p75("lcp", "Largest Contentful Paint"),
        "× calm": lambda phase: _ratio(phase.p75("lcp", ""), calm.p75("lcp", "")),
        "INP": lambda phase: phase.p75("inp", "Interaction to Next Paint"),
        "CLS": lambda phase: phase.layout_shift,
        "FCP": lambda phase: phase.p75("fcp", "First Contentful Paint"),
        "TTFB": lambda phase: phase.p75("ttfb", "Time To First Byte"),
        "Loaded": lambda phase: phase.p75("load", "loading time"),
    }
    note = (
        "75th percentiles. Good, by Core Web Vitals: LCP up to 2.5 s, INP up to 200 ms, CLS up to 0.1. "
        "INP is only known for pages with a click. Loaded: from the click or address to the loaded page."
    )
    return table("Web vitals by phase", phases, columns, note)


def _pages(phases: Sequence[PhaseFigures]) -> Table | None:
    by_name = {phase.name: phase for phase in phases}
    calm, load = _calm(by_name), by_name.get(PEAK) or by_name.get(WHOLE)
    if load is None:
        return None
    names = list(dict.fromkeys(page.page for phase in phases for page in phase.pages))
    columns: dict[str | Column, Callable[[str], Metric | str | int]] = {
        "Page": lambda name: name,
        "At calm": lambda name: calm.p75("load", "loading time", page=name),
        load.name.capitalize(): lambda name: load.p75("load", "loading time", page=name),
        "Times as long": lambda name: _ratio(
            load.p75("load", "", page=name), calm.p75("load", "", page=name)
        ),
        Column("Not loaded", "count"): lambda name: sum(
            page.page == name and page.outcome != OK for page in load.pages
        ),
    }
    return table("Loading time by page, 75th percentiles", names, columns)


def _visits(phases: Sequence[PhaseFigures]) -> Table | None:
    columns: dict[str | Column, Callable[[PhaseFigures], Metric | str | int]] = {
        "Phase": lambda phase: phase.name,
        Column("Visits", "count"): lambda phase: len(phase.visits),
        Column("Complete", "count"): lambda phase: len(phase.visits) - phase.failed,
        "Waited for pages": lambda phase: phase.journey,
        "Long tasks per page": lambda phase: _per_page(phase, lambda page: page.long_task_ms),
    }
    note = (
        "Waited: 75th percentile of visits, without pauses. Long tasks: time per page in tasks of "
        "50 ms and more, which keep a page from reacting."
    )
    return table("Visits", phases, columns, note)


def _per_page(phase: PhaseFigures, pick: Callable[[BrowserPage], float]) -> Metric:
    n = len(phase.pages)
    total = sum(map(pick, phase.pages))
    return Metric(total / n if n else None, "ms", n=n, meaning=f"long tasks per page, {phase.name}")


def _metrics(
    found: BrowserRecords, sound: BrowserRecords, phases: Sequence[PhaseFigures]
) -> dict[str, Metric]:
    loaded = [page for page in sound.pages if page.at_s >= 0]
    metrics = {
        "visits": Metric(len(found.visits), "count", meaning="visits of all browsers"),
        "visits_left_out": Metric(
            len(found.starved()), "count", n=len(found.visits), meaning="visits short of CPU"
        ),
        "failed_resources": Metric(
            sum(page.failed_resources for page in loaded) if loaded else None, "count", n=len(loaded),
            meaning="resources that failed on pages under load",
        ),
        "console_errors": Metric(
            sum(page.console_errors for page in loaded) if loaded else None, "count", n=len(loaded),
            meaning="errors in the console on pages under load",
        ),
        "blocked": Metric(
            sum(page.blocked for page in loaded) if loaded else None, "count", n=len(loaded),
            meaning="blocked requests to third parties on pages under load",
        ),
    }  # fmt: skip
    calm = _calm({phase.name: phase for phase in phases})
    for phase in phases:
        lcp = phase.p75("lcp", "Largest Contentful Paint")
        metrics[f"lcp_p75_{phase.name}"] = lcp
        metrics[f"inp_p75_{phase.name}"] = phase.p75("inp", "Interaction to Next Paint")
        metrics[f"cls_p75_{phase.name}"] = phase.layout_shift
        metrics[f"journey_p75_{phase.name}"] = phase.journey
        n = len(phase.visits)
        metrics[f"failed_visits_{phase.name}"] = Metric(
            phase.failed / n if n else None, "ratio", n=n, meaning=f"visits without an end, {phase.name}"
        )
        if phase.name != CALM:
            metrics[f"lcp_ratio_{phase.name}"] = _ratio(lcp, calm.p75("lcp", ""))
    return metrics


def _p75(times_ms: Iterable[float | None], never: int, patience_ms: float, meaning: str) -> Metric:
    """The percentile with those that never came, as a lower bound where they decide it."""
    known = [round(time_ms * 1e3) for time_ms in times_ms if time_ms is not None]
    times = Histogram.from_values([*known, *[round(patience_ms * 1e3)] * never])
    found = time_metric(quantile_estimate(times, P75), meaning)
    return replace(found, at_least=math.ceil(P75 * times.n) > len(known))


def _ratio(under_load: Metric, calm: Metric) -> Metric:
    """How many times as long as at calm; unknown without both."""
    meaning = "Largest Contentful Paint, relative to calm"
    if under_load.value is None or not calm.value:
        return Metric(None, n=under_load.n, meaning=meaning)
    return Metric(under_load.value / calm.value, n=under_load.n, meaning=meaning)


def _charts(sound: BrowserRecords) -> tuple[Chart, ...]:
    pages = [page for page in sound.pages if page.load_ms is not None and page.at_s >= 0]
    if not pages:
        return ()
    moments = tuple(sorted({page.at_s for page in pages}))
    series = []
    for name in dict.fromkeys(page.page for page in pages):
        took = {page.at_s: page.load_ms for page in pages if page.page == name}
        series.append(Series(name, tuple(_seconds(took.get(at_s)) for at_s in moments)))
    longest = max(page.load_ms or 0.0 for page in pages)
    return (
        Chart(
            "scatter", f"A page took up to {format_duration(longest / 1e3)} to load",
            "time of the click (min:s)", "until the page was loaded", moments, tuple(series), y_unit="s",
            note="Pages that never came are not drawn.",
        ),
    )  # fmt: skip


def _seconds(time_ms: float | None) -> float | None:
    return None if time_ms is None else time_ms / 1e3


def _picture(found: BrowserRecords, moment: str) -> Picture:
    """The picture of a moment, with what it shows."""
    picture = next(one for one in found.pictures if one.moment == moment)
    page = next(
        (
            one
            for one in found.pages
            if (one.probe, one.visit, one.page) == (picture.probe, picture.visit, picture.page)
        ),
        None,
    )
    minutes, seconds = divmod(abs(round(picture.at_s)), 60)
    clock = f"{'−' if picture.at_s < 0 else ''}{minutes}:{seconds:02d}"
    seen = f"{format_duration(picture.seen_after_ms / 1e3)} after the click"
    if page is None or (page.load_ms is not None and page.outcome == OK):
        took = page.load_ms if page is not None and page.load_ms is not None else picture.seen_after_ms
        late = page is not None and page.load_ms is not None and page.load_ms > picture.seen_after_ms
        what = (
            f"{seen}; loaded after {format_duration(took / 1e3)}"
            if late
            else (f"loaded after {format_duration(took / 1e3)}")
        )
    else:
        what = f"{seen}: {_ENDS.get(page.outcome, page.outcome)}"
        if page.detail:
            what += f" ({page.detail})"
    if (picture.probe, picture.visit) in found.starved():
        what += "; the browser was short of CPU"
    return Picture(_MOMENTS[moment], f"{clock}, page {picture.page}, {what}", picture.jpeg)


if __name__ == "__main__":
    main(analyse)
