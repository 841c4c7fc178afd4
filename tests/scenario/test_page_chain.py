"""Page chains against the mixes printed in the specification."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from doorbuster.scenario.customers.page_chain import PAGE_CHAINS, START

# TPC-W specification 1.8, page 94: web interactions in percent.
PRINTED = {
    "browsing": {
        "home": 29.00, "new_products": 11.00, "best_sellers": 11.00, "product": 21.00, "search_form": 12.00,
        "search": 11.00, "basket": 2.00, "register": 0.82, "checkout_page": 0.75, "checkout": 0.69,
        "order_inquiry": 0.30, "order_status": 0.25, "admin_request": 0.10, "admin_confirm": 0.09,
    },
    "shopping": {
        "home": 16.00, "new_products": 5.00, "best_sellers": 5.00, "product": 17.00, "search_form": 20.00,
        "search": 17.00, "basket": 11.60, "register": 3.00, "checkout_page": 2.60, "checkout": 1.20,
        "order_inquiry": 0.75, "order_status": 0.66, "admin_request": 0.10, "admin_confirm": 0.09,
    },
    "ordering": {
        "home": 9.12, "new_products": 0.46, "best_sellers": 0.46, "product": 12.35, "search_form": 14.53,
        "search": 13.08, "basket": 13.53, "register": 12.86, "checkout_page": 12.73, "checkout": 10.18,
        "order_inquiry": 0.25, "order_status": 0.22, "admin_request": 0.12, "admin_confirm": 0.11,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PAGE_CHAINS)
def test_pages_are_seen_as_often_as_the_specification_prints(name):
    shares = PAGE_CHAINS[name].stationary
    assert {page: round(100 * share, 2) for page, share in shares.items()} == pytest.approx(
        PRINTED[name], abs=0.0201
    )


@pytest.mark.parametrize("name", PAGE_CHAINS)
def test_every_row_is_a_distribution_over_known_pages(name):
    walk = PAGE_CHAINS[name]
    assert np.allclose(walk.matrix.sum(axis=1), 1.0)
    assert {page for row in walk.weights.values() for page in row} <= set(walk.pages)
    assert all(sum(row.values()) == 9999 for row in walk.weights.values())


def test_the_uncorrected_basket_would_sell_less_than_printed():
    rows = PAGE_CHAINS["shopping"].weights
    assert rows["basket"]["home"] + rows["basket"]["register"] == 9552
    wrong = {**rows, "basket": {"register": 2585, "home": 9992 - 2585, "basket": 7}}
    shares = type(PAGE_CHAINS["shopping"])("wrong", wrong).stationary
    assert 100 * shares["basket"] == pytest.approx(11.15, abs=0.01)
    assert 100 * shares["checkout"] == pytest.approx(1.15, abs=0.01)


@pytest.mark.parametrize("name", PAGE_CHAINS)
def test_visits_that_end_at_home_see_the_stationary_mix_however_long_they_are(name):
    walk, rng, seen = PAGE_CHAINS[name], Random(20041202), Counter()
    for _ in range(4000):
        enough, page, pages = rng.choice((1, 5, 20)), START, 0
        while pages == 0 or page != START or pages < enough:
            seen[page] += 1
            pages += 1
            page = walk.after(page, rng)
    n = seen.total()
    for page, share in walk.stationary.items():
        # Visits to a page within one cycle cluster: twice the binomial error, and four of those.
        assert abs(seen[page] / n - share) < 8 * (share * (1 - share) / n) ** 0.5, page


def test_pages_between_two_visits_home_follow_from_its_share():
    assert PAGE_CHAINS["browsing"].pages_between_homes == pytest.approx(1 / 0.29, rel=1e-3)
