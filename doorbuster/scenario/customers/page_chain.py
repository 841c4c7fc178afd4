"""Visits that move from page to page at random: Markov chains and the mix of pages that they produce.

A visit starts at `home` and ends when it would return to `home` after enough pages. Between two visits to
`home`, the pages follow the chain's stationary distribution (renewal-reward theorem: S. Ross, Stochastic
Processes, 1996, theorem 3.6.1 with section 4.3). All visits together therefore produce the chain's mix of
pages, whatever their length.
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
        """The next page after `page`."""
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
        """Share of each page among all pages visited: the solution of p P = p with sum 1."""
        n = len(self.pages)
        equations = np.vstack([self.matrix.T - np.eye(n), np.ones(n)])
        shares = np.linalg.lstsq(equations, np.append(np.zeros(n), 1.0), rcond=None)[0]
        return dict(zip(self.pages, shares.tolist(), strict=True))

    @property
    def pages_between_homes(self) -> float:
        """Mean pages from one visit to `home` to the next (Kac: 1 / its share)."""
        return 1.0 / self.stationary[START]

    def mean_pages(self, count: int) -> npt.NDArray[np.float64]:
        """Mean pages of a visit that may end after 1, 2, ... `count` pages, including the way back to `home`.

        With H the transition matrix without `home`, the mean number of pages from each page to `home` is
        (1 - H)^-1 1 (J. G. Kemeny, J. L. Snell, Finite Markov Chains, 1960, theorem 3.3.5).
        """
        home = self.pages.index(START)
        without_home = self.matrix.copy()
        without_home[home, :] = without_home[:, home] = 0.0
        way_home = np.linalg.solve(np.eye(len(self.pages)) - without_home, np.ones(len(self.pages)))
        way_home[home] = 0.0
        at = np.eye(len(self.pages))[home]
        means = np.empty(count)
        for seen in range(1, count + 1):
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
