"""Scenarios for load steps: a scenario's customers at a constant rate or concurrency, as YAML text.

Everything but demand, target, seed and thresholds is kept. The result is a text because a run records the
text of its scenario and its workers read it, so every load step can be inspected and run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.observation.embedded_shop import shop_observation
from doorbuster.scenario.observation.observe import Observe
from doorbuster.scenario.overrides import scenario_text, scenario_values
from doorbuster.scenario.parsing.document import read_document
from doorbuster.scenario.thresholds.language import parse_metric_selector, threshold_selectors
from doorbuster.scenario.thresholds.metrics import OBSERVED, find_metric


class RateLevel(NamedTuple):
    """A constant arrival rate and its duration."""

    rate_per_s: float
    for_s: float


def load_step_text(
    scenario: Scenario,
    levels: Sequence[RateLevel],
    *,
    url: str,
    seed: int,
    metrics_url: str | None = None,
) -> str:
    """The YAML text of `scenario` at these rates, one after the other, against `url`.

    A rate covers all open channels together; a channel with its own demand keeps its share of the scenario's
    peak. All channels visit the shop at `url`, whatever their merchant.

    Thresholds on a phase or a section are left out: a load step has no phases, and sections cover whole runs.
    So are browser probes and their thresholds: the few visits of a load step decide nothing. The embedded
    shop's own metrics are read at `metrics_url`; without it, thresholds and abort rules on them are left out.
    """
    document = scenario_values(scenario)
    document.pop("browsers", None)
    peak = max(level.rate_per_s for level in levels)
    stages = [
        {"for": f"{level.for_s:.3f}s", "at": f"{100 * level.rate_per_s / peak:.9f}%"} for level in levels
    ]
    parts = {name: rate / scenario.peak_per_s for name, rate in scenario.peak_rates_per_s.items()}

    def demand(own: Demand, part: float) -> dict[str, Any]:
        level = {"peak": f"{peak * part:.9f} customers/s", "curve": {"stages": stages}}
        return level | ({"burstiness": own.burstiness} if own.burstiness > 1 else {})

    document["demand"] = demand(scenario.demand, parts.get("", 1.0))
    document["channels"] = {
        name: {key: value for key, value in values.items() if key != "merchant"}
        | ({"demand": demand(scenario.demands[name], parts[name])} if name in parts else {})
        for name, values in document["channels"].items()
    }
    document["target"] = _target(document["target"], scenario, url)
    document["seed"] = seed
    stated = {key: _absolute(value) for key, value in dict(document.get("thresholds") or {}).items()}
    document["thresholds"] = {key: value for key, value in stated.items() if value and _stays(str(key))}
    _observe_shop(document, scenario, metrics_url)
    return scenario_text(document)


def _observe_shop(document: dict[str, Any], scenario: Scenario, metrics_url: str | None) -> None:
    """Keep what thresholds and abort rules need of the embedded shop's metrics, which now is just a URL."""
    abort = dict((document.get("safety") or {}).get("abort") or {})
    phased = {
        key for key, found in threshold_selectors(abort) if any(tag.name == "phase" for tag in found.tags)
    }
    abort = {key: rule for key, rule in abort.items() if str(key) not in phased}
    observe = scenario.observe or Observe()
    if scenario.target.shop is not None and observe.shop:
        named = {name for block in (abort, document.get("thresholds") or {}) for name in _observed(block)}
        given = dict(document.get("observe") or {})
        described = given.keys() & {"limits", "resources"}
        if (named or described) and metrics_url is not None:
            own = shop_observation(metrics_url)
            document["observe"] = {**given, **{key: own[key] | (given.get(key) or {}) for key in own}}
        elif named:
            lost = {key for key, metric in named if not observe.sources or not observe.may_have(metric)}
            abort = {key: rule for key, rule in abort.items() if key not in lost}
            kept = document.get("thresholds", {})
            document["thresholds"] = {key: value for key, value in kept.items() if key not in lost}
    if "abort" in (document.get("safety") or {}):
        document["safety"] = {**document["safety"], "abort": abort}


def _observed(block: dict[str, Any]) -> list[tuple[str, str]]:
    """The keys of a block that name an observed metric, each with the metric's own name."""
    return [
        (key, selector.metric.removeprefix(OBSERVED))
        for key, selector in threshold_selectors(block)
        if selector.metric.startswith(OBSERVED)
    ]


def same_customers(text: str, other: str) -> bool:
    """Whether two load steps have the same customers and thresholds.

    Shop, rate, seed, title and story may differ.
    """
    return _customers(text) == _customers(other)


def _customers(text: str) -> dict[str, Any]:
    document: Any = read_document(text, "scenario").data
    kept = {key: value for key, value in document.items() if key in ("channels", "thresholds", "drain")}
    kept["channels"] = {
        name: {key: value for key, value in values.items() if key != "demand"}
        for name, values in document["channels"].items()
    }
    return kept


def _target(written: dict[str, Any], scenario: Scenario, url: str) -> dict[str, Any]:
    """The shop at `url` with everything else of the original target."""
    kept = {key: value for key, value in written.items() if key != "shop"}
    return {**kept, "storefront": scenario.target.storefront, "url": url}


def _absolute(entries: Any) -> list[Any]:
    """The thresholds that do not refer to a baseline: its runs had another rate."""
    listed = entries if isinstance(entries, list) else [entries]
    texts = [entry["threshold"] if isinstance(entry, dict) else entry for entry in listed]
    return [entry for entry, text in zip(listed, texts, strict=True) if "baseline" not in text]


def _stays(key: str) -> bool:
    selector = parse_metric_selector(key)
    metric = find_metric(selector.metric)
    is_section = "." in selector.metric and not selector.metric.startswith(OBSERVED)
    of_step = not is_section and not (metric is not None and metric.of_browsers)
    return of_step and all(tag.name != "phase" for tag in selector.tags)


def concurrency_text(
    scenario: Scenario,
    channel: str,
    seats: int,
    *,
    for_s: float,
    url: str,
    seed: int,
    metrics_url: str | None = None,
) -> str:
    """The YAML text of `scenario` with a fixed number of concurrent customers of one channel.

    An open channel becomes a closed one: each customer who leaves is replaced at once. Thresholds are left
    out because a sweep has no verdict.
    """
    document = scenario_values(scenario)
    kept = {
        key: value for key, value in document["channels"][channel].items() if key not in ("share", "demand")
    }
    document["channels"] = {channel: {**kept, "seats": seats}}
    document["demand"] = {
        "peak": "1 customers/s",
        "curve": {"stages": [{"for": f"{for_s:.3f}s", "at": "100%"}]},
    }
    document["target"] = _target(document["target"], scenario, url)
    document["seed"] = seed
    document.pop("thresholds", None)
    document.pop("browsers", None)
    _observe_shop(document, scenario, metrics_url)
    return scenario_text(document)
