"""The catalogue: reproducible, with a realistic distribution of popularity."""

from __future__ import annotations

import random
import statistics

import pytest

from doorbuster.shop.domain.catalogue import MIN_OPENING_UNITS, make_catalogue, popularity_shares


@pytest.fixture(scope="module")
def catalogue():
    return make_catalogue(seed=20041202, products=5_000)


def test_the_same_seed_makes_the_same_catalogue(catalogue):
    assert make_catalogue(seed=20041202, products=5_000) == catalogue
    assert make_catalogue(seed=1, products=5_000).products != catalogue.products


def test_five_thousand_products_share_24_categories(catalogue):
    skus = [row[0] for row in catalogue.products]
    assert len(skus) == len(set(skus)) == 5_000
    assert len({row[1] for row in catalogue.products}) == len(catalogue.categories) == 24


def test_names_are_unique_within_a_category(catalogue):
    names = [(row[1], row[2]) for row in catalogue.products]
    assert len(set(names)) == len(names)


def test_prices_are_plausible(catalogue):
    for price_pence in (row[8] for row in catalogue.products):
        assert isinstance(price_pence, int)
        assert 100 <= price_pence <= 120_000
        assert price_pence % 100 in (0, 50, 95, 99)


def test_offers_are_a_fifth_off(catalogue):
    for price_pence, was_pence in ((row[8], row[9]) for row in catalogue.products if row[9] is not None):
        # the price before is rounded to 50 pence
        assert 0.8 * was_pence == pytest.approx(price_pence, abs=0.8 * 25 + 1)


def test_popularity_has_the_tail_of_a_real_clickstream(catalogue):
    shares = sorted((row[10] for row in catalogue.products), reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    assert 0.0006 <= shares[0] <= 0.01
    median, p90 = statistics.median(shares), shares[500]
    # lognormal with sigma 1.73: p90 / p50 = exp(1.2816 x 1.73) = 9.18; OTTO 2022 has 183 / 20 = 9.15
    assert p90 / median == pytest.approx(9.18, rel=0.15)


def test_few_products_still_sum_to_one():
    assert sum(popularity_shares(random.Random(1), 24)) == pytest.approx(1.0)


def test_stock_follows_popularity_above_a_floor(catalogue):
    units = dict(catalogue.stock)
    by_share = sorted(catalogue.products, key=lambda row: row[10])
    in_order = [units[row[0]] for row in by_share]
    assert in_order == sorted(in_order)
    assert in_order[0] == MIN_OPENING_UNITS
    assert in_order[-1] > 50 * MIN_OPENING_UNITS


def test_printed_codes_lead_to_the_most_popular_products(catalogue):
    shares = {row[0]: row[10] for row in catalogue.products}
    assert [code for code, _ in catalogue.print_codes] == [f"XMAS{number:02d}" for number in range(1, 49)]
    assert [shares[sku] for _, sku in catalogue.print_codes] == sorted(shares.values(), reverse=True)[:48]
