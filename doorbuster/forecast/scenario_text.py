"""A forecast as a scenario: the day of the peak, compressed, at the forecast rate.

The rate at 100 % of the curve is that of the busiest hour. The minutes and seconds above it come from the
burstiness, which the generator adds itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from doorbuster.forecast.forecast_result import ForecastResult
from doorbuster.scenario import Scenario, read_scenario
from doorbuster.scenario.overrides import scenario_text, scenario_values
from doorbuster.scenario.parsing.values import MAX_RATE_PER_S

_ENOUGH_CUSTOMERS = 420  # in a run, so that a threshold of 98 % can be proven
_MIN_RUN_S, _MAX_RUN_S = 90, 900
_PROVABLE = ((0.99, 700), (0.98, 400), (0.97, 250), (0.95, 140), (0.9, 70), (0.8, 25))
_FEWEST_ORDERS = 60  # fewer cannot prove a useful share, and make a capacity search slow
_ABANDONED_PER_ORDER = 0.69 / 0.31
_BROWSE, _SEARCH = 55, 13
_MAX_BUY = 0.28  # leaves a share for abandoned baskets and browsing
_SPARE = 1.35  # the request ceiling over the requests expected at the peak
_REQUESTS_PER_VISIT = 15


@dataclass(frozen=True, slots=True)
class ScenarioPlan:
    """Numbers of the scenario: hours of the curve, length of the run, customers expected."""

    hours: tuple[float, ...]
    run_s: int
    customers: float


@dataclass(frozen=True, slots=True)
class PeakDemand:
    """The demand of one of the scenarios. `peak`: as YAML has it; `why`: where it is from."""

    peak: str
    rate_per_s: float
    title: str
    story: str
    why: str


def median_peak(found: ForecastResult) -> PeakDemand:
    """The forecast itself, with its 95 % interval."""
    rate = found.rate
    spread = (rate.high95 / rate.low95) ** 0.5
    return PeakDemand(
        f"{_digits(rate.median / spread)}..{_digits(rate.median * spread)} customers/s",
        rate.median,
        f"The forecast peak of {found.peak_date}: as expected",
        f"The busiest day, as forecast: {_digits(rate.median)} customers per second in the busiest hour.",
        f"95 % interval; its middle, {_digits(rate.median)}, is the peak of a run.",
    )


def worse_peak(found: ForecastResult) -> PeakDemand:
    """What one year in ten exceeds."""
    rate = found.rate.one_in_ten
    return PeakDemand(
        f"{_digits(rate)} customers/s",
        rate,
        f"The forecast peak of {found.peak_date}: 1 in 10 years worse",
        f"A day that one year in ten exceeds: {_digits(rate)} customers per second in its busiest hour.",
        "90 % quantile of the forecast: one year in ten is worse.",
    )


def scenario_like(base: Scenario, found: ForecastResult, wanted: PeakDemand) -> str:
    """The scenario `base` with the forecast demand in place of its own, over the same time, without comments.

    Raises: ScenarioError if it is not valid with this demand, such as a threshold on a phase that it lacks.
    """
    plan = _plan(found, wanted.rate_per_s)
    values = scenario_values(base)
    values["title"], values["story"] = wanted.title, f"{wanted.story} {_source(found)}"
    values["demand"] = {
        "peak": wanted.peak,
        "curve": {"hourly": [round(weight, 2) for weight in plan.hours]},
        "compress": f"{len(plan.hours)}h -> {base.demand.duration_s:g}s",
        "burstiness": round(max(found.dispersion, 1.0), 2),
    }
    text = (
        f"# Customers, target and thresholds as in {_plain(base.name)}. {wanted.why}\n{scenario_text(values)}"
    )
    read_scenario(text, file=f"{base.name} with the forecast demand")
    return text


def forecast_scenario(found: ForecastResult, wanted: PeakDemand) -> str:
    """A scenario of web customers against the embedded shop."""
    rate_per_s = wanted.rate_per_s
    plan = _plan(found, rate_per_s)
    conversion = min(found.conversion.median, _MAX_BUY)
    buy = 100 * conversion
    abandon = min(buy * _ABANDONED_PER_ORDER, 0.6 * (100 - buy))
    rest = (100 - buy - abandon) / (_BROWSE + _SEARCH)
    weights = (_BROWSE * rest, _SEARCH * rest, buy, abandon)
    names = ("browse", "search", "buy", "abandon_basket")
    journeys = ", ".join(f"{name}: {weight:.1f}" for name, weight in zip(names, weights, strict=True))
    hours = ", ".join(f"{weight:.2f}" for weight in plan.hours)
    measured = (
        f"Mean of the {found.curve_days} busiest days of {found.source}."
        if found.curve_days
        else "A British Black Friday; its sources are in the bundled scenario black-friday-uk."
    )
    limit = max(200, round(rate_per_s * _SPARE * found.dispersion * _REQUESTS_PER_VISIT))
    limit = min(limit, round(MAX_RATE_PER_S))
    return f"""\
