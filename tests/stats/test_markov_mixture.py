"""Mixtures of Markov chains: known groups are found again."""

from __future__ import annotations

import numpy as np
import pytest

from doorbuster.stats.markov_mixture import choose_mixture, fit_mixture

KINDS = 3
LOOKERS = np.array([[0.7, 0.2, 0.1, 0.0], [0.6, 0.1, 0.0, 0.3], [0.1, 0.5, 0.0, 0.4], [0.2, 0.2, 0.2, 0.4]])
BUYERS = np.array([[0.1, 0.1, 0.8, 0.0], [0.1, 0.1, 0.7, 0.1], [0.0, 0.1, 0.7, 0.2], [0.0, 0.1, 0.1, 0.8]])


def visits(chain, count, seed):
    """Transition counts of simulated visits, all walked at once."""
    rng = np.random.default_rng(seed)
    found = np.zeros((count, KINDS + 1, KINDS + 1), np.int64)
    state, walking = np.zeros(count, int), np.arange(count)
    cumulative = chain.cumsum(axis=1)
    while walking.size:
        after = (rng.random(walking.size)[:, None] > cumulative[state[walking]]).sum(axis=1)
        found[walking, state[walking], after] += 1
        state[walking] = after + 1
        walking = walking[after < KINDS]
    return found.reshape(count, -1)


def test_two_known_groups_are_found_with_their_shares_and_chains():
    table = np.concatenate([visits(LOOKERS, 7_000, 1), visits(BUYERS, 3_000, 2)])
    found = choose_mixture(table, KINDS + 1, most=4, smallest_share=0.02)
    assert len(found.shares) == 2
    # the share's standard error is above sqrt(.7 * .3 / 10,000) = .0046, because memberships overlap
    assert found.shares == pytest.approx([0.7, 0.3], abs=0.03)
    assert found.chains[0] == pytest.approx(LOOKERS, abs=0.05)
    assert found.chains[1] == pytest.approx(BUYERS, abs=0.05)


def test_one_chain_is_not_split():
    found = choose_mixture(visits(LOOKERS, 5_000, 3), KINDS + 1, most=4, smallest_share=0.02)
    assert found.shares.tolist() == [1.0]
    assert found.chains[0] == pytest.approx(LOOKERS, abs=0.03)


def test_one_group_has_the_plain_transition_shares_and_its_likelihood():
    table = visits(BUYERS, 500, 4)
    found = fit_mixture(table, KINDS + 1, 1)
    counts = table.sum(axis=0).reshape(KINDS + 1, KINDS + 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert found.chains[0] == pytest.approx(shares)
    assert found.log_likelihood == pytest.approx(
        float((counts * np.log(np.where(counts, shares, 1))).sum()), rel=1e-5
    )


def test_no_visits_are_refused():
    with pytest.raises(ValueError, match="at least one visit"):
        fit_mixture(np.empty((0, 16), np.int64), KINDS + 1, 1)
