"""Groups of visits that follow different Markov chains: a mixture, fitted by expectation maximisation.

Source: I. Cadez, D. Heckerman, C. Meek, P. Smyth, S. White (2003), "Model-based clustering and visualization
of navigation patterns on a web site", Data Mining and Knowledge Discovery 7; G. Schwarz (1978), "Estimating
the dimension of a model", Annals of Statistics 6 (BIC).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ROUNDS = 300
_PRIOR = 0.1  # visits' worth of the common chain in each group, so that no transition is impossible
_ENOUGH = 1e-7  # relative gain of the log-likelihood in a round
_STARTS = 4


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
    best = max(
        (
            _climb(table, weight, row_of, _start(table, groups, rng))
            for _ in range(_STARTS if groups > 1 else 1)
        ),
        key=lambda found: found[1],
    )
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


def _start(table: Floats, groups: int, rng: np.random.Generator) -> Floats:
    """Random memberships, after distances to visits that are far from each other (k-means++)."""
    if groups == 1:
        return np.ones((len(table), 1))
    profile = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    centres = [profile[rng.integers(len(profile))]]
    while len(centres) < groups:
        distance = np.min([((profile - centre) ** 2).sum(axis=1) for centre in centres], axis=0)
        total = distance.sum()
        chance = distance / total if total > 0 else None
        centres.append(profile[rng.choice(len(profile), p=chance)])
    distances = np.array([((profile - centre) ** 2).sum(axis=1) for centre in centres]).T
    near = np.exp(-4.0 * distances)
    return np.asarray(near / near.sum(axis=1, keepdims=True))


def _climb(table: Floats, weight: Floats, row_of: Ints, belongs: Floats) -> tuple[Floats, float]:
    """Memberships of each pattern and the log-likelihood at the optimum near these memberships."""
    common = weight @ table
    row_totals = np.bincount(row_of, weights=common)
    prior = _PRIOR * common / row_totals[row_of]
    before = -np.inf
    for _ in range(MAX_ROUNDS):
        share = np.maximum(weight @ belongs / weight.sum(), 1e-300)
        counts = (belongs * weight[:, None]).T @ table + prior
        totals = np.array([np.bincount(row_of, weights=one, minlength=row_totals.size) for one in counts])
        log_chance = np.log(counts / totals[:, row_of])
        joint = table @ log_chance.T + np.log(share)
        highest = joint.max(axis=1, keepdims=True)
        scaled = np.exp(joint - highest)
        evidence = scaled.sum(axis=1, keepdims=True)
        belongs = scaled / evidence
        likelihood = float(weight @ (np.log(evidence) + highest)[:, 0])
        if likelihood - before < _ENOUGH * abs(likelihood):
            break
        before = likelihood
    return belongs, likelihood