title: {_quoted(wanted.title)}
story: >-
  {wanted.story}
  {_source(found)}
# To load your own shop, replace `target` and list its host in safety.allow.
target: {{storefront: reference, shop: {{profile: replatformed}}}}
demand:
  # {wanted.why}
  peak: {wanted.peak}
  curve:
    # {_plain(measured)}
    hourly: [{hours}]
  # Rates stay as they are; the run is long enough to prove the thresholds.
  compress: {len(plan.hours)}h -> {plan.run_s}s
  burstiness: {max(found.dispersion, 1.0):.2f}  # variance over mean of customers per second
channels:
  web:
    share: 100%
    # buy, orders per visit: {_plain(found.conversion_source)}.
    # abandon_basket: 31 of 100 filled baskets become orders (OTTO, RetailRocket, Synerise). browse, search:
    # the rest, as in black-friday-uk.
    journeys: {{{journeys}}}
    patience: desktop  # 40 % have left a page after 3 s (Forrester and Akamai, 2009)
    # Real visitors take 33 to 41 s per page (SimilarWeb UK, 2016); compressed about 20 times (assumption).
    think: {{lognormal: {{median: 1.5s, sigma: 0.8, max: 6s}}}}
thresholds:
{_thresholds(plan.customers, plan.customers * conversion)}
  orders_missing: ["count==0"]
  orders_duplicated: ["count==0"]
  oversold_units: ["count==0"]
safety: {{allow: [127.0.0.1], max_rate: {limit} requests/s, abort: {{turned_away: 90% for 60s}}}}
seed: {found.peak_date.replace("-", "")}
drain: 60s
"""


def _source(found: ForecastResult) -> str:
    return f"Forecast by {found.method} from {_plain(found.source)}, {found.first_day} to {found.last_day}."


def _thresholds(customers: float, orders: float) -> str:
    """Thresholds that the expected numbers of customers and orders can prove."""
    browse, order = f"{_provable(customers):.0%}", f"{_provable(orders):.0%}"
    lines = [f'  can_browse: ["rate>={browse}"]  # about {customers:.0f} customers can prove this']
    if orders >= _FEWEST_ORDERS:
        lines.append(f'  can_order: ["rate>={order}"]  # about {orders:.0f} orders can prove this')
    else:
        lines.append(f"  # no threshold on can_order: about {orders:.0f} orders prove nothing")
    buying = "{journey:buy}" if orders >= _FEWEST_ORDERS else ""
    lines.append(f'  "http_req_duration{buying}": ["p(95)<3s"]  # 40 % have left after 3 s (Forrester, 2009)')
    return "\n".join(lines)


def _plan(found: ForecastResult, rate_per_s: float) -> ScenarioPlan:
    """The hours in which customers come, and how long their run takes."""
    curve = found.curve
    open_hours = [hour for hour, weight in enumerate(curve) if weight > 0.005 * max(curve)]
    hours = curve[open_hours[0] : open_hours[-1] + 1]
    mean_per_s = rate_per_s * sum(hours) / len(hours) / max(hours)
    wanted_s = _ENOUGH_CUSTOMERS / mean_per_s
    run_s = round(min(max(wanted_s, _MIN_RUN_S), _MAX_RUN_S))
    return ScenarioPlan(hours, run_s, mean_per_s * run_s)


def _provable(n: float) -> float:
    """The highest share that about n customers without a failure can prove."""
    return next((share for share, needed in _PROVABLE if n >= needed), 0.5)


def _digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _plain(text: str) -> str:
    """Text that stays on one line of a comment or of a folded block."""
    return "".join(letter if letter.isprintable() else " " for letter in text)[:120]


def _quoted(text: str) -> str:
    escaped = _plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
