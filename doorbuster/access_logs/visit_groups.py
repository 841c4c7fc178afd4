"""Groups of visits as journeys of a scenario: names, descriptions and chains of pages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from doorbuster.access_logs.demand_model import DemandModel
from doorbuster.scenario import ENTER, LEAVE, VisitChain

_OFTEN = 0.3
_SMALLEST_PERCENT = 0.01
_FEWEST_VIEWS = 0.5
_SHOWN = (
    ("product", "products"), ("search", "searches"), ("add_to_basket", "additions to the basket"),
    ("checkout", "orders"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VisitGroup:
    """A group of visits: its share, its number of visits, and its chain with weights in percent."""

    name: str
    description: str
    share: float
    visits: float
    chain: VisitChain


def visit_groups(model: DemandModel) -> tuple[VisitGroup, ...]:
    """The groups of visits of a model, the largest first."""
    kinds = model.behaviour.kinds
    total = len(model.behaviour.visits)
    found: list[VisitGroup] = []
    for share, counts in zip(model.mixture.shares.tolist(), model.mixture.counts, strict=True):
        chain = chain_of(kinds, counts)
        plain = _name(chain)
        number = sum(group.name.startswith(plain) for group in found)
        name = f"{plain}_{number + 1}" if number else plain
        found.append(VisitGroup(name, _description(chain), share, share * total, chain))
    return tuple(found)


def chain_of(kinds: tuple[str, ...], counts: NDArray[np.float64]) -> VisitChain:
    """The chain of transition counts as `Behaviour.transitions` has them."""
    names = (ENTER, *kinds)
    columns = (*kinds, LEAVE)
    seen = {names[row] for row in range(1, len(names)) if counts[row].sum() >= _FEWEST_VIEWS}
    weights: dict[str, dict[str, float]] = {}
    for row, name in enumerate(names):
        if name != ENTER and name not in seen:
            continue
        percent = 100.0 * counts[row] / counts[row].sum()
        weights[name] = {
            column: round(float(value), 2)
            for column, value in zip(columns, percent, strict=True)
            if value >= _SMALLEST_PERCENT and (column in seen or (column == LEAVE and name != ENTER))
        } or {LEAVE: 100.0}
    return VisitChain(_all_ending(_connected(weights)))


def _connected(weights: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Without pages that no other page leads to."""
    reached, new = {ENTER}, [ENTER]
    while new:
        names = set(weights[new.pop()]) - {LEAVE} - reached
        reached |= names
        new += names
    return {name: row for name, row in weights.items() if name in reached}


def _all_ending(weights: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """With a small weight of leaving wherever a visit could never end."""
    ending = {name for name, row in weights.items() if row.get(LEAVE)}
    for _ in weights:
        ending |= {name for name, row in weights.items() if ending & set(row)}
    for name, row in weights.items():
        if name not in ending and name != ENTER:
            row[LEAVE] = _SMALLEST_PERCENT
    return weights


def _name(chain: VisitChain) -> str:
    visits = chain.visits
    named = {"checkout": "order_visits", "add_to_basket": "basket_visits", "search": "search_visits"}
    for step, name in named.items():
        if visits.get(step, 0.0) >= _OFTEN:
            return name
    return "short_visits" if sum(visits.values()) < 2.0 else "browse_visits"


def _description(chain: VisitChain) -> str:
    visits = chain.visits
    parts = [f"{sum(visits.values()):.1f} pages"]
    parts += [f"{visits[step]:.2f} {text}" for step, text in _SHOWN if visits.get(step, 0.0) >= 0.005]
    return f"visits as in the log: {', '.join(parts)} on average"
