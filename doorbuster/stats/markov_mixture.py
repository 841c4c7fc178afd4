"""Groups of visits that follow different Markov chains: a mixture, fitted by expectation maximisation.

Source: I. Cadez, D. Heckerman, C. Meek, P. Smyth, S. White (2003), "Model-based clustering and visualization
of navigation patterns on a web site", Data Mining and Knowledge Discovery 7; G. Schwarz (1978), "Estimating
the dimension of a model", Annals of Statistics 6 (BIC); C. Biernacki, G. Celeux, G. Govaert (2003), "Choosing
starting values for the EM algorithm", Computational Statistics and Data Analysis 41 (short runs first).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ROUNDS, SHORT_ROUNDS = 500, 12
_PRIOR = 0.1  # visits' worth of the common chain in each group, so that no transition is impossible
_ENOUGH = 1e-8  # relative gain of the log-likelihood in a round
_STARTS = 12


@dataclass(frozen=True, slots=True)
class MarkovMixture:
    """Groups of visits, the largest first.

    shares: shape (groups,), sums to 1. counts: expected transitions of each group, shape (groups, rows,
    columns). bic: the smaller, the better.
    """

    shares: Floats
    counts: Floats
    log_likelihood: float
    bic: float

    @property
    def chains(self) -> Floats:
        """Transition probabilities of each group; rows without a transition are 0."""
        totals = self.counts.sum(axis=2, keepdims=True)
        shares: Floats = np.divide(self.counts, totals, out=np.zeros_like(self.counts), where=totals > 0)
        return shares


def fit_mixture(visits: Ints, rows: int, groups: int, *, seed: int = 1) -> MarkovMixture:
    """The mixture of this many groups.

    Args: visits: transition counts of each visit, shape (visits, rows * columns); row 0 of each is the entry.
    Raises: ValueError without visits.
    """
    if not len(visits):
        raise ValueError("a mixture needs at least one visit")
    patterns, weights = np.unique(visits, axis=0, return_counts=True)
    weight = weights.astype(np.float64)
    used = np.flatnonzero(patterns.any(axis=0))
    table = patterns[:, used].astype(np.float64)
    row_of = used // (visits.shape[1] // rows)
    rng = np.random.default_rng(seed)
    problem = _Problem(table, weight, row_of)
    tries = [problem.climb(_start(table, weight, groups, rng), SHORT_ROUNDS) for _ in range(_STARTS)]
    best = max(tries if groups > 1 else tries[:1], key=lambda found: found[1])
    best = problem.climb(best[0], MAX_ROUNDS)
    belongs, likelihood = best
    share = weight @ belongs / weight.sum()
    order = np.argsort(-share)
    counts = np.zeros((groups, visits.shape[1]))
    counts[:, used] = (belongs * weight[:, None]).T @ table
    free = groups * (used.size - np.unique(row_of).size) + groups - 1
    return MarkovMixture(
        share[order],
        counts[order].reshape(groups, rows, -1),
        likelihood,
        free * float(np.log(weight.sum())) - 2 * likelihood,
    )


def choose_mixture(
    visits: Ints, rows: int, *, most: int, smallest_share: float, seed: int = 1
) -> MarkovMixture:
    """The mixture with the lowest BIC, of at most `most` groups, none smaller than `smallest_share`."""
    best = fit_mixture(visits, rows, 1, seed=seed)
    for groups in range(2, most + 1):
        found = fit_mixture(visits, rows, groups, seed=seed)
        if found.shares.min() < smallest_share or found.bic >= best.bic:
            break
        best = found
    return best


def _start(table: Floats, weight: Floats, groups: int, rng: np.random.Generator) -> Floats:
    """Memberships by the nearest of some visits that are far from each other (k-means++)."""
    profile = table / np.maximum(np.sqrt((table**2).sum(axis=1, keepdims=True)), 1e-12)
    centres = profile[[rng.choice(len(profile), p=weight / weight.sum())]]
    while len(centres) < groups:
        distance = weight * (1.0 - (profile @ centres.T).max(axis=1)).clip(0.0)
        total = distance.sum()
        chance = distance / total if total > 0 else weight / weight.sum()
        centres = np.vstack([centres, profile[rng.choice(len(profile), p=chance)]])
    for _ in range(3):
        nearest = np.eye(groups)[(profile @ centres.T).argmax(axis=1)]
        centres = (nearest * weight[:, None]).T @ profile
        centres = centres / np.maximum(np.sqrt((centres**2).sum(axis=1, keepdims=True)), 1e-12)
    return np.asarray(0.9 * nearest + 0.1 / groups)


@dataclass(frozen=True, slots=True)
class _Problem:
    """Patterns of visits with their numbers; `row_of` is the row of each column."""

    table: Floats
    weight: Floats
    row_of: Ints

    def climb(self, belongs: Floats, rounds: int) -> tuple[Floats, float]:
        """Memberships of each pattern and the log-likelihood, after some rounds or at the optimum nearby."""
        common = self.weight @ self.table
        row_totals = np.bincount(self.row_of, weights=common)
        prior = _PRIOR * common / row_totals[self.row_of]
        before = -np.inf
        for _ in range(rounds):
            share = np.maximum(self.weight @ belongs / self.weight.sum(), 1e-300)
            counts = (belongs * self.weight[:, None]).T @ self.table + prior
            totals = np.array([np.bincount(self.row_of, one, row_totals.size) for one in counts])
            joint = self.table @ np.log(counts / totals[:, self.row_of]).T + np.log(share)
            highest = joint.max(axis=1, keepdims=True)
            scaled = np.exp(joint - highest)
            evidence = scaled.sum(axis=1, keepdims=True)
            belongs = scaled / evidence
            likelihood = float(self.weight @ (np.log(evidence) + highest)[:, 0])
            if likelihood - before < _ENOUGH * abs(likelihood):
                break
            before = likelihood
        return belongs, likelihood
