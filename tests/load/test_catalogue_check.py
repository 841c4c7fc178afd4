"""Catalogues of users' drivers: refused with the rule, or normalised, before a customer chooses a product."""

from __future__ import annotations

import math

import pytest

from doorbuster.errors import AnalysisError
from doorbuster.load.target.catalogue_check import checked_catalogue
from doorbuster.load.target.content_errors import content_error
from doorbuster.load.target.driver_lookup import driver_error
from doorbuster.storefronts import Catalogue, Storefront


class MyShop(Storefront):
    name = "my-shop"


class NoTextError(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("found", "rule"),
    [
        (None, "returned NoneType from prepare, which must return a Catalogue"),
        ({"skus": ["a"]}, "returned dict from prepare"),
        (Catalogue("ab", (1.0, 2.0), (), ()), "whose skus are str instead of a tuple"),
        (Catalogue((None,), (1.0,), (), ()), "with None in skus, which is neither text nor number"),
        (Catalogue(("a",), (1.0,), ({"q": 1},), ()), "with {'q': 1} in search_terms"),
        (Catalogue(("a", "b"), (1.0,), (), ()), "of 2 skus and 1 cumulative_weights"),
        (Catalogue(("a",), (), (), ()), "of 1 skus and 0 cumulative_weights"),
        (Catalogue(("a",), (1.0,), (), (), ("x", "y")), "of 1 skus and 2 places"),
        (Catalogue(("a",), (math.nan,), (), ()), "whose cumulative_weights are not all finite numbers"),
        (Catalogue(("a",), ("1",), (), ()), "whose cumulative_weights are not all finite numbers"),
        (Catalogue(("a", "b"), (2.0, 1.0), (), ()), "do not rise from 0 or more to a sum above 0"),
        (Catalogue(("a",), (0.0,), (), ()), "do not rise from 0 or more to a sum above 0"),
    ],
)
def test_a_catalogue_without_a_choice_is_refused_with_the_rule(found, rule):
    with pytest.raises(AnalysisError) as refused:
        checked_catalogue(MyShop, found)
    assert rule in str(refused.value)
    assert "'my-shop'" in str(refused.value)


def test_what_a_shop_names_its_products_can_be_sent_to_every_worker():
    found = checked_catalogue(MyShop, Catalogue(["a\ud800", 7], (1, 2), ("red",), (), ("x" * 99_999, "y")))
    assert found.skus == ("a\\ud800", 7)
    assert found.cumulative_weights == (1.0, 2.0)
    for text in (*found.places, *found.search_terms):
        assert text.encode()


def test_an_exception_without_a_text_is_named_all_the_same():
    assert "NoTextError: (its text raises RuntimeError)" in str(
        driver_error(MyShop, "prepare", NoTextError())
    )
    refusal = content_error(NoTextError(), "")
    assert refusal is not None
    assert refusal.detail.startswith("NoTextError: (its text raises RuntimeError)")
