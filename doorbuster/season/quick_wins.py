"""The ranked audit: findings of all sections and searches, each with its effect in orders and its evidence.

Effect: lost orders of the run over its expected orders, times the forecast orders of the peak day. A run
plays the whole day, so its share is that of the day. Findings of which no run shows what they cost have no
effect; they follow those that have one, and orders that went wrong come before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.report.section import CauseEvidence, Metric, Section
from doorbuster.season.capacity_evidence import CapacityEvidence
from doorbuster.season.reserve import Reserve
from doorbuster.season.run_evidence import RunEvidence
from doorbuster.stats.proportion import clopper_pearson
from doorbuster.units import format_count, format_estimate, format_number, format_ratio

_RETRIES = 1.1  # attempts per request from which retries are reported
# "Below 10 % barely used, 30 to 70 % improvable, above 80 % healthy" (Hypernode).
_CACHE_HEALTHY, _CACHE_BARELY = 0.8, 0.3
_ABANDONED_SHARE = 0.1
_QUICK_REFUSALS = 0.2
_INTEGRITY = {
    "oversold_units": (
        "unit was", "units were", "sold beyond the stock", "Reserve stock in the transaction of the order."
    ),
    "orders_missing": (
        "acknowledged order is", "acknowledged orders are", "not in the ledger",
        "Acknowledge an order only after it is stored."
    ),
    "orders_duplicated": (
        "order was", "orders were", "booked twice", "Honour the idempotency key of a repeated order."
    ),
    "orders_unacknowledged": (
        "order was", "orders were", "booked without an acknowledgement",
        "Answer a repeated order with its first result."
    ),
    "orders_wrong_total": (
        "order has", "orders have", "another total than shown", "Compute the total in one place."
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class QuickWin:
    """One finding. `orders`: at stake on the peak day, None where no run shows it. `evidence`: its source."""

    kind: str
    finding: str
    advice: str
    orders: Metric | None
    evidence: str
    is_integrity: bool = False

    @property
    def rank(self) -> tuple[float, bool]:
        """Lower comes first."""
        value = None if self.orders is None else self.orders.value
        return -(value or 0.0), not self.is_integrity


def quick_wins(
    runs: Sequence[RunEvidence], search: CapacityEvidence | None, reserve: Reserve | None,
    forecast: ForecastResult | None,
) -> list[QuickWin]:  # fmt: skip
    """The findings, most orders first; of each kind the one with the largest effect.

    Args: runs: with their sections, the latest usable one of each scenario.
    """
    day = None if forecast is None else forecast.count("day", "orders").median
    found: dict[str, QuickWin] = {}
    for run in runs:
        for rule in _RULES:
            for win in rule(run, day):
                known = found.get(win.kind)
                if known is None or win.rank < known.rank:
                    found[win.kind] = win
    wins = [*found.values(), *_of_search(search, reserve)]
    return sorted(wins, key=lambda win: win.rank)


Rule = Callable[[RunEvidence, float | None], Iterator[QuickWin]]


def _section(run: RunEvidence, name: str) -> Section | None:
    return next((one for one in run.sections if one.name == name and not one.not_applicable), None)


def _evidence(run: RunEvidence, section: str) -> str:
    return f"{run.folder.name}: {section.replace('_', ' ')}"


def _scaled(run: RunEvidence, metric: Metric | None, day: float | None) -> Metric | None:
    """A count of the run's orders as orders of the peak day.

    A count without an interval gets that of its share of the run's orders (Clopper and Pearson, 1934).
    """
    if (
        metric is None
        or metric.value is None
        or day is None
        or run.customers is None
        or not run.customers.expected.value
    ):
        return None
    factor = day / run.customers.expected.value
    ends = metric.low, metric.high
    if ends[0] == ends[1]:  # unknown, or a plain count: exact for the run, a sample of the peak day
        n = max(round(run.customers.expected.value), round(metric.value))
        share = clopper_pearson(round(metric.value), n)
        ends = share.low * n, share.high * n
    low, high = (None if end is None else end * factor for end in ends)
    return Metric(metric.value * factor, "count", low, high, metric.n)


def _lost_customers(run: RunEvidence, day: float | None) -> Iterator[QuickWin]:
    """What explains the missed orders, or where they were missed."""
    customers = _section(run, "customers")
    missed = None if customers is None else customers.metrics.get("missed_orders")
    if customers is None or missed is None or (missed.value or 0.0) < 0.5:
        return
    effect = _scaled(run, missed, day)
    causes: list[CauseEvidence] = [cause for section in run.sections for cause in section.causes]
    slow = [cause for cause in causes if cause.explains == "slow"] or causes
    best = max(slow, key=lambda cause: cause.share or 0.0, default=None)
    count = round(missed.value or 0.0)
    were = "was" if count == 1 else "were"
    lost = f"{format_estimate(count)} of {format_count(missed.n or 0)} orders {were} missed"
    if best is not None:
        text = f"{lost}, because {best.because.rstrip('.')}. {best.evidence}"
        yield QuickWin("bottleneck", text, best.advice, effect, _evidence(run, "customers"))
        return
    advice = next(iter(customers.recommendations), "See the steps at which customers left.")
    yield QuickWin("bottleneck", f"{lost}.", advice, effect, _evidence(run, "customers"))


def _integrity(run: RunEvidence, day: float | None) -> Iterator[QuickWin]:
    orders = _section(run, "orders")
    for name, (one, several, what, advice) in _INTEGRITY.items():
        metric = None if orders is None else orders.metrics.get(name)
        if metric is not None and metric.value:
            finding = f"{format_count(metric.value)} {one if metric.value == 1 else several} {what}."
            effect = _scaled(run, metric, day)
            if effect is not None and name == "oversold_units":
                effect = replace(effect, low=None, high=None)  # units of few orders, sold one after another
            yield QuickWin(name, finding, advice, effect, _evidence(run, "orders"), is_integrity=True)


def _isolation(run: RunEvidence, _day: float | None) -> Iterator[QuickWin]:
    section = _section(run, "channel_isolation")
    slowed = None if section is None else section.metrics.get("slowed")
    if section is not None and slowed is not None and slowed.value:
        advice = "Give each channel workers, connections or a queue of its own."
        yield QuickWin("isolation", section.sentence, advice, None, _evidence(run, section.name))


def _staleness(run: RunEvidence, _day: float | None) -> Iterator[QuickWin]:
    section = _section(run, "propagation_delay")
    never = None if section is None else section.metrics.get("never_visible")
    if section is not None and never is not None and never.value:
        advice = "Purge caches and indexes when price or stock change, in every channel."
        yield QuickWin("staleness", section.sentence, advice, None, _evidence(run, section.name))


def _retries(run: RunEvidence, _day: float | None) -> Iterator[QuickWin]:
    attempts = run.value("errors.retry_amplification")
    if attempts is not None and attempts >= _RETRIES:
        share = format_ratio(1 - 1 / attempts)
        text = (
            f"Retries and reloads multiply the requests by {attempts:.2f}: {share} of the load is repeated."
        )
        advice = "Give clients a retry budget and backoff with jitter; answer overload with Retry-After."
        yield QuickWin("retries", text, advice, None, _evidence(run, "errors"))


def _cache(run: RunEvidence, _day: float | None) -> Iterator[QuickWin]:
    hits = run.value("time_breakdown.cache_hits")
    if hits is not None and hits < _CACHE_HEALTHY:
        word = "barely used" if hits < _CACHE_BARELY else "improvable"
        text = f"{format_ratio(hits)} of the sampled answers come from the shop's cache: {word}."
        advice = "Cache pages that all visitors share, and ignore campaign parameters in the cache key."
        yield QuickWin("cache", text, advice, None, _evidence(run, "time_breakdown"))


def _shedding(run: RunEvidence, _day: float | None) -> Iterator[QuickWin]:
    counts = [
        run.value(f"customers.{name}")
        for name in ("customers", "customers_abandoned", "customers_turned_away")
    ]
    customers, abandoned, refused = (count or 0.0 for count in counts)
    if customers and abandoned / customers >= _ABANDONED_SHARE and refused < _QUICK_REFUSALS * abandoned:
        text = (
            f"The shop sheds no load: {format_count(abandoned)} customers waited until they gave up, "
            f"{format_count(refused)} got a quick answer."
        )
        advice = "Limit the queue and answer the rest at once, or put a waiting room in front."
        yield QuickWin("shedding", text, advice, None, _evidence(run, "customers"))


_RULES: tuple[Rule, ...] = (
    _lost_customers, _integrity, _isolation, _staleness, _retries, _cache, _shedding,
)  # fmt: skip


def _of_search(search: CapacityEvidence | None, reserve: Reserve | None) -> Iterator[QuickWin]:
    found = None if search is None else search.found
    if search is None or found is None:
        return
    source = f"{search.folder.rsplit('/', 1)[-1]}: capacity"
    lost = None if reserve is None else reserve.lost_orders
    if lost is not None and lost >= 0.5:
        step = f", and step {found.breaks_at_step} is the slowest" if found.breaks_at_step else ""
        text = f"Capacity ends at {format_number(search.capacity.value)} customers per second{step}."
        advice = "Raise the capacity of that part first, then search again."
        yield QuickWin("capacity", text, advice, Metric(lost, "count"), source)
    if found.recovered is False:
        text = "After an overload the shop does not recover at a rate that it had sustained before."
        advice = "Shed load early, and cap retries, so that an overload ends when the demand falls."
        yield QuickWin("recovery", text, advice, None, source)
