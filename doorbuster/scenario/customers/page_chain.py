"""Visits that wander from page to page by chance: Markov chains, and how often each page is seen in the end.

A walk starts at `home` and ends the next time it would come home after enough pages. Between two visits to
`home` a chain sees its pages in the proportions of its stationary distribution (the ratio theorem of renewal
reward: S. Ross, Stochastic Processes, 1996, theorem 3.6.1 with section 4.3), so however long the visits are,
the pages of all visits together are the mix that the chain stands for.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import accumulate
from random import Random

import numpy as np
import numpy.typing as npt

START = "home"


@dataclass(frozen=True)
class MarkovChain:
    """One Markov chain over pages; `weights` has a row of next pages with their weights for each page."""

    name: str
    weights: dict[str, dict[str, int]]

    @property
    def pages(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def after(self, page: str, rng: Random) -> str:
        """The page that somebody on `page` goes to next."""
        names, cumulative = self._choices[page]
        return rng.choices(names, cum_weights=cumulative)[0]

    @cached_property
    def matrix(self) -> npt.NDArray[np.float64]:
        """Transition probabilities, shape (pages, pages); each row sums to 1."""
        counts = np.array([[row.get(page, 0) for page in self.pages] for row in self.weights.values()], float)
        shares: npt.NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True)
        return shares

    @cached_property
    def stationary(self) -> dict[str, float]:
        """Share of each page among all pages seen: the solution of p P = p with sum 1."""
        n = len(self.pages)
        equations = np.vstack([self.matrix.T - np.eye(n), np.ones(n)])
        shares = np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]
        return dict(zip(self.pages, shares.tolist(), strict=True))

    @property
    def pages_between_homes(self) -> float:
        """Mean pages from one visit of the first page to the next, itself included (Kac: 1 / its share)."""
        return 1.0 / self.stationary[START]

    def mean_pages(self, most: int) -> npt.NDArray[np.float64]:
        """Mean pages of a visit that may go home after 1, 2, ... `most` pages: so many, and the way home.

        With H the chain without its ways to and from home, the mean way home from each page is (1 - H)^-1 1,
        and 0 at home (J. G. Kemeny, J. L. Snell, Finite Markov Chains, 1960, theorem 3.3.5).
        """
        home = self.pages.index(START)
        astray = self.matrix.copy()
        astray[home, :] = astray[:, home] = 0.0
        way_home = np.linalg.solve(np.eye(len(self.pages)) - astray, np.ones(len(self.pages)))
        way_home[home] = 0.0
        at = np.eye(len(self.pages))[home]
        means = np.empty(most)
        for seen in range(1, most + 1):
            at = at @ self.matrix
            means[seen - 1] = seen + at @ way_home
        return means

    @cached_property
    def _choices(self) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
        return {page: (tuple(row), tuple(accumulate(row.values()))) for page, row in self.weights.items()}


def _read_chains() -> dict[str, MarkovChain]:
    text = files("doorbuster.scenario.customers").joinpath("page_chains.toml").read_text(encoding="utf-8")
    return {name: MarkovChain(name, rows) for name, rows in tomllib.loads(text).items()}


PAGE_CHAINS = _read_chains()
