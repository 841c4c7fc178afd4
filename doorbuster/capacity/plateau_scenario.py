"""A scenario's customers at a constant rate: what a capacity search sends, as the text of a scenario.

Everything but demand, target, seed and thresholds stays as it was written. A text, because a run records the
text of its scenario, and its workers read it: what was run can then be read, and run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml

from doorbuster.scenario.demand.demand import Demand
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.parsing.document import read_document
from doorbuster.scenario.thresholds.language import parse_metric_selector


class Level(NamedTuple):
    """A rate of customers, held for some seconds."""

    rate_per_s: float
    for_s: float


def plateau_text(scenario: Scenario, levels: Sequence[Level], *, url: str, seed: int) -> str:
    """The YAML text of `scenario` with customers at these levels, one after the other, against `url`.

    A rate is that of all open channels together; a channel with a demand of its own keeps the part in it that
    it has at the busiest moment of the scenario.

    All channels visit the one shop at `url`, whichever merchant's they would.

    Thresholds on a phase or on a section are left out: a plateau has no phases, sections judge whole runs.
    """
    document: Any = read_document(scenario.source_text, "scenario").data
    peak = max(level.rate_per_s for level in levels)
    stages = [
        {"for": f"{level.for_s:.3f}s", "at": f"{100 * level.rate_per_s / peak:.9f}%"} for level in levels
    ]
    document = dict(document)
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
    document["thresholds"] = {
        key: value for key, value in dict(document.get("thresholds") or {}).items() if _stays(str(key))
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def same_customers(text: str, other: str) -> bool:
    """Whether two plateaus send the same customers, with the same promises to keep.

    Shop, rate, seed and the words about it may differ.
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
    """The shop at `url`; what an answer must contain stays as it was written."""
    rules = {"rules": written["rules"]} if "rules" in written else {}
    return {"storefront": scenario.target.storefront, "url": url, **rules}


def _stays(key: str) -> bool:
    subject = parse_metric_selector(key)
    return "." not in subject.metric and all(tag.name != "phase" for tag in subject.tags)


def seats_text(scenario: Scenario, channel: str, seats: int, *, for_s: float, url: str, seed: int) -> str:
    """The YAML text of `scenario` with nobody but so many customers of one channel, in a loop.

    An open channel is made a closed one: who has left comes again at once. Thresholds are left out: a sweep
    judges nothing.
    """
    document: Any = dict(read_document(scenario.source_text, "scenario").data)
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
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
