"""Generates the catalogue as database rows, the same for the same seed: products, stock, reviews, questions.

Popularity is lognormal with sigma 1.73, the body of a large public clickstream (OTTO 2022); a single
product takes at most 0.9 % of all interest. Opening stock is in proportion to it, with a floor, so that an
ordinary peak seldom sells anything out.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import orjson

from doorbuster.shop.domain.vocabulary import CategoryWords, Vocabulary, read_vocabulary

POPULARITY_SIGMA = 1.73
TOP_SHARE = 0.009
OPENING_UNITS_PER_PRODUCT = 80
MIN_OPENING_UNITS = 30
RELATED_PER_PRODUCT = 6
PRINT_CODES = 48
DISCOUNTED_RATIO = 0.3
_CHECK_LETTERS = "ABCDEFGHJKLMNPQRTVWXY"

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class CatalogueRows:
    """Rows in the column order of the tables; stock is (sku, units)."""

    categories: list[Row] = field(default_factory=list)
    products: list[Row] = field(default_factory=list)
    related: list[Row] = field(default_factory=list)
    reviews: list[Row] = field(default_factory=list)
    questions: list[Row] = field(default_factory=list)
    stock: list[tuple[str, int]] = field(default_factory=list)
    print_codes: list[Row] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _DraftProduct:
    """One product while it is generated, with the words of its texts."""

    sku: str
    name: str
    noun: str
    material: str
    colour: int
    share: float


def make_catalogue(*, seed: int, products: int) -> CatalogueRows:
    """`products` products spread over all categories."""
    rng = random.Random(seed)
    words = read_vocabulary()
    catalogue = CatalogueRows(notices=words.notices)
    shares = popularity_shares(rng, products)
    by_share: list[tuple[float, str]] = []
    start = 0
    for position, shelf in enumerate(words.categories):
        count = products // len(words.categories) + (position < products % len(words.categories))
        catalogue.categories.append((shelf.slug, shelf.name, shelf.blurb, shelf.art, position))
        made = _make_shelf(rng, words, shelf, position, shares[start : start + count])
        for thing in made:
            _stock_product(rng, words, catalogue, shelf, thing, products=products)
        _relate(rng, catalogue, made)
        by_share += [(thing.share, thing.sku) for thing in made]
        start += count
    by_share.sort(reverse=True)
    catalogue.print_codes.extend(
        (f"XMAS{number:02d}", sku) for number, (_, sku) in enumerate(by_share[:PRINT_CODES], start=1)
    )
    return catalogue


def popularity_shares(rng: random.Random, count: int) -> list[float]:
    """Shares of all interest, in random order, summing to 1; none above TOP_SHARE.

    With very few products the limit is four equal shares instead.
    """
    weights = [rng.lognormvariate(0.0, POPULARITY_SIGMA) for _ in range(count)]
    ceiling = max(TOP_SHARE, 4.0 / count) * sum(weights)
    capped = [min(weight, ceiling) for weight in weights]
    total = sum(capped)
    return [weight / total for weight in capped]


def _make_shelf(
    rng: random.Random, words: Vocabulary, shelf: CategoryWords, position: int, shares: list[float]
) -> list[_DraftProduct]:
    nouns, materials = shelf.nouns, shelf.materials
    taken: set[tuple[str, str, str]] = set()
    made: list[_DraftProduct] = []
    for number, share in enumerate(shares, start=1):
        while True:
            quality, material, noun = rng.choice(words.qualities), rng.choice(materials), rng.choice(nouns)
            if (quality, material, noun) not in taken or len(taken) >= 400:
                break
        taken.add((quality, material, noun))
        digits = f"{position + 1:02d}{number:04d}"
        sku = digits + _CHECK_LETTERS[int(digits) % len(_CHECK_LETTERS)]
        colour = rng.randrange(len(words.colours))
        made.append(_DraftProduct(sku, f"{material} {quality} {noun}", noun, material, colour, share))
    return made


def _stock_product(
    rng: random.Random,
    words: Vocabulary,
    catalogue: CatalogueRows,
    shelf: CategoryWords,
    thing: _DraftProduct,
    *,
    products: int,
) -> None:
    facts = {
        "name": thing.name,
        "noun": thing.noun.lower(),
        "material": thing.material.lower(),
        "colour": words.colours[thing.colour].lower(),
        "origin": rng.choice(words.origins),
    }
    price_pence = _price(rng, shelf)
    was_pence = round(price_pence / 0.8 / 50) * 50 if rng.random() < DISCOUNTED_RATIO else None
    description = "\n".join(
        rng.choice(texts).format(**facts) for texts in (words.openings, words.middles, words.closings)
    )
    details = [
        ["Material", thing.material],
        ["Colour", words.colours[thing.colour]],
        ["Made in", facts["origin"]],
        ["Care", rng.choice(words.care)] if shelf.worn else ["Guarantee", "Two years"],
        ["Product code", thing.sku],
    ]
    catalogue.products.append(
        (
            thing.sku,
            shelf.slug,
            thing.name,
            rng.choice(words.taglines),
            description,
            orjson.dumps(details).decode(),
            words.art(thing.noun, shelf),
            thing.colour,
            price_pence,
            was_pence,
            thing.share,
            rng.randrange(1_000_000),
        )
    )
    units = round(thing.share * products * OPENING_UNITS_PER_PRODUCT)
    catalogue.stock.append((thing.sku, max(MIN_OPENING_UNITS, units)))
    _write_opinions(rng, words, catalogue, thing, facts, products=products)


def _price(rng: random.Random, shelf: CategoryWords) -> int:
    """A price skewed to the low end of the band, with a typical ending such as .99."""
    position = rng.betavariate(1.6, 4.0)
    pounds = int((shelf.low_pence + position * (shelf.high_pence - shelf.low_pence)) // 100)
    return max(1, pounds) * 100 + rng.choice((0, 0, 50, 95, 99))


def _write_opinions(
    rng: random.Random,
    words: Vocabulary,
    catalogue: CatalogueRows,
    thing: _DraftProduct,
    facts: dict[str, str],
    *,
    products: int,
) -> None:
    popular = min(10, int(2 * thing.share * products))
    for _ in range(rng.randrange(1, 4) + popular):
        rating = rng.choices((5, 4, 3, 2, 1), weights=(48, 30, 12, 6, 4))[0]
        catalogue.reviews.append(
            (
                thing.sku,
                f"{rng.choice(words.first_names)}, {rng.choice(words.places)}",
                rating,
                rng.choice(words.reviews[rating].titles),
                rng.choice(words.reviews[rating].texts).format(**facts),
                f"{rng.randrange(1, 29)} {rng.choice(('September', 'October', 'November'))}",
            )
        )
    for question in rng.sample(words.questions, rng.randrange(0, 3) + (popular > 2)):
        catalogue.questions.append(
            (
                thing.sku,
                rng.choice(words.first_names),
                question.text.format(**facts),
                question.answer.format(**facts) if question.answer else None,
            )
        )


def _relate(rng: random.Random, catalogue: CatalogueRows, made: list[_DraftProduct]) -> None:
    """Recommendations: products of the same category, popular ones more often."""
    skus = [thing.sku for thing in made]
    weights = [thing.share**0.5 for thing in made]
    for sku in skus:
        picks = dict.fromkeys(rng.choices(skus, weights=weights, k=3 * RELATED_PER_PRODUCT))
        picks.pop(sku, None)
        for position, other in enumerate(list(picks)[:RELATED_PER_PRODUCT]):
            catalogue.related.append((sku, position, other))
