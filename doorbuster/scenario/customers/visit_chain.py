"""Journeys as a Markov chain from the first page of a visit to its end, as access logs show them.

A row has the weights of what follows a page; `enter` is the row of the first page, `leave` ends the visit.
In the literature: a customer behaviour model graph (D. Menascé, V. Almeida, Scaling for E-Business, 2000,
chapter 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from random import Random

import numpy as np
import numpy.typing as npt

from doorbuster.scenario.parsing.diagnostics import KeyIssue, all_issues, did_you_mean, invalid, preview
from doorbuster.scenario.parsing.values import is_number, value_type

ENTER, LEAVE = "enter", "leave"
CHAIN_STEPS = (
    "home", "category", "search", "product", "add_to_basket", "basket", "checkout_page", "checkout",
    "sign_in", "order_status",
)  # fmt: skip
MAX_WEIGHT = 1e12
MAX_PAGES = 1000  # mean pages of a visit


@dataclass(frozen=True)
class VisitChain:
    """A Markov chain of pages; `weights[page]` has the weight of each next page, or of `leave`."""

    weights: dict[str, dict[str, float]]

    @property
    def pages(self) -> tuple[str, ...]:
        return tuple(name for name in self.weights if name != ENTER)

    def after(self, page: str, rng: Random) -> str:
        """The page after `page`, `enter` for the first; or `leave`."""
        names, cumulative = self._choices[page]
        return rng.choices(names, cum_weights=cumulative)[0]

    @cached_property
    def visits(self) -> dict[str, float]:
        """Mean visits to each page: V = (I - Q^T)^-1 e, with Q the transitions between pages, e the entries.

        Source: Menascé and Almeida (2000), equation 2.4.1; J. G. Kemeny, J. L. Snell, Finite Markov Chains,
        1960, theorem 3.2.4.
        """
        return dict(zip(self.pages, self._solve().tolist(), strict=True))

    def _solve(self) -> npt.NDArray[np.float64]:
        between = np.array([self._shares(page) for page in self.pages])
        return np.asarray(np.linalg.solve(np.eye(len(self.pages)) - between.T, self._shares(ENTER)))

    def _shares(self, page: str) -> npt.NDArray[np.float64]:
        row = self.weights[page]
        return np.array([row.get(name, 0.0) for name in self.pages]) / sum(row.values())

    @cached_property
    def _choices(self) -> dict[str, tuple[tuple[str, ...], tuple[float, ...]]]:
        return {page: (tuple(row), tuple(accumulate(row.values()))) for page, row in self.weights.items()}


_NEXT = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"enum": [*CHAIN_STEPS, LEAVE]},
    "additionalProperties": {"type": "number", "minimum": 0, "maximum": MAX_WEIGHT},
}


@value_type(
    {
        "type": "object",
        "required": [ENTER],
        "propertyNames": {"enum": [ENTER, *CHAIN_STEPS]},
        "additionalProperties": _NEXT,
    }
)
def parse_chain(raw: object) -> object:
    """The chain of `{enter: {home: 1}, home: {product: 3, leave: 1}, ...}`."""
    if isinstance(raw, VisitChain):
        return raw
    if not isinstance(raw, dict) or ENTER not in raw:
        rule = (
            "must map each page to the weights of what follows, such as {enter: {home: 1}, home: {leave: 1}}"
        )
        raise invalid(rule, got=preview(raw))
    with all_issues("chain", raw) as issues:
        for page, row in raw.items():
            issues += _row_issues(str(page), row)
            if page not in (ENTER, *CHAIN_STEPS):
                way_out = did_you_mean(str(page), (ENTER, *CHAIN_STEPS))
                issues.append(KeyIssue((str(page),), "is not a page of a chain", way_out=way_out, at="key"))
        if not issues:
            issues += _connection_issues(raw)
        chain = None if issues else VisitChain(_positive(raw))
        if chain is not None and not 0 < sum(chain.visits.values()) <= MAX_PAGES:
            rule = f"must let visits end: at most {MAX_PAGES} pages on average"
            issues.append(KeyIssue((), rule, f"{sum(chain.visits.values()):,.0f}"))
    return chain


def _row_issues(page: str, row: object) -> list[KeyIssue]:
    if not isinstance(row, dict) or not row:
        return [
            KeyIssue((page,), "must map next pages to weights, such as {product: 3, leave: 1}", preview(row))
        ]
    issues = []
    for name, weight in row.items():
        if name not in (*CHAIN_STEPS, LEAVE):
            way_out = did_you_mean(str(name), (*CHAIN_STEPS, LEAVE))
            issues.append(KeyIssue((page, str(name)), "is not a page of a chain", way_out=way_out, at="key"))
        if not is_number(weight) or not 0 <= weight <= MAX_WEIGHT:
            issues.append(KeyIssue((page, str(name)), "must be a weight: a number >= 0", preview(weight)))
    if not issues and not any(row.values()):
        issues.append(KeyIssue((page,), "must not be 0 throughout"))
    if not issues and page == ENTER and row.get(LEAVE):
        issues.append(KeyIssue((page, LEAVE), "must not be the first page", way_out="a visit has a page"))
    return issues


def _connection_issues(raw: dict[str, dict[str, float]]) -> list[KeyIssue]:
    """Every page that can follow has a row, and every visit can end."""
    issues = [
        KeyIssue((page, name), "has no row of its own", way_out=f"add {name}: {{leave: 1}}", at="key")
        for page, row in raw.items()
        for name, weight in row.items()
        if weight and name != LEAVE and name not in raw
    ]
    ending = {page for page, row in raw.items() if row.get(LEAVE)}
    for _ in raw:
        ending |= {
            page for page, row in raw.items() if any(row.get(name) for name in ending if name != ENTER)
        }
    issues += [
        KeyIssue((page,), "never ends the visit", way_out="add a way to leave")
        for page in raw
        if page not in ending
    ]
    return issues


def _positive(raw: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {page: {name: float(value) for name, value in row.items() if value} for page, row in raw.items()}
